"""A studio scene as files: an H.264 clip with the scene's own frame times, and its truth as `<stem>.truth.npz`.

Keys of the truth (schema 1; C cameras, A actors, T frames, J joints of `skeleton`, K = 23 of h36m-23):
`schema`, `times` (T,) s, `ids` (A,), `joint_names` (K,), `joints_world_m` (A,T,K,3), `skeleton`, `keypoint_names` (J,),
`points_world_m` (A,T,J,3), `keypoints_px` (C,A,T,J,2), `visible` and `inside` (C,A,T,J) bool, `contacts` (A,T,4) bool
(left heel, left toe, right heel, right toe), `camera_matrix` (C,T,3,3), `distortion` (C,T,5), `camera_to_world`
(C,T,4,4), `frame_size` (C,2) w,h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.files import atomic
from pipeline.results import Camera
from pipeline.skeletons import skeleton
from studio.rotations import Array
from studio.scenes import build
from studio.stage import StudioScene
from studio.truth import Truth

TICKS = 90_000  # of the clip's clock per second
Progress = Callable[[int], None]  # told how many frames are written


def main(
    scene: str, out: Path, progress: Progress | None = None, seconds: float | None = None, **options: object
) -> None:
    """Render the scene called `scene` to `out`, with its truth beside it; further cameras get names ending in `_2`, ...

    Raises:
        UsageError: no such scene or option.
        OutputError: `out` cannot be written.
    """
    if seconds is not None:
        options["duration"] = seconds
    write(build(scene, **options), Path(out), progress)


def write(scene: StudioScene, path: Path, progress: Progress | None = None) -> None:
    """Write every camera's clip and the truth, each file whole or not at all.

    Camera 1 is `path`, camera n is `<stem>_<n><suffix>`; the truth of all is `<stem>.truth.npz`.
    """
    path, done = Path(path), 0
    for camera in range(len(scene.cameras)):
        name = path if camera == 0 else path.with_name(f"{path.stem}_{camera + 1}{path.suffix}")
        with atomic(name) as temporary:
            for _ in _encode(scene.frames(camera), scene.times, scene.fps, temporary):
                done += 1
                if progress:
                    progress(done)
    write_truth(scene.truth(), path.with_name(f"{path.stem}.truth.npz"))


def _encode(frames: Iterable[Array], times: Array, fps: float, path: Path) -> Iterable[None]:
    import av

    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.options = {"crf": "21", "preset": "medium"}
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS)
        for time, frame in zip(times, frames, strict=True):
            if stream.width != frame.shape[1] or stream.height != frame.shape[0]:
                stream.height, stream.width = frame.shape[:2]
                odd = frame.shape[0] % 2 or frame.shape[1] % 2
                stream.pix_fmt = "yuv444p" if odd else "yuv420p"  # halved colour needs even sizes
            picture = av.VideoFrame.from_ndarray(frame, format="bgr24")
            picture.pts, picture.time_base = round(float(time) * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(picture))
            yield
        container.mux(stream.encode(None))


def write_truth(truth: Truth, path: Path) -> None:
    """Save a truth with the keys above; read it with `read_truth` or `numpy.load(path, allow_pickle=False)`."""
    arrays = {
        "schema": np.array(1),
        "times": truth.times,
        "ids": truth.ids,
        "joint_names": np.array(skeleton("h36m-23").joints),
        "joints_world_m": truth.joints,
        "skeleton": np.array(truth.skeleton),
        "keypoint_names": np.array(skeleton(truth.skeleton).joints),
        "points_world_m": truth.points,
        "keypoints_px": truth.keypoints,
        "visible": truth.visible,
        "inside": truth.inside,
        "contacts": truth.contacts,
        "camera_matrix": np.array([[c.matrix for c in path] for path in truth.cameras]),
        "distortion": np.array([[c.distortion for c in path] for path in truth.cameras]),
        "camera_to_world": np.array([[c.camera_to_world for c in path] for path in truth.cameras]),
        "frame_size": np.array([path[0].size for path in truth.cameras]),
    }
    with atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_truth(path: Path) -> Truth:
    """The truth that `write_truth` saved.

    Raises:
        InputError: no such file, or not a truth.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            a = {name: data[name] for name in data.files}
            cameras = tuple(
                tuple(Camera(*values, source="studio") for values in zip(*columns, strict=True))
                for columns in zip(a["camera_matrix"], _sizes(a), a["distortion"], a["camera_to_world"], strict=True)
            )
            return Truth(a["times"], a["ids"], a["joints_world_m"], str(a["skeleton"]), a["points_world_m"],
                         a["keypoints_px"], a["visible"], a["inside"], a["contacts"], cameras)  # fmt: skip
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(
            f"cannot read {path}", "it is not the truth of a studio clip", "videopose.py studio SCENE"
        ) from error


def _sizes(arrays: dict[str, Array]) -> list[list[tuple[int, int]]]:
    return [[(int(w), int(h))] * len(arrays["times"]) for w, h in arrays["frame_size"]]
