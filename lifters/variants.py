"""Which of the field's networks a state dict belongs to, read from its names and shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from math import prod

from torch import Tensor

State = Mapping[str, Tensor]
Facts = dict[str, int | bool | str | tuple[int, ...]]


@dataclass(frozen=True)
class Variant:
    """A known network: `network` names it, `facts` are the sizes that the shapes give, `unseen` what they do not."""

    network: str
    title: str
    facts: Facts
    unseen: str = ""

    def __str__(self) -> str:
        sizes = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in self.facts.items())
        return f"{self.title} ({sizes}{f'; not to be seen: {self.unseen}' if self.unseen else ''})"


def recognise(state: State) -> Variant | None:
    """The first network of the table whose names the state dict has, with shapes that make sense; or None."""
    for marks, read in _TABLE:
        if all(mark in state for mark in marks):
            try:
                return read(state)
            except (IndexError, KeyError, ValueError, ZeroDivisionError):  # the same names for something else
                continue
    return None


def _shown(value: int | bool | str | tuple[int, ...]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _layers(state: State, pattern: str) -> int:
    """How many entries of a pattern with a running number there are."""
    return next(number for number in count() if pattern.format(number) not in state)


def _widths(state: State, prefix: str = "") -> tuple[int, ...]:
    blocks = _layers(state, prefix + "layers_conv.{}.weight") // 2
    names = ["expand_conv", *(f"layers_conv.{2 * i}" for i in range(blocks))]
    return tuple(state[f"{prefix}{name}.weight"].shape[-1] for name in names)


def _videopose3d(state: State) -> Variant:
    first, last, widths = state["expand_conv.weight"], state["shrink.weight"], _widths(state)
    facts: Facts = {"widths": widths, "frames": prod(widths), "channels": first.shape[0]}
    facts |= {"numbers_in": first.shape[1], "numbers_out": last.shape[0]}
    if last.shape[0] % 3 == 0:
        facts["joints_out"] = last.shape[0] // 3
    title = "VideoPose3D's trajectory model" if last.shape[0] == 3 else "VideoPose3D"
    return Variant("videopose3d", title, facts, "causal or dense, numbers per keypoint, order of joints")


def _sighted(state: State) -> Variant:
    facts: Facts = {"features": state["norm.weight"].shape[0], "summary": state["blocks.0.gather.weight"].shape[0]}
    return Variant("videopose3d-open", "this project's own lifter, which runs as its ONNX file", facts)


def _rie(state: State) -> Variant:
    prefix = "LocalLayer_Torso."
    fused, widths = "FuseBlocks.0.fc_1.weight" in state, _widths(state, prefix)
    facts: Facts = {"stage": "2 or 3" if fused else "1", "latent": state[f"{prefix}shrink.weight"].shape[0]}
    facts |= {"widths": widths, "frames": prod(widths), "channels": state[f"{prefix}expand_conv.weight"].shape[0]}
    return Variant("rie", "RIE", facts, "2D of ground truth or of a detector")


def _pstmo_sizes(state: State) -> Facts:
    layers = _layers(state, "Transformer.model.layers.{}.self_attn.linears.0.weight")
    frames, channels = state["Transformer.pos_embedding"].shape[1:]
    return {"layers": layers, "frames": frames, "channels": channels, "numbers_in": state[_SEM].shape[1]}


def _pstmo(state: State) -> Variant:
    facts = _pstmo_sizes(state)
    reducing = "Transformer_reduce.model.layers.{}.self_attn.linears.0.weight"
    facts |= {"aggregator_layers": _layers(state, reducing), "joints_out": state["fcn.1.weight"].shape[0] // 3}
    facts |= {"sequence_head": "fcn_1.1.weight" in state}
    title = {3: "P-STMO-S", 4: "P-STMO"}.get(int(facts["layers"]), "P-STMO of another depth")
    return Variant("pstmo", title, facts, "temporal stride, strides of the aggregator")


def _pstmo_masked(state: State) -> Variant:
    facts = _pstmo_sizes(state)
    facts["decoder_layers"] = _layers(state, "Transformer_dec.model.layers.{}.self_attn.linears.0.weight")
    return Variant("pstmo-masked", "P-STMO's stage I, masked pre-training", facts, "share of masked frames and joints")


def _pstmo_refine(state: State) -> Variant:
    first = state["post_refine.0.weight"]
    return Variant("pstmo-refine", "P-STMO's refine module", {"joints": first.shape[1] // 6, "hidden": first.shape[0]})


def _motionbert(state: State) -> Variant:
    channels, features = state["joints_embed.weight"].shape
    ratio = state["blocks_st.0.mlp_s.fc1.weight"].shape[0] // channels
    facts: Facts = {"channels": channels, "mlp_ratio": ratio, "depth": _layers(state, "blocks_st.{}.norm1_s.weight")}
    facts |= {"representation": state["pre_logits.fc.weight"].shape[0], "frames": state["temp_embed"].shape[1]}
    facts |= {"joints": state["pos_embed"].shape[1], "numbers_per_keypoint": features}
    title = {(512, 2): "MotionBERT, full", (256, 4): "MotionBERT Lite"}.get(
        (channels, ratio), "MotionBERT, another size"
    )
    return Variant("motionbert", title, facts, "heads, root-relative or global output, pre-trained or fine-tuned")


_SEM = "encoder.fc_1.weight"
_TABLE: tuple[tuple[tuple[str, ...], Callable[[State], Variant]], ...] = (
    (("LocalLayer_Torso.expand_conv.weight", "LocalLayer_Torso.shrink.weight"), _rie),
    (("expand_conv.weight", "shrink.weight"), _videopose3d),
    (("embed.weight", "blocks.0.gather.weight", "norm.weight", "head.weight"), _sighted),
    (("mask_token", "Transformer.pos_embedding", _SEM), _pstmo_masked),
    (("Transformer_reduce.model.pos_embedding_1", "Transformer.pos_embedding", _SEM, "fcn.1.weight"), _pstmo),
    (("post_refine.0.weight",), _pstmo_refine),
    (
        ("joints_embed.weight", "blocks_st.0.mlp_s.fc1.weight", "pre_logits.fc.weight", "temp_embed", "pos_embed"),
        _motionbert,
    ),
)
