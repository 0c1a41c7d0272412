"""Which network lifts best after the same processor time on the same data? Prints a table in Markdown.

    python -m benchmarks.architectures --data FOLDER [--seconds 300] [--views 2] [NETWORK...]

FOLDER holds `open_mocap.npz` and `score.py`. Every network is trained by one thread on the random views that the
default recipe draws (`training/views.py`), with its losses, optimiser and rise and fall of the learning rate, for the
same processor time, and scored on the subjects that are kept for testing. Networks run in processes of their own; one
process per core at a time (`--at-once`) shares the time out fairly. A budget of minutes favours small networks: the
table tells what learns fast, not what is best in the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.accuracy import SCORE_CAMERA, load_script
from benchmarks.architectures_networks import CANDIDATES, Candidate
from lifters.networks.sighted import BODY, INPUT
from lifters.normalise import normalise
from lifters.videopose3d import rays_and_scores, track_from_h36m
from training.mocap import load_mocap
from training.procedural import joined, procedural
from training.videopose3d import Options, loss
from training.views import Views

ROOT = Path(__file__).parent.parent
WARMUP, FALL = 0.03, 0.6  # shares of the budget
AVERAGE = 0.99  # of the weights, per step
COLUMNS = ("network", "parameters, M", "MFLOP/frame", "steps", "windows seen", "P-MPJPE mm, exact 2D", "with noise")


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print the table, best first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(CANDIDATES)}; by default all")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300.0, help="of processor time for training each")
    parser.add_argument("--views", type=int, default=2, help="of the eight cameras of each test clip that are scored")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    names = list(dict.fromkeys(arguments.networks)) or list(CANDIDATES)
    unknown = [name for name in names if name not in CANDIDATES]
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(CANDIDATES)}")
    if arguments.only:
        print(measure(CANDIDATES[names[0]], arguments.data, arguments.seconds, arguments.views))
        return
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with ThreadPoolExecutor(arguments.at_once) as pool:
        rows = dict(zip(names, pool.map(lambda name: _alone(name, arguments), names), strict=True))
    print("\n".join(sorted(filter(None, rows.values()), key=lambda row: float(row.split("|")[-3]))), flush=True)
    if failed := [name for name, row in rows.items() if not row]:
        raise SystemExit(f"error: not measured, see above: {', '.join(failed)}")


def _alone(name: str, arguments: argparse.Namespace) -> str | None:
    """A network's row, measured in a process of its own; None where that failed, which says why on stderr."""
    given = ["--data", str(arguments.data), "--seconds", str(arguments.seconds), "--views", str(arguments.views)]
    command = [sys.executable, "-m", "benchmarks.architectures", name, "--only", *given]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def measure(candidate: Candidate, data: Path, seconds: float, views: int) -> str:
    """Train and score one network: a row of the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = candidate.make()
    mocap = load_mocap(data / "open_mocap.npz")
    mocap = joined(mocap, procedural(mocap.fps), Options.acted)
    generator = torch.Generator().manual_seed(0)
    source = Views(mocap, candidate.frames, candidate.field, generator)
    steps, average = _train(candidate, network, source, seconds)
    errors = score(candidate, average.module.eval(), load_script(data / "score.py"), views)
    size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    figures = [f"{size:.1f}", f"{_flops(candidate, network) / 1e6:.1f}", str(steps), str(steps * candidate.batch)]
    return f"| {' | '.join([candidate.title, *figures, *(f'{e:.1f}' for e in errors)])} |"


def _train(
    candidate: Candidate, network: torch.nn.Module, views: Views, seconds: float
) -> tuple[int, torch.optim.swa_utils.AveragedModel]:
    """Steps until the processor time is used up; returns how many, and the averaged weights."""
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=averaging, use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=candidate.learning_rate, weight_decay=0.01, fused=True)

    def forward(inputs: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            joints, contacts = candidate.forward(network, inputs, stride)
        return joints.float(), contacts.float()

    began, steps = time.process_time(), 0
    while (passed := (time.process_time() - began) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = candidate.learning_rate * min(1.0, passed / WARMUP + 0.01, (1 - passed) / FALL)
        losses = loss(forward, views.batch(candidate.batch), candidate.stride)
        optimiser.zero_grad()
        losses[0].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update_parameters(network)
        steps += 1
    return steps, average


@torch.no_grad()
def score(candidate: Candidate, network: torch.nn.Module, rules: object, views: int) -> tuple[float, float]:
    """Mean P-MPJPE in mm over joints 0-16 of all frames, exact and with noise."""
    means = []
    for noise in (False, True):
        errors = []
        for number, (_, pixels, joints) in enumerate(rules.views(noise=noise)):
            if number % 8 * views % 8 >= views:
                continue
            errors.append(rules.pmpjpe(_lift(candidate, network, pixels), joints[:, :17].astype(float)))
        means.append(1000 * float(np.concatenate(errors).mean()))
    return means[0], means[1]


def _lift(candidate: Candidate, network: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """(T,23,2) px -> (T,17,3) m in the camera's axes, with the mirrored track's lift averaged in."""
    inputs, turn = normalise(*rays_and_scores(track_from_h36m(pixels, np.arange(len(pixels))), SCORE_CAMERA))
    flip = np.array([-1, 1, 1], np.float32)
    both = torch.from_numpy(np.stack([inputs, inputs[:, INPUT.mirror] * flip]))
    reach = candidate.field // 2
    both = torch.cat([both[:, :1].expand(-1, reach, -1, -1), both, both[:, -1:].expand(-1, reach, -1, -1)], dim=1)
    joints = candidate.whole(network, both).numpy().astype(float)
    joints = (joints[0] + joints[1][:, BODY.mirror] * flip) / 2
    return (joints @ turn)[:, :17]


def _flops(candidate: Candidate, network: torch.nn.Module, frames: int = 270) -> float:
    """Operations per frame of a long track, without the mirrored one."""
    inputs = torch.zeros(1, frames + 2 * (candidate.field // 2), len(INPUT), 3)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        candidate.whole(network.eval(), inputs)
    return counter.get_total_flops() / frames


if __name__ == "__main__":
    main()
