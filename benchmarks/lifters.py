"""How fast do the field's lifters lift whole tracks, against one window per frame? Prints tables in Markdown.

    python -m benchmarks.lifters [NETWORK...] [--rounds 5] [--threads 2] [--long 2000]

Weights and input are random: neither speed nor differences depend on what a network has learnt. The plain loop runs
the same network in PyTorch on one window per frame. Loop, whole track in PyTorch, whole track by OpenVINO and a
matrix product (the processor's own speed) take turns, so that a machine that slows down slows all; medians are
compared. Operations are counted by PyTorch's counter on tensors without values. Every network is a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.lifters_networks import CASES, WINDOW, Case, difference, random_network
from lifters.networks.compiled import Compiled

ROOT = Path(__file__).parent.parent
COUNTED = 1024  # frames of the track whose operations are counted
ROWS, INNER, COLUMNS = 4096, 512, 512  # of the matrix product
SPEED = (
    "network", "plain loop, frames/s", "whole track, PyTorch", "OpenVINO", "times the loop: PyTorch", "OpenVINO",
    "sharing alone", "largest difference",
)  # fmt: skip
COST = (
    "network", "parameters, M", "MFLOP/frame, loop", "whole track", "of the matrix product's speed: loop", "PyTorch",
    "OpenVINO", "compiling, s", "peak memory, MB, {0} frames", "{1} frames",
)  # fmt: skip


def main() -> None:
    """Parse the command line, measure every network in a process of its own, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--long", type=int, default=2000, help="frames of the track whose peak memory is measured")
    parser.add_argument("--only", choices=("speed", "peak"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.networks or list(CASES)
    unknown = [name for name in names if name not in CASES]
    if unknown:
        parser.error(f"no network {', '.join(unknown)}; there are {', '.join(CASES)}")
    torch.set_num_threads(arguments.threads)
    torch.set_grad_enabled(False)
    if arguments.only == "peak":
        print(peak_memory(CASES[names[0]], arguments.long))
    elif arguments.only == "speed":
        print("\n".join(measure(CASES[names[0]], arguments.rounds)))
    else:
        compare(names, arguments)


def compare(names: list[str], arguments: argparse.Namespace) -> None:
    """Print the table of speeds row by row, then that of costs."""
    short = arguments.long // 4
    print(f"{arguments.threads} threads, {arguments.rounds} rounds\n")
    print(_row(SPEED), "|---" * len(SPEED) + "|", sep="\n", flush=True)
    costs = []
    for name in names:
        speed, cost = _child(name, arguments, "speed").splitlines()
        print(speed, flush=True)
        peaks = [_child(name, arguments, "peak", f"--long={frames}").strip() for frames in (short, arguments.long)]
        costs.append(f"{cost} {' | '.join(peaks)} |")
    head = _row(COST).format(short, arguments.long)
    print("", head, "|---" * len(COST) + "|", *costs, sep="\n", flush=True)


def measure(case: Case, rounds: int) -> tuple[str, str]:
    """The network's row of either table; that of the second lacks the memory."""
    network = random_network(case)
    track = 2 * torch.rand(1, case.timed, 17, case.features) - 1
    ways: dict[str, Callable[[], object]] = {
        "product": _product(),
        "loop": lambda: [case.loop(network, track[:, first : first + WINDOW]) for first in range(case.loops)],
        "torch": lambda: case.whole(network, track, None),
    }
    lifted, compiling = [ways["torch"]()], 0.0
    if case.method:
        run = Compiled(network, case.method)
        ways["openvino"] = lambda: case.whole(network, track, run)
        compiling = _seconds(ways["openvino"]) - _seconds(ways["openvino"])
        lifted.append(ways["openvino"]())
    worst = max(difference(case, network, track, out) for out in lifted)
    seconds = _take_turns(ways, rounds)
    done = {"product": 1, "loop": case.loops}
    rates = {way: done.get(way, case.timed) / seconds[way] for way in ways}  # per second: frames, or products
    flops = _flops(case)
    costs = [f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f}", f"{flops[0] / 1e6:.0f}"]
    costs += [f"{flops[1] / 1e6:.1f}", *_shares(rates, flops), f"{compiling:.0f}" if case.method else "-"]
    return _speed_row(case, rates, flops, worst), _row((case.title, *costs))


def peak_memory(case: Case, frames: int) -> int:
    """MB that this process had at most, after it lifted a track, by OpenVINO where that is a way."""
    try:
        import resource
    except ImportError as error:
        raise SystemExit(
            "error: this system does not tell how much memory was used; run it on Linux or macOS"
        ) from error
    network = random_network(case)
    run = Compiled(network, case.method) if case.method else None
    case.whole(network, torch.rand(1, frames, 17, case.features), run)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform != "darwin" else 1024**2)


def _child(name: str, arguments: argparse.Namespace, only: str, *more: str) -> str:
    options = [f"--rounds={arguments.rounds}", f"--threads={arguments.threads}", f"--only={only}", *more]
    command = [sys.executable, "-m", "benchmarks.lifters", name, *options]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _product() -> Callable[[], object]:
    rows, weight = torch.rand(ROWS, INNER), torch.rand(COLUMNS, INNER)
    return lambda: functional.linear(rows, weight)


def _take_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each way."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for way in [*ways] * rounds:
        taken[way].append(_seconds(ways[way]))
    return {way: statistics.median(values) for way, values in taken.items()}


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _flops(case: Case, frames: int = COUNTED) -> tuple[int, float]:
    """Operations per frame (two for a multiplication with addition) of the loop and of a track."""
    network = case.make().eval().to("meta")

    def count(work: Callable[[nn.Module], object]) -> int:
        with FlopCounterMode(display=False) as counter:
            work(network)
        return counter.get_total_flops()

    window, track = (torch.empty(1, length, 17, case.features, device="meta") for length in (WINDOW, frames))
    return count(lambda net: case.loop(net, window)), count(lambda net: case.whole(net, track, None)) / frames


def _shares(rates: dict[str, float], flops: tuple[int, float]) -> list[str]:
    """What loop and whole track reach of the operations per second that a matrix product reaches."""
    product = rates["product"] * 2 * ROWS * INNER * COLUMNS
    work = {"loop": flops[0], "torch": flops[1], "openvino": flops[1]}
    return [f"{100 * rates[way] * work[way] / product:.0f} %" if way in rates else "-" for way in work]


def _speed_row(case: Case, rates: dict[str, float], flops: tuple[int, float], worst: float) -> str:
    both = [rates.get(way) for way in ("torch", "openvino")]
    frames = [f"{rate:.1f}" if rate else "-" for rate in both]
    times = [f"{rate / rates['loop']:.1f}" if rate else "-" for rate in both]
    return _row((case.title, f"{rates['loop']:.2f}", *frames, *times, f"{flops[0] / flops[1]:.2f}", f"{worst:.0e}"))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
