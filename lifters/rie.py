"""The lifter `rie`: relative information encoding (Shan et al., ACM MM 2021) with weights that its authors released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifters.sequence import SequenceLifter, pad_ends

if TYPE_CHECKING:
    from torch import Tensor, nn


class RIELifter(SequenceLifter):
    """One window of the file's length around every frame; beyond its ends a track rests.

    Args, Raises: as `SequenceLifter`.
    """

    name = "rie"
    files = "gt_pretrained.bin, cpn_pretrained.bin"
    windows = 256  # computed at once, which bounds the memory; the numbers do not depend on it

    def _build(self, state: dict[str, Tensor]) -> nn.Module:
        from lifters.networks.rie import RIE

        facts, first = self.variant.facts, state.get("GlobalInfo.fc_1.weight")
        return RIE(
            stage=1 if facts["stage"] == "1" else 3,
            latent=facts["latent"],
            widths=facts["widths"],
            channels=facts["channels"],
            hidden=1024 if first is None else len(first),
        )

    def _predict(self, inputs: Tensor, step: int) -> Tensor:
        return self._network.forward_sequence(pad_ends(inputs, *self._network.padding), self.windows)
