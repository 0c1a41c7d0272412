"""How does the 2D detector err? Films studio actors, whose joints are known exactly, and fits a model of the errors.

    python -m benchmarks.detector_errors [--data ../shared/data/mocap/open_mocap.npz] [--clips 60] [--out FILE]

Single actors in motion recorded from the training subjects, and in the kinds of motion that training acts, before
random cameras; rendered, detected and tracked as any clip is. Prints a table per joint; `--out` writes the numbers that
training draws errors from (`training/blazepose_errors.json`). `--keep FILE` keeps the samples, which take all the time,
and `--from FILE` fits kept ones again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detector_errors_film import Sample, film, load, save, scenes
from benchmarks.detector_errors_fit import PARTS, SIDES, exact, fit
from detectors.blazepose import BlazePose
from pipeline.files import atomic
from trackers.offline import OfflineTracker

DATA = Path(__file__).parents[2] / "shared" / "data" / "mocap" / "open_mocap.npz"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, print the tables, write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="recorded motion")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the fitted numbers, JSON")
    parser.add_argument("--keep", type=Path, help="the samples, NPZ")
    parser.add_argument("--from", type=Path, dest="kept", help="samples that were kept")
    a = parser.parse_args(arguments)
    if a.kept and not a.kept.is_file():
        raise SystemExit(f"error: {a.kept} is not here; --keep writes such a file")
    if not a.kept and not a.data.is_file():
        raise SystemExit(f"error: {a.data} is not here; --data names the recorded motion")
    samples = load(a.kept) if a.kept else measure(a.data, a.clips, a.seed)
    if not samples:
        raise SystemExit("error: nobody was found in any clip")
    if a.keep:
        save(samples, a.keep)
    table = fit(samples)
    print(describe(samples, table))
    if a.out:
        with atomic(a.out) as temporary:
            temporary.write_text(written(table), encoding="utf-8")


def measure(data: Path, clips: int, seed: int) -> list[Sample]:
    """Render and detect; tells of every clip. Raises InputError: `data` cannot be read."""
    detector, tracker, samples = BlazePose(), OfflineTracker(), []
    with tempfile.TemporaryDirectory(prefix="videopose-errors-") as scratch:
        for number, scene in enumerate(scenes(data, clips, seed), start=1):
            sample = film(scene, detector, tracker, Path(scratch))
            told = "nobody found"
            if sample is not None:
                samples.append(sample)
                told = f"{100 * np.nanmedian(_size(sample)):.1f} % of the person's height"
            print(f"clip {number} of {clips}: {told}", flush=True)
    return samples


def _size(sample: Sample) -> np.ndarray:
    """(T,21) errors in heights."""
    return np.linalg.norm(sample.rays[:, :21] - exact(sample), axis=-1) / sample.height


def describe(samples: Sequence[Sample], table: dict[str, Any]) -> str:
    """Tables in Markdown; lengths in thousandths of the person's height."""
    head = ("median", "rms", "clip", "slow", "corr", "quick", "corr", "hidden", "leaps/s", "frames", "size", "score")
    lines = [f"{table['clips']} clips, {table['frames']} frames; errors in thousandths of the height", ""]
    lines += [f"| joint | {' | '.join(head)} | leans on |", "|---" * (len(head) + 2) + "|"]
    sizes = np.concatenate([_size(sample) for sample in samples])
    scores = np.concatenate([sample.scores for sample in samples])
    for part in PARTS:
        row, own = table["joints"][part], sizes[:, SIDES[part]]
        values = [1000 * np.nanmedian(own), 1000 * np.sqrt(np.nanmean(own**2) / 2)]
        for name in ("clip", "slow", "quick"):
            values += [1000 * row[f"{name}_sd"], row.get(f"{name}_correlation")]
        values.remove(None)
        values += [row["hidden"], row["bursts_per_second"], row["burst_frames"], 1000 * row["burst_sd"]]
        values.append(scores[:, SIDES[part]].mean())
        leans = ", ".join(f"{name} {weight:+.2f}" for name, weight in row["mix"].items())
        if any(row["offset"]):
            leans = f"left, up, forward {', '.join(f'{1000 * v:+.0f}' for v in row['offset'])} mm; {leans}"
        lines.append(f"| {part} | " + " | ".join(f"{v:.3g}" for v in values) + f" | {leans} |")
    lines += ["", *(f"{name}: {table[name]}" for name in ("spread", "exchanged"))]
    return "\n".join(lines)


def written(table: dict[str, Any]) -> str:
    """JSON, a line for each joint and each row of the correlation."""
    parts = [f"  {json.dumps(part)}: {json.dumps(row)}" for part, row in table["joints"].items()]
    rows = [f"  {json.dumps(row)}" for row in table["correlation"]]
    rest = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in table.items() if k not in ("joints", "correlation")]
    joined = ",\n".join
    lists = [' "joints": {\n' + joined(parts) + "\n }", ' "correlation": [\n' + joined(rows) + "\n ]"]
    return "{\n" + joined([*rest, *lists]) + "\n}\n"


if __name__ == "__main__":
    main()
