"""The detector `mediapipe`: Google's Pose Landmarker (MediaPipe Tasks), 33 landmarks, in pixels and in metres.

It follows people in the order of time by itself and tells no ids. The legacy `solutions` are not used.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detectors.looking import detections
from detectors.models import found
from pipeline.errors import InputError, MissingError, UsageError
from pipeline.results import Array, Detections

MODELS = ("lite", "full", "heavy")
MEMBERS = {"pose_detector.tflite", "pose_landmarks_detector.tflite"}  # of a task file
PEOPLE = 6  # at most; while fewer are followed, every frame is searched for more
HINT = "a Pose Landmarker's .task file"


class MediaPipe:
    """Everybody in a clip, at most `people` at a time.

    Args:
        model: lite, full (if None) or heavy.
        detector_weights: a `.task` file in the place of the model's own.
        device: auto or cpu; MediaPipe's packages for Python bring no CUDA.
        people: how many at most.
        confidence: lowest score of a person that is new, and of one that is followed.

    Attributes:
        device: what the networks run on.

    Raises:
        UsageError: no such model.
        MissingError: the weights cannot be had; a graphics card is asked for.
        InputError: the file is no pose landmarker.
    """

    name = "mediapipe"
    skeleton = "blazepose-33"
    packages = ("mediapipe",)
    install = "pip install -r requirements-mediapipe.txt"

    def __init__(
        self,
        model: str | None = None,
        detector_weights: Path | None = None,
        device: str = "auto",
        people: int = PEOPLE,
        confidence: float = 0.5,
    ) -> None:
        (weights,) = self.uses(model, detector_weights, device)
        self._path = found(weights)
        self._people, self._confidence = people, confidence
        _check(self._path)
        self._open().close()  # tells now, before anything else is done, what is wrong with the networks
        self.device = "MediaPipe CPU"

    @classmethod
    def uses(
        cls, model: str | None = None, detector_weights: Path | None = None, device: str = "auto", **choices: Any
    ) -> tuple[str | Path, ...]:
        """The name of the model's card, or the file in its place.

        Raises:
            UsageError: no such model, or a model and a file.
            MissingError: no such file, or CUDA.
        """
        if device == "cuda":
            raise MissingError("mediapipe has no CUDA", "its packages for Python run on the CPU", "--device cpu")
        if model not in (None, *MODELS):
            near = get_close_matches(model, MODELS, n=1, cutoff=0.4)
            raise UsageError(f"mediapipe has no model {model!r}", f"known: {', '.join(MODELS)}", "".join(near))
        if detector_weights is None:
            return (f"mediapipe-{model or 'full'}",)
        if model is not None:
            raise UsageError("--model and --detector-weights both name mediapipe's networks", hint="one of them")
        if not Path(detector_weights).is_file():
            raise MissingError(f"no weights at {detector_weights}", "there is no such file", HINT)
        return (Path(detector_weights),)

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), `following` is not told.

        Args:
            progress: called with the number of frames done.
        """
        from mediapipe import Image, ImageFormat

        found: list[Detections] = []
        landmarker = self._open()
        try:
            for frame, stamp in zip(clip.frames(), stamps(clip.info.times), strict=True):
                picture = Image(image_format=ImageFormat.SRGB, data=cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
                height, width = frame.shape[:2]
                found.append(_people(landmarker.detect_for_video(picture, int(stamp)), width, height))
                if progress is not None:
                    progress(len(found))
        finally:
            landmarker.close()
        return found

    def _open(self) -> Any:
        """A landmarker at the beginning of a video. Raises InputError."""
        from mediapipe.tasks.python import BaseOptions
        from mediapipe.tasks.python.vision import PoseLandmarker, PoseLandmarkerOptions, RunningMode

        options = PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=self._path.read_bytes()),  # paths are not Unicode everywhere
            running_mode=RunningMode.VIDEO,
            num_poses=self._people,
            min_pose_detection_confidence=self._confidence,
            min_pose_presence_confidence=self._confidence,
            min_tracking_confidence=self._confidence,
        )
        try:
            return PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError, OSError) as error:  # its own way to say that a network is not as it should be
            why = " ".join(str(error).split())[:160]
            raise InputError(f"MediaPipe cannot use {self._path}", why, HINT) from error


def stamps(times: Array) -> Array:
    """(T,) s -> (T,) int64 ms that increase strictly, as MediaPipe wants them: never more than needed off the times."""
    whole = np.rint(np.asarray(times, np.float64) * 1000).astype(np.int64)
    steps = np.arange(len(whole))
    return np.maximum.accumulate(whole - steps) + steps


def _check(path: Path) -> None:
    """Tell what is no task file before MediaPipe's own code opens it. Raises InputError."""
    try:
        with zipfile.ZipFile(path) as archive:
            missing = MEMBERS - set(archive.namelist())
            damaged = None if missing else archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"cannot read {path}", f"no task file, or cut short: {error}", HINT) from error
    if missing:
        raise InputError(f"{path} is no pose landmarker", f"no {' and no '.join(sorted(missing))} in it", HINT)
    if damaged:
        raise InputError(f"cannot read {path}", f"{damaged} in it is damaged", HINT)


def _people(result: Any, width: int, height: int) -> Detections:
    """What the landmarker tells of a frame; the world has the camera's axes: x right, y down, z away."""
    rows = [[(p.x, p.y, p.visibility, p.presence) for p in person] for person in result.pose_landmarks]
    marks = np.array(rows, np.float32).reshape(-1, 33, 4)
    world = [[(p.x, p.y, p.z) for p in person] for person in result.pose_world_landmarks]
    told = detections(MediaPipe.skeleton, marks[..., :2] * (width, height), marks[..., 2])
    return dataclasses.replace(
        told, presence=np.clip(marks[..., 3], 0, 1), world=np.array(world, np.float32).reshape(-1, 33, 3)
    )
