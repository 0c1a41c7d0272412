"""Windows of time with all views of a scene, frame beside frame: what MDVPose's recipe learns from.

Cameras may move and their places are not used. A view that lacks a frame shows its nearest one there, which counts
nowhere. MDVPose's order (Gu et al. 2024): all views of one window make a batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pipeline.errors import InputError, UsageError
from training import motion_clips, tracks
from training.datasets import egobody, filmed_views, open_mocap, ski_pose
from training.datasets.sequence import Sequence
from training.datasets.unpickle import npz_keys
from training.mocap import TEST_SUBJECTS
from training.motion_clips import BODY, mirrored

Array = NDArray[np.floating]
Part = Literal["train", "test"]


class Views(NamedTuple):
    """B windows of V views and T frames; a network sees B*V clips."""

    motion: Tensor  # (B,V,T,17,3) x, y in halves of the width, confidence
    truth: Tensor  # (B,V,T,17,3) as the network is taught
    seen: Tensor  # (B,V,T) bool, frames that a view has
    known: Tensor  # (B,V,T) bool, those whose truth counts
    lens: Tensor  # (B,V,4) fx, fy, cx, cy in halves of the width; NaN: not known


def kind_of(data: Path) -> str:
    """Which data set lies there: ski-pose, egobody, filmed or human36m, by its files."""
    if data.name == "labels.h5" or any((data / part / "labels.h5").exists() for part in (".", "train", "test")):
        return "ski-pose"
    if any(not set(egobody.KEYS) - set(npz_keys(path)) for path in _first_files(data)):
        return "egobody"
    return "filmed" if data.is_file() and not set(open_mocap.KEYS) - set(npz_keys(data)) else "human36m"


def _first_files(data: Path) -> Iterator[Path]:
    for folder in (data, data / "train", data / "test"):
        yield from sorted(folder.glob("*.npz"))[:1]


def read(
    data: Path, part: Part, keypoints: str = "gt", cameras: int = 4, views: Collection[str] = (), noise: float = 0.0
) -> Iterator[Sequence]:
    """Sequences of one part of a data set, whose `scene` and `frames` say what belongs together.

    Args:
        keypoints: Human3.6M's 2D, see `human36m.read`.
        cameras, noise: of motion capture, see `filmed_views.read`; subjects kept for testing are the part `test`.
        views: cameras by the beginnings of their names; none: all.

    Raises:
        InputError: files that are missing, damaged or laid out differently.
    """
    kind = kind_of(data)
    if kind == "ski-pose":
        folder = data.parent if data.is_file() else data
        found = ski_pose.read(folder / part if (folder / part).is_dir() else folder)
    elif kind == "egobody":
        found = egobody.read(data / part if (data / part).is_dir() else data)
    elif kind == "filmed":
        found = filmed_views.read(data, cameras, 0, lambda one: (one in TEST_SUBJECTS) == (part == "test"), noise)
    else:
        found = motion_clips.read(data, part, keypoints)
    return (sequence for sequence in found if sequence.camera.startswith(tuple(views) or ("",)))


class Scenes:
    """G windows of T frames on one device.

    Args:
        frames: T. A scene that is shorter is one window, at whose end no view has frames.
        stride: frames from one window of a scene to the next; what is left at its end is in none.
        metres: the truth is root-relative joints in metres; else what MotionBERT is taught, see `motion_clips`.

    Raises:
        InputError: nothing to learn from, fewer than two views, other joints than Human3.6M's, or several frame rates.
        UsageError: the truth in the picture is wanted, and no lens is known.
    """

    def __init__(
        self,
        sequences: Iterable[Sequence],
        frames: int,
        stride: int,
        metres: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        found = list(sequences)
        if {sequence.skeleton_2d for sequence in found} - {BODY.name}:
            raise InputError(f"2D of other joints than {BODY.name}, which the lifter takes", "", "other keypoints")
        groups: dict[str, list[int]] = {}
        for number, sequence in enumerate(found):
            groups.setdefault(sequence.scene, []).append(number)
        most = max(map(len, groups.values()), default=0)
        if most < 2:
            what = "the data holds no sequence of this part" if not found else "every scene has one camera"
            raise InputError("no scene with several views", what, "data of several cameras")
        told = [_told(sequence, metres) for sequence in found]
        starts = np.cumsum([0, *map(len, found)])
        index, seen, track = zip(*_windows(found, groups.values(), starts, most, frames, stride), strict=True)
        self.motion, self.truth, self.known = (
            torch.from_numpy(np.concatenate(parts)).to(device) for parts in zip(*told, strict=True)
        )
        lens = np.stack([_lens(sequence) for sequence in found])
        self.index, self.seen, self.track, self.lens = (
            torch.from_numpy(np.stack(part)).to(device) for part in (index, seen, track, lens)
        )
        self.names, self.fps = list(groups), tracks.one_rate({sequence.fps for sequence in found})

    @property
    def samples(self) -> int:
        """Windows."""
        return len(self.index)

    def windows(self, rows: Tensor) -> Views:
        """All views of windows (B,)."""
        index, seen = self.index[rows], self.seen[rows]
        known = seen & self.known[index]
        return Views(self.motion[index], self.truth[index], seen, known, self.lens[self.track[rows]])

    def draw(self, rows: Tensor, random: Generator, hidden: float = 0.0) -> Views:
        """The same; each window is mirrored by chance, all of its views or none, and of its views a share is hidden.

        Args:
            hidden: probability that a view counts nowhere, but two of a window always do.
        """
        views = self.windows(rows)
        flip = torch.rand(len(rows), 1, 1, 1, 1, generator=random, device=rows.device) < 0.5
        motion, truth = (torch.where(flip, mirrored(part), part) for part in (views.motion, views.truth))
        lens = torch.where(flip[:, :, :, 0, 0], views.lens * views.lens.new_tensor([1, 1, -1, 1]), views.lens)
        luck = torch.rand(views.lens.shape[:2], generator=random, device=rows.device)
        luck = luck - 1.0 * ~views.seen.any(-1)  # views that are not there are the last to be kept
        best = luck.argsort(-1, descending=True).argsort(-1) < 2
        stay = ((luck >= hidden) | best)[..., None]
        return Views(motion, truth, views.seen & stay, views.known & stay, lens)


def _told(sequence: Sequence, metres: bool) -> tuple[Array, Array, NDArray[np.bool_]]:
    """A sequence's motion and truth (T,17,3), and frames with a truth (T,). Raises as `Scenes`."""
    known = np.ones(len(sequence), bool) if sequence.valid is None else sequence.valid.astype(bool)
    if metres:
        points = tracks.screen(sequence)
        score = sequence.keypoints[..., 2:] if sequence.keypoints.shape[-1] > 2 else np.ones((*points.shape[:2], 1))
        motion, truth = np.concatenate([points, score], -1), sequence.joints - sequence.joints[:, :1]
    else:
        if sequence.lens is None and sequence.image_joints is None:
            raise UsageError(f"the lens of {sequence.name} is not known", "what it sees is taught", "--set metres=yes")
        motion, truth = motion_clips.in_picture(_without_gaps(sequence, known))
    return motion.astype(np.float32), np.where(known[:, None, None], truth, 0).astype(np.float32), known


def _without_gaps(sequence: Sequence, known: NDArray[np.bool_]) -> Sequence:
    """Frames without a truth get that of the nearest frame with one, lest the mean depth be of them, too."""
    if known.all() or not known.any():
        return sequence
    there = np.flatnonzero(known)
    return replace(sequence, joints=sequence.joints[there[_nearest(there, len(known))]])


def _nearest(there: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count,) which of the ascending numbers `there` is nearest to each of 0 to count-1."""
    each = np.arange(count)
    after = np.searchsorted(there, each).clip(max=len(there) - 1)
    before = (after - 1).clip(min=0)
    return np.where(np.abs(there[before] - each) <= np.abs(there[after] - each), before, after)


def _lens(sequence: Sequence) -> Array:
    """(4,) focal lengths and centre in halves of the width, NaN where they are not known."""
    lens = sequence.lens
    known = lens is not None and lens.focal is not None and sequence.image_joints is None
    return (lens.intrinsic()[:4] if known else np.full(4, np.nan)).astype(np.float32)


def _windows(
    sequences: list[Sequence], groups: Iterable[list[int]], starts: Array, most: int, frames: int, stride: int
) -> Iterator[tuple[Array, Array, Array]]:
    """Rows among all frames (V,T), which are there (V,T), and numbers of the sequences (V,), of every window."""
    for group in groups:
        clocks = [np.arange(len(s)) if s.frames is None else s.frames for s in (sequences[n] for n in group)]
        moments = np.unique(np.concatenate(clocks))  # of the scene; where nobody has a frame there is none
        pad = max(0, frames - len(moments))
        rows = np.zeros((most, len(moments) + pad), np.int64)
        there = np.zeros(rows.shape, bool)
        for view, (number, clock) in enumerate(zip(group, clocks, strict=True)):
            there[view, : len(moments)] = np.isin(moments, clock)
            rows[view] = starts[number] + _nearest(np.searchsorted(moments, clock), rows.shape[1])
        rows[len(group) :] = rows[0]
        track = np.array(group + [group[0]] * (most - len(group)))
        for first in range(0, rows.shape[1] - frames + 1, stride):
            part = slice(first, first + frames)
            yield rows[:, part], there[:, part], track
