"""How fast is a run, compared with MediaPipe's own loop on the same clip? Prints tables in Markdown.

    python -m benchmarks.speed CLIP... [--rounds 5]

Ours and the rival's runs alternate, so that a machine that slows down slows both; medians are compared. Models are
loaded before the clock starts, decoding is inside it, on both sides. The rival (mediapipe 0.10.14, 2D of one person,
nothing written) gets an environment of its own under benchmarks/results/.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.drawing import drawing_times
from pipeline.clip import open_clip
from pipeline.options import Options
from pipeline.results import Scene
from pipeline.runner import Runner

ROOT = Path(__file__).parent.parent
RIVAL = ROOT / "benchmarks" / "results" / "rival"


def main() -> None:
    """Parse the command line, run the rounds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rival = start_rival()
    for clip in arguments.clips:
        compare(clip, arguments.rounds, rival)
    rival.stdin.close()
    rival.wait()


def start_rival() -> subprocess.Popen:
    """MediaPipe in its own environment, which is made when it is not there yet."""
    python = RIVAL / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(RIVAL)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "mediapipe==0.10.14", "numpy<2"], check=True)
    script = str(ROOT / "benchmarks" / "rival_mediapipe.py")
    pipe = subprocess.PIPE
    return subprocess.Popen([str(python), script], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def compare(path: Path, rounds: int, rival: subprocess.Popen) -> None:
    """Alternate our 2D stage, our whole run and the rival's loop; print medians and ratios."""
    seconds: dict[str, list[float]] = {"ours, 2D": [], "ours, whole run": [], "MediaPipe loop": []}
    stages: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="videopose-speed-") as scratch:
        runner = Runner(Options(out=Path(scratch), overwrite=True))
        scene = runner.run(path)
        for _ in range(rounds):
            seconds["MediaPipe loop"].append(_rival_round(rival, path))
            seconds["ours, 2D"].append(_detect_round(runner, path))
            begin = time.perf_counter()
            done = runner.run(path)
            seconds["ours, whole run"].append(time.perf_counter() - begin)
            stages.append(done.provenance["seconds_per_stage"])
    frames = len(scene.clip.times)
    print(f"\n{path.name}: {frames} frames, {len(scene.people)} people, {runner.detector.device}, {rounds} rounds\n")
    _print_comparison(seconds, frames)
    _print_stages(stages, scene, path)
    with open_clip(path) as clip:
        ours, usual, lean = (1000 * value for value in drawing_times(scene, clip.read(0)))
    print(
        f"\ndrawing one film frame, ms of processor time: ours {ours:.2f}, matplotlib's usual artists {usual:.1f}",
        end="",
    )
    print(f" ({usual / ours:.0f} times), one collection a layer {lean:.1f} ({lean / ours:.0f} times)", flush=True)


def _rival_round(rival: subprocess.Popen, path: Path) -> float:
    rival.stdin.write(f"{path.resolve()}\n")
    rival.stdin.flush()
    return float(rival.stdout.readline())


def _detect_round(runner: Runner, path: Path) -> float:
    begin = time.perf_counter()
    with open_clip(path) as clip:
        runner.detector.detect(clip)
    return time.perf_counter() - begin


def _print_comparison(seconds: dict[str, list[float]], frames: int) -> None:
    rival = statistics.median(seconds["MediaPipe loop"])
    print("| | ms/frame, median (min - max) | frames/s | time / MediaPipe's |\n|---|---|---|---|")
    for name, values in seconds.items():
        low, middle, high = (1000 * f(values) / frames for f in (min, statistics.median, max))
        ratio = statistics.median(values) / rival
        print(f"| {name} | {middle:.1f} ({low:.1f} - {high:.1f}) | {1000 / middle:.0f} | {ratio:.2f} |")


def _print_stages(stages: list[dict[str, float]], scene: Scene, path: Path) -> None:
    frames = len(scene.clip.times)
    begin = time.perf_counter()
    with open_clip(path) as clip:
        decoded = sum(1 for _ in clip.frames())
    decode = time.perf_counter() - begin
    print("\n| stage | ms/frame | frames/s |\n|---|---|---|")
    print(f"| decode alone | {1000 * decode / decoded:.2f} | {decoded / decode:.0f} |")
    for name in stages[0]:
        value = statistics.median(stage[name] for stage in stages)
        print(f"| {name} | {1000 * value / frames:.2f} | {frames / max(value, 1e-9):.0f} |")


if __name__ == "__main__":
    main()
