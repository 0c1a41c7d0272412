"""Train LightTrack's pose similarity: `python videopose.py train pose-similarity --data open_mocap.npz`.

Ning and Huang, CVPRW 2020: a Siamese graph convolution network learns by contrast (Hadsell, Chopra and LeCun, CVPR
2006) that poses of one person shortly apart are near each other and all others are not: squared distances of the first,
squares of what the others lack to the margin. Their weights are not to be had; these learn from motion capture and
acted poses before virtual cameras (`training.pose_pairs`). In the end embeddings are scaled so that at the paper's
distance of 0.5 as many pairs of one person are missed as pairs of two are taken for one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from pipeline.files import atomic
from trackers.pose_similarity import JOINTS, LAYERS, SAME_PERSON, WEIGHTS, partitions
from training.loop import Losses, Stage, teach
from training.mocap import load_mocap
from training.pose_pairs import GROUP, PosePairs
from training.procedural import joined, procedural
from training.publish import commit, trained_on
from training.run import Run, command, start

STAGE = "similarity"
INPUTS = 3


@dataclass(frozen=True)
class Options:
    """All that what is learnt depends on, except seed and precision."""

    data: Path  # motion capture, open_mocap.npz
    acted: float = 0.15  # share of poses acted by the studio
    later_s: float = 1.0  # longest time between two poses of a person
    margin: float = 0.2  # distance from which two people are far enough from each other
    features: int = 64  # of a joint
    embedding: int = 128  # numbers
    batch: int = 64  # cameras, with eight people each
    steps: int = 5000  # ten minutes of one core
    warmup: int = 100  # steps over which the learning rate rises, to fall along half a cosine
    learning_rate: float = 3e-3  # Adam's, at its highest


def small(options: Options) -> Options:
    """The same in seconds, to see that it learns."""
    return replace(options, acted=0.0, features=32, embedding=16, batch=16, steps=250, warmup=20, learning_rate=1e-2)


class GraphConvolution(nn.Module):
    """(B,15,C) -> (B,15,F): each of the partitions through weights of its own; how much an edge counts is learnt."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.from_numpy(partitions()), persistent=False)
        self.importance = nn.Parameter(torch.ones_like(self.edges))
        self.linear = nn.Linear(len(self.edges) * inputs, features)

    def forward(self, x: Tensor) -> Tensor:
        """ReLU included; where as many features go in as come out, they are added."""
        gathered = torch.einsum("kvu,buc->bvkc", self.edges * self.importance, x)
        out = self.linear(gathered.flatten(2))
        return torch.relu(out + x if out.shape == x.shape else out)


class Network(nn.Module):
    """Nodes (B,15,3) -> embeddings (B,E)."""

    def __init__(self, features: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(len(JOINTS) * INPUTS)
        widths = [INPUTS, *[features] * LAYERS]
        self.layers = nn.ModuleList(GraphConvolution(*pair) for pair in pairwise(widths))
        self.head = nn.Linear(features, embedding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.flatten(1)).unflatten(1, x.shape[1:])
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


def train(options: Options, run: Run) -> Path:
    """Train, and leave `pose-similarity.npz` and its card in `cards/`. Returns the path of the former.

    Raises:
        InputError: data that cannot be used, or nothing to resume.
        UsageError: no such device.
    """
    mocap = load_mocap(options.data)
    if options.acted:
        mocap = joined(mocap, procedural(mocap.fps, run.seed), options.acted)
    fabric, begun = start(run, [STAGE]), commit()
    torch.manual_seed(run.seed)
    network = Network(options.features, options.embedding)
    mocap = mocap.to(fabric.device)

    def draw(rows: Tensor, random: Generator) -> tuple[Tensor, ...]:
        parts = PosePairs(mocap, options.later_s, random).pairs(len(rows))
        return tuple(part.unflatten(0, (len(rows), GROUP)) for part in parts)

    def loss(wrapped: nn.Module, batch: tuple[Tensor, Tensor]) -> Losses:
        both = torch.stack(batch, dim=1)  # one batch for the norm
        return contrast(wrapped(both.flatten(0, 2)).unflatten(0, both.shape[:3]), options.margin)

    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    samples = options.batch * options.steps
    stage = Stage(STAGE, network, optimiser, samples, draw, loss, options.batch, 1, warmup=options.warmup,
                  fps=mocap.fps)  # fmt: skip
    done = teach(fabric, run, stage, "pose-similarity", options)
    weights = run.out / f"{WEIGHTS}.npz"
    if fabric.is_global_zero:
        network.load_state_dict(torch.load(done, weights_only=True)["model_pos"])
        generator = Generator().manual_seed(run.seed + 1)
        pairs = PosePairs(mocap.to(torch.device("cpu")), options.later_s, generator).pairs(1024)
        told = asdict(options) | {"seed": run.seed, "precision": run.precision, "commit": begun}
        publish(network.cpu().eval(), *pairs, weights, told)
    fabric.barrier()
    return weights


def contrast(embedded: Tensor, margin: float) -> Losses:
    """Of (B,2,P,E): for each camera two moments of P people."""
    distance = (embedded[:, 0, :, None] - embedded[:, 1, None]).square().sum(-1).clamp_min(1e-12).sqrt()
    same = torch.eye(distance.shape[-1], dtype=torch.bool, device=distance.device).expand_as(distance)
    near, far = distance[same].square().mean(), (margin - distance[~same]).clamp_min(0).square().mean()
    return {"loss": (near + far) / 2, "near": near, "far": far}


def distances(embed: nn.Module, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Of pairs as `PosePairs` draws them: (B,) of one person, (B*(GROUP-1),) of two people before one camera."""
    with torch.no_grad():
        one, other = (embed(part).unflatten(0, (-1, GROUP)) for part in (first, second))
    distance = (one[:, :, None] - other[:, None]).norm(dim=-1)
    same = torch.eye(GROUP, dtype=torch.bool).expand_as(distance)
    return distance[same], distance[~same]


def equal_error(same: Tensor, different: Tensor) -> float:
    """The distance below which as large a share of the different lies as of the same lies above."""
    steps = torch.quantile(same, torch.linspace(0, 1, 2001, dtype=same.dtype))
    missed = (same[None] > steps[:, None]).float().mean(1)
    wrong = torch.searchsorted(different.sort().values, steps) / len(different)
    return float(steps[(missed - wrong).abs().argmin()])


def folded(network: Network) -> dict[str, np.ndarray]:
    """What `trackers.pose_similarity` computes with; the batch norm becomes a scale and a shift."""
    norm, shape = network.norm, (len(JOINTS), INPUTS)
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
    shift = (norm.bias - norm.running_mean * scale).detach()
    arrays = {"scale": scale.view(shape), "shift": shift.view(shape), "head": network.head.weight.detach().T}
    for number, layer in enumerate(network.layers):
        weight = layer.linear.weight.detach().T.unflatten(0, (len(layer.edges), -1))
        parts = {"graph": layer.edges * layer.importance.detach(), "weight": weight, "bias": layer.linear.bias.detach()}
        arrays |= {f"{name}{number}": part for name, part in parts.items()}
    return {name: array.contiguous().numpy() for name, array in arrays.items()}


def publish(network: Network, first: Tensor, second: Tensor, path: Path, told: Mapping[str, Any]) -> None:
    """Scale the embeddings by pairs, and write the weights and their card. Raises OutputError.

    Args:
        told: what it takes to do the run again: its options, and the program's commit when it began.
    """
    with torch.no_grad():
        network.head.weight *= SAME_PERSON / equal_error(*distances(network, first, second))
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **folded(network))
    data = path.read_bytes()
    lines = [f"{key} = {json.dumps(value)}" for key, value in told.items() if key != "data" and value is not None]
    text = CARD.format(name=WEIGHTS, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), later_s=told["later_s"],
                       trained_on=trained_on(told["acted"]), training="\n".join(lines))  # fmt: skip
    with atomic(path.parent / "cards" / f"{WEIGHTS}.toml") as temporary:
        temporary.write_text(text, encoding="utf-8")


CARD = '''name = "{name}"
file = "{name}.npz"
format = "npz"
bytes = {bytes}
sha256 = "{sha256}"
licence = "Apache-2.0"
licence_url = "https://www.apache.org/licenses/LICENSE-2.0"
trained_on = "{trained_on}"
acknowledgement = """The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with \
funding from NSF EIA-0196217."""
data_licences = "CMU: free for all uses; Mesh2Motion/Quaternius: CC0; jl_motionmatching: MIT"
normalisation = "15 joints from the middle of their box, in parts of its longer side (trackers/pose_similarity.py)"
longest_gap_s = {later_s}

[[sources]]
kind = "repository"
path = "checkpoints/{name}.npz"

# python videopose.py train pose-similarity, with these options where they are not its defaults.
[training]
{training}

# Not measured.
[accuracy]
'''

main = partial(command, Options, small, train)
