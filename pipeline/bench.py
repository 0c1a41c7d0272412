"""Time every stage of full runs on this machine."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from pipeline.clip import open_clip
from pipeline.options import Options
from pipeline.runner import Progress, Runner


def measure(path: Path, repeats: int, progress: Progress | None = None) -> tuple[dict[str, float], int, str]:
    """Median seconds per stage over `repeats` runs with loaded models, the number of frames, and the device.

    Raises:
        VideoposeError: as a run does.
    """
    with tempfile.TemporaryDirectory(prefix="videopose-bench-") as scratch:
        runner = Runner(Options(out=Path(scratch), overwrite=True), progress)
        runner.run(path)  # loads the models; not counted
        rounds = [_one_round(runner, path) for _ in range(repeats)]
        frames, device = rounds[0][1], runner.detector.device
    names = rounds[0][0]
    return {name: statistics.median(r[0][name] for r in rounds) for name in names}, frames, device


def _one_round(runner: Runner, path: Path) -> tuple[dict[str, float], int]:
    begin = time.perf_counter()
    with open_clip(path) as clip:
        frames = sum(1 for _ in clip.frames())
    decode = time.perf_counter() - begin
    begin = time.perf_counter()
    scene = runner.run(path)
    whole = time.perf_counter() - begin
    return {"decode": decode, **scene.provenance["seconds_per_stage"], "whole run": whole}, frames


def table(seconds: dict[str, float], frames: int, device: str) -> str:
    """The measurement as text."""
    rows = [f"{frames} frames, {device}", f"{'stage':12s} {'seconds':>9s} {'ms/frame':>9s} {'frames/s':>9s}"]
    for name, value in seconds.items():
        per_second = f"{frames / value:9.0f}" if value else f"{'-':>9s}"
        rows.append(f"{name:12s} {value:9.3f} {1000 * value / frames:9.2f} {per_second}")
    rows.append("decode is decoding alone, and part of detect and mp4 too")
    return "\n".join(rows)
