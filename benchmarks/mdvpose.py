"""Does agreement between views teach a single-view lifter, where few windows have labels? Prints a table in Markdown.

    python -m benchmarks.mdvpose [--data ../shared/data] [--steps 1200] [--labelled 0.002] [--seeds 3] [--published]

Motion capture is filmed by four cameras in moving hands (`training/datasets/filmed_views.py`); windows are of nine
frames. A temporal convolution learns from scratch from the few labelled windows, and is then fine-tuned from these
weights without and with the consistency loss. Both see the same labelled and unlabelled windows, and make the same
number of steps at the same learning rates; labels, weights and order hang on the seed. Errors are means over the views
and frames of the subjects that are kept for testing, after a similarity alignment of every frame (P-MPJPE, mm). Fused:
what is said of each of the four views by itself, fused by `training.fused`, which knows no cameras either.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training import metrics
from training.fused import fuse
from training.loop import teach
from training.mdvpose import OWN_WEIGHT, PAPER, STAGES, Options, filled, stage
from training.mdvpose_network import build, in_space, lift
from training.run import Run, start
from training.scenes import Scenes, read

REACH = 4  # frames before and after that share in a rotation, when fused: a window is of nine
HEAD = ("seed", "start", "without", "with", "without, fused", "with, fused")
PUBLISHED = ("published loss", "published loss, fused")


class Tested(NamedTuple):
    """Held-out windows: what the network sees, and the truth in metres."""

    views: Scenes
    truth: Scenes


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--steps", type=int, default=1200, help="of each training")
    parser.add_argument("--labelled", type=float, default=0.002, help="share of the training windows")
    parser.add_argument("--noise", type=float, default=0.0, help="px of 1000, of the 2D")
    parser.add_argument("--consistency", type=float, default=OWN_WEIGHT)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--published", action="store_true", help="the published loss with the paper's weight, too")
    arguments = parser.parse_args(given)
    path = arguments.data / "mocap" / "open_mocap.npz" if arguments.data.is_dir() else arguments.data
    if not path.is_file():
        raise SystemExit(f"error: {path} is not here; --data names it, or the folder that has it in mocap/")
    compare(path, arguments)


def compare(path: Path, arguments: argparse.Namespace) -> None:
    """Print a row for each seed, and their mean and standard deviation."""
    options = filled(
        Options(
            path, network="convolution", channels=128, widths=(3, 3), dropout=0.0, frames=9, stride=9,
            labelled=arguments.labelled, batch=8, epochs=arguments.steps, scratch_epochs=arguments.steps,
            scratch_rate=2e-3, learning_rate=1e-3, warmup=max(1, arguments.steps // 20), velocity=1.0,
            steps=arguments.steps, noise=arguments.noise, consistency=arguments.consistency,
        )
    )  # fmt: skip
    known = Scenes(_read(options, "train"), options.frames, options.stride)
    held_out = list(_read(options, "test"))
    tested = Tested(*(Scenes(held_out, options.frames, 6 * options.stride, metres) for metres in (False, True)))
    labels = round(options.labelled * known.samples)
    print(f"{known.samples} windows of four views, {labels} with labels; {arguments.steps} steps each\n")
    head = HEAD + PUBLISHED * arguments.published
    print(f"| {' | '.join(head)} |", "|---" * len(head) + "|", sep="\n", flush=True)
    rows, began = [], time.process_time()
    for seed in range(arguments.seeds):
        rows.append(one_seed(options, known, tested, seed, arguments.published))
        _print(str(seed), [f"{value:.1f}" for value in rows[-1]])
    table = np.array(rows)
    _print("mean ± sd", [f"{m:.1f} ± {s:.1f}" for m, s in zip(table.mean(0), _spread(table), strict=True)])
    for name, column, before in (("the loss", 2, 1), ("fusing, with the loss", 4, 2)):
        gain = table[:, before] - table[:, column]
        better = f"{(gain > 0).sum()} of {len(gain)} seeds"
        print(f"\n{name} lowers the error by {gain.mean():.1f} ± {_spread(gain):.1f} mm, in {better}")
    print(f"\n{(time.process_time() - began) / 60:.1f} minutes of processor time")


def one_seed(options: Options, known: Scenes, tested: Tested, seed: int, published: bool) -> list[float]:
    """The row's errors in mm."""
    ways = {"without": replace(options, consistency=0.0), "with": options}
    if published:
        ways["published"] = replace(options, published=True, consistency=PAPER["filmed"]["consistency"])
    with tempfile.TemporaryDirectory(prefix="videopose-mdvpose-") as folder:
        begun = learn(options, known, STAGES[0], None, Run(Path(folder), "cpu", seed=seed))
        errors = {"start": measure(options, begun, tested)}
        for name, way in ways.items():
            done = learn(way, known, STAGES[1], begun, Run(Path(folder, name), "cpu", seed=seed))
            errors[name] = measure(way, done, tested)
    row = [errors["start"][0], *(errors[name][kind] for kind in (0, 1) for name in ("without", "with"))]
    return row + list(errors["published"]) if published else row


def learn(options: Options, known: Scenes, name: str, before: Path | None, run: Run) -> Path:
    """One stage of the recipe; the path of its weights."""
    fabric = start(run, (name,))
    network = build(options, run.seed, before)
    return teach(fabric, run, stage(options, name, known, network, run.seed), "mdvpose", options)


@torch.no_grad()
def measure(options: Options, weights: Path, tested: Tested) -> tuple[float, float]:
    """P-MPJPE in mm of every view by itself, and of the views fused."""
    network, rows = build(options, 0, weights).eval(), torch.arange(tested.views.samples)
    views, truth = tested.views.windows(rows), tested.truth.windows(rows).truth
    joints = in_space(lift(network, views.motion, flip=True), views.motion, views.lens)
    weights = views.seen[..., None].expand(joints.shape[:-1]).to(joints)
    return _error(joints, truth, views.seen), _error(fuse(joints, weights, reach=REACH), truth, views.seen)


def _read(options: Options, part: str) -> list:
    return list(read(options.data, part, cameras=options.cameras, noise=options.noise))


def _error(joints: Tensor, truth: Tensor, seen: Tensor) -> float:
    return 1000 * metrics.p_mpjpe(joints[seen].double().numpy(), truth[seen].double().numpy())


def _spread(table: np.ndarray) -> np.ndarray:
    """Standard deviation over seeds (of the sample)."""
    return table.std(0, ddof=1) if len(table) > 1 else np.zeros(table.shape[1:])


def _print(name: str, cells: list[str]) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
