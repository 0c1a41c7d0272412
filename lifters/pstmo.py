"""The lifters `pstmo` and `pstmo-fast`: P-STMO (Shan et al., ECCV 2022) with weights that its authors released.

The files for Human3.6M take its joints, `..._in_the_wild.pth` takes COCO's keypoints, and `..._3dhp.pth` takes and
gives MPI-INF-3DHP's joints, in millimetres. Shapes do not tell them apart, so the file's name does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifters.resample import grid
from lifters.sequence import COCO, Convention, SequenceLifter, by_name
from pipeline.results import Array

if TYPE_CHECKING:
    from torch import Tensor, nn

# Its sequences have 25 or 50 frames per second, and no frame is left out: the slower ones are the rule in the test set.
MPI = Convention("mpi-inf-3dhp-17", "mpi-inf-3dhp-17", metres=0.001, rate=25.0)
STEP = 2  # the paper's temporal down-sampling of 50 frames per second: a window has every second frame
JOINTS = 17  # keypoints and 3D joints


class PSTMOLifter(SequenceLifter):
    """One window around every frame, by the head for the middle frame.

    Args, Raises: as `SequenceLifter`.
    """

    name = "pstmo"
    files = "PSTMO_no_refine_6_4215_h36m_cpn.pth, PSTMOS_no_refine_48_5137_in_the_wild.pth and the like"
    batch = 16  # windows computed at once, which bounds the memory; the numbers do not depend on it

    def _convention(self) -> Convention:
        return by_name(self.told, ("wild|coco", COCO), ("3dhp", MPI))

    def _build(self, state: dict[str, Tensor]) -> nn.Module:
        from lifters.networks.pstmo import PSTMO, STRIDES

        facts, first = self.variant.facts, state.get("Transformer.model.layers.0.feed_forward.w_1.weight")
        features, rest = divmod(facts["numbers_in"], JOINTS)
        if facts["frames"] not in STRIDES:
            raise ValueError(f"the paper has no windows of {facts['frames']} frames")
        if rest or features != 2 or facts["joints_out"] != JOINTS:
            raise ValueError(f"this is not one that takes x and y of {JOINTS} keypoints and gives {JOINTS} joints")
        return PSTMO(
            layers=facts["layers"],
            strides=STRIDES[facts["frames"]],
            channels=facts["channels"],
            hidden=512 if first is None else len(first),
            heads=self.options.get("heads", 8),
            spatial=len(state["encoder.fc_1.weight"]),
        )

    def _clock(self, own: Array) -> tuple[Array, int]:
        """Where every second frame is left out, a clip of half the rate has just those that a window takes."""
        if self.convention.keypoints == MPI.keypoints:
            return super()._clock(own)
        step = self.options.get("temporal_step", STEP)
        if grid(own, self.convention.rate / step) is own:
            return own, 1
        return grid(own, self.convention.rate), step

    def _predict(self, inputs: Tensor, step: int) -> Tensor:
        return self._network.lift(inputs, step, self.batch)


class FastPSTMOLifter(PSTMOLifter):
    """Overlapping windows, by the head for all frames: many times as fast, less exact.

    Args, Raises: as `SequenceLifter`.
    """

    name = "pstmo-fast"

    def _predict(self, inputs: Tensor, step: int) -> Tensor:
        return self._network.lift_fast(inputs, step, batch=self.batch)
