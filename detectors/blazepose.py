"""The detector `blazepose`: several people in a clip, 33 landmarks each, in pixels and in metres.

Method: the two networks of BlazePose (Bazarevsky et al. 2020; GHUM variant 2021) without their own runtime, with a
search for several people, following in both directions of time, and left and right decided over time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.blazepose_appearance import SIZE
from detectors.blazepose_chain import Chain
from detectors.blazepose_follow import follow
from detectors.blazepose_networks import Networks, Pose
from detectors.blazepose_sides import put_right
from pipeline.results import Detections

Array = NDArray[Any]


class BlazePose:
    """Finds and follows everybody in a clip.

    Args:
        threads: CPU threads of the networks; 0 takes as many as this process may use, at most 8.

    Attributes:
        device: what the networks really run on, as the runtime reports it.

    Raises:
        MissingError: the weights cannot be had.
    """

    name = "blazepose"
    skeleton = "blazepose-33"
    packages = ()

    @classmethod
    def uses(cls) -> tuple[str, ...]:
        """Names of the cards of its weights."""
        return "blazepose-detection", "blazepose-landmark-full"

    def __init__(self, threads: int = 0) -> None:
        self._networks = Networks(threads or min(_cores(), 8))
        self.device = self._networks.device

    def detect(self, clip: Any, progress: Callable[[int], None] | None = None) -> list[Detections]:
        """One `Detections` per frame of the clip (what `pipeline.clip.open_clip` gives), people by following id.

        Args:
            progress: called with the number of frames done.
        """
        chains = follow(self._networks, clip, progress)
        for chain in chains:
            put_right(chain.poses, chain.looks)
        return [_gather(chains, index) for index in range(len(clip.info.times))]


def _gather(chains: Sequence[Chain], index: int) -> Detections:
    """The people of one frame; each chain forgets its pose, so that memory holds them once."""
    here = [chain for chain in chains if index in chain.poses]
    poses = [chain.poses.pop(index) for chain in here]
    points = _stack([p.points[:33] for p in poses], (33, 2))
    return Detections(
        skeleton=BlazePose.skeleton,
        boxes=np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1) if here else _stack([], (4,)),
        box_scores=_stack([p.flag for p in poses], ()),
        keypoints=points,
        scores=_stack([_certainty(p) for p in poses], (33,)),
        presence=_stack([p.presence for p in poses], (33,)),
        world=_stack([p.world for p in poses], (33, 3)),
        following=np.array([chain.id for chain in here], dtype=np.int32),
        appearance=_stack([p.looks for p in poses], (SIZE,)),
    )


def _cores() -> int:
    """How many processors this process may run on; not every system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stack(rows: Sequence[Any], shape: tuple[int, ...]) -> Array:
    return np.array(rows, dtype=np.float32).reshape(-1, *shape)


def _certainty(pose: Pose) -> Array:
    """(33,) how far a place is to be believed: hidden joints of a body that is in the picture are guessed well."""
    return pose.presence * (0.3 + 0.7 * pose.visibility)
