"""P-STMO's recipe (Shan et al., ECCV 2022): `python videopose.py train pstmo --data h36m/`.

Stage I hides joints and frames of 2D motion, and the network learns to restore them; no 3D is used. Stage II starts
from stage I's encoder and learns to lift, by its head for the middle frame and by the one for all frames. If wanted, a
last stage learns the refinement on the finished network; it takes the true depth of the root and the true camera, so
that its result is no measure of what can be had from ordinary video.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from lifters.networks.pstmo import PSTMO, STRIDES
from lifters.networks.pstmo_layers import set_dropout
from lifters.networks.pstmo_masked import MaskedPSTMO, draw_masks
from lifters.networks.pstmo_refine import Refine, back_project
from lifters.released import load_into, read_network
from pipeline.errors import UsageError
from training import losses
from training.loop import Draw, Loss, Losses, Stage, teach
from training.run import Run, command, start
from training.tracks import Tracks, Windows, around, read

SHARED = ("encoder.", "Transformer.")  # entries that stage II takes over from stage I


@dataclass(frozen=True)
class Options:
    """The paper's hyper-parameters of P-STMO-S with CPN's 2D.

    P-STMO: layers 4, hidden_frames 0.6, hidden_joints 3, learning_rate 1e-3. P-STMO-S with exact 2D: hidden_joints 7,
    learning_rate 1e-3.
    """

    data: Path  # a folder of Human3.6M's files, or open_mocap.npz
    keypoints: str = "cpn_ft_h36m_dbb"  # Human3.6M's 2D; gt: exact; detectron_pt_coco: COCO's joints, for any video
    cameras: int = 4  # that film each clip of motion capture
    layers: int = 3  # of the temporal Transformer
    frames: int = 243  # of a window: 9, 27, 81, 243 or 351
    temporal_step: int = 2  # frames from one of a window's frames to the next
    channels: int = 256
    feed_forward: int = 512  # width of the Transformers' hidden layers
    heads: int = 8  # of the attention
    spatial: int = 512  # width of the part that sees single frames
    dropout: float = 0.1
    pretrain: bool = True  # stage I; without it, stage II starts from scratch
    refine: bool = False  # a last stage with the refinement
    hidden_frames: float = 0.8  # share of a window's frames that stage I hides
    hidden_joints: int = 2  # of each frame, that stage I hides
    batch: int = 160  # windows
    epochs: tuple[int, ...] = (80, 80, 80)  # of stage I, stage II and the refinement
    pretrain_rate: float = 1e-4  # learning rate of stage I
    learning_rate: float = 7e-4  # of stage II, and of the refinement
    decay: float = 0.97  # of the learning rate, per epoch
    accumulate: int = 1  # shares of a batch, one after another before a step
    epoch_windows: int | None = None  # drawn for an epoch; None: all, and all mirrored
    steps: int | None = None  # at most so many in each stage


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(
        options, layers=2, frames=9, temporal_step=1, channels=64, feed_forward=128, heads=2, spatial=192, dropout=0.0,
        hidden_frames=0.4, batch=64, epochs=(1, 12, 2), pretrain_rate=2e-3, learning_rate=4e-3, decay=0.75,
        epoch_windows=6400, cameras=2,
    )  # fmt: skip


def train(options: Options, run: Run) -> Path:
    """The wanted stages; returns the path of stage II's weights, `stage_2.bin`, or of the refinement's, `refine.bin`.

    Raises:
        InputError: data that cannot be used, or nothing to resume.
        UsageError: no such device, no such window, or a refinement with COCO's 2D.
    """
    if options.frames not in STRIDES:
        raise UsageError(f"P-STMO has no windows of {options.frames} frames", f"known: {', '.join(map(str, STRIDES))}")
    wanted = {"stage_1": options.pretrain, "stage_2": True, "refine": options.refine}
    fabric = start(run, [name for name, is_wanted in wanted.items() if is_wanted])
    tracks = Tracks(read(options.data, "train", options.keypoints, options.cameras), fabric.device)
    if options.refine and tracks.layout != "h36m-17":
        raise UsageError(f"no refinement of {tracks.layout}", "it mixes 2D and 3D of the same joints", "refine=no")
    encoder = None
    if options.pretrain:
        torch.manual_seed(run.seed)
        encoder = teach(fabric, run, masked(options, tracks), "pstmo", options)
    torch.manual_seed(run.seed)
    weights = teach(fabric, run, lifting(options, tracks, encoder), "pstmo", options)
    if options.refine:
        torch.manual_seed(run.seed)
        weights = teach(fabric, run, refining(options, tracks, weights, fabric.device), "pstmo", options)
    return weights


def build(options: Options, joints: int = 17) -> PSTMO:
    """Stage II's network for that many keypoints."""
    network = PSTMO(options.layers, STRIDES[options.frames], joints, **widths(options))
    set_dropout(network, options.dropout)
    return network


def widths(options: Options) -> dict[str, int]:
    """What the networks of both stages have in common, by the names of their arguments."""
    return {
        "channels": options.channels, "hidden": options.feed_forward, "heads": options.heads, "spatial": options.spatial
    }  # fmt: skip


def masked(options: Options, tracks: Tracks) -> Stage:
    """Stage I: distance, on the screen, of all restored joints from the true ones; a batch shares its masks."""
    joints = len(tracks.mirror_2d)
    network = MaskedPSTMO(options.layers, options.frames, joints, **widths(options))
    set_dropout(network, options.dropout)
    offsets = around(options.frames, options.temporal_step)

    def draw(rows: Tensor, random: Generator) -> tuple[Tensor, ...]:
        masks = draw_masks(options.frames, joints, options.hidden_frames, options.hidden_joints, random)
        return tracks.windows(rows, offsets).keypoints, *(mask.expand(len(rows), *mask.shape) for mask in masks)

    def loss(wrapped: nn.Module, drawn: tuple[Tensor, ...]) -> Losses:
        keypoints, hidden_frames, hidden_joints = drawn
        restored, order = wrapped(keypoints, hidden_frames[0], hidden_joints[0])
        return {"loss": losses.position(restored, keypoints[:, order])}

    return _stage(options, "stage_1", 0, network, options.pretrain_rate, tracks, draw, loss)


def lifting(options: Options, tracks: Tracks, encoder: Path | None) -> Stage:
    """Stage II: both heads' mean distance of the joints, in metres, weighted alike."""
    network = build(options, len(tracks.mirror_2d))
    if encoder is not None:
        load_into(network, read_network(encoder), encoder, SHARED)

    def loss(wrapped: nn.Module, windows: Windows) -> Losses:
        middle, whole = wrapped(windows.keypoints)
        truth = windows.relative
        one = losses.position(middle, truth[:, options.frames // 2, None])
        every = losses.position(whole, truth)
        return {"loss": one + every, "middle": one, "all": every}

    return _stage(options, "stage_2", 1, network, options.learning_rate, tracks, windows_of(options, tracks), loss)


def refining(options: Options, tracks: Tracks, lifter: Path, device: torch.device) -> Stage:
    """The refinement, on a lifting network that stays as it is (the paper trains both on; it does not say how)."""
    lifting_network = build(options, len(tracks.mirror_2d))
    load_into(lifting_network, read_network(lifter), lifter)
    lifting_network.to(device).eval().requires_grad_(False)

    def loss(wrapped: nn.Module, windows: Windows) -> Losses:
        lifted, seen = both(lifting_network, windows)
        truth = windows.relative[:, options.frames // 2, None]
        refined = losses.position(wrapped(lifted, seen), truth)
        return {"loss": refined, "unrefined": losses.position(lifted, truth)}

    draw = windows_of(options, tracks)
    return _stage(options, "refine", 2, Refine(), options.learning_rate, tracks, draw, loss)


def windows_of(options: Options, tracks: Tracks) -> Draw:
    """What a batch's numbers of samples stand for."""
    offsets = around(options.frames, options.temporal_step)
    return lambda rows, random: tracks.windows(rows, offsets)


@torch.no_grad()
def both(network: nn.Module, windows: Windows) -> tuple[Tensor, Tensor]:
    """What the refinement reads: lifted middle frame, and its 2D at its depths, (B,1,17,3) m each, root-relative."""
    middle = windows.joints.shape[1] // 2
    lifted, _ = network(windows.keypoints)
    lifted = lifted - lifted[:, :, :1]
    points, root = windows.keypoints[:, middle, None], windows.joints[:, middle, None, 0, 2]
    return lifted, back_project(points, lifted[..., 2], root, windows.lens)


def _stage(
    options: Options, name: str, number: int, network: nn.Module, rate: float, tracks: Tracks, draw: Draw, loss: Loss
) -> Stage:
    """Adam with AMSGrad, a learning rate that falls each epoch."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, amsgrad=True, fused=True)
    return Stage(
        name, network, optimiser, tracks.samples, draw, loss, options.batch, options.epochs[number], options.decay,
        options.epoch_windows, options.steps, options.accumulate, fps=tracks.fps,
    )  # fmt: skip


main = partial(command, Options, small, train)
