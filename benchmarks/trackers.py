"""How well do the trackers keep people apart, and how fast? Prints tables in Markdown.

    python -m benchmarks.trackers [--data ../shared/data] [--seeds 0 1 2] [--trackers offline ocsort] [--scenes]

Three kinds of clips: `ideal` are six studio scenes (crossing, occlusion, entering and leaving, the same clothes, a
moving camera, ten people) as a good detector would see them, exact joints with noise and dropouts, which asks for
association alone; `rendered` are the same scenes, their pictures seen by the default detector (the first seed only);
`real` are clips with boxes drawn by hand in every tenth frame (benchmarks/labels), seen by the default detector.
Every tracker gets the same detections, and its tracks have short gaps filled as in any run. Scored as
`videopose.py evaluate --tracks`; who is hardly visible or marked as difficult counts neither way.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trackers_clips import Case, ideal, real, rendered
from detectors.blazepose import BlazePose
from pipeline.choices import chosen_class, require
from pipeline.clip import open_clip
from pipeline.errors import MissingError
from pipeline.results import Track2D
from trackers import TRACKERS
from trackers.complete import complete
from training.datasets.tracked import Tracked, people
from training.tracking import pair, score

KINDS = ("ideal", "rendered", "real")
Scores = dict[tuple[str, str], list[dict[str, Any]]]  # of tracker and kind, clip by clip


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of scenes and of their noise")
    parser.add_argument("--trackers", nargs="+", default=list(TRACKERS), choices=list(TRACKERS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--scenes", action="store_true", help="every clip by itself, too")
    arguments = parser.parse_args()
    chosen = [name for name in arguments.trackers if _usable(name)]
    found: Scores = defaultdict(list)
    for kind, case in _cases(arguments.kinds, arguments.seeds, arguments.data):
        for name in chosen:
            found[name, kind].append({"clip": case.name} | measure(name, case))
    _print(chosen, arguments.kinds, found)
    if arguments.scenes:
        _print_clips(chosen, arguments.kinds, found)


def _usable(name: str) -> bool:
    """Is what the tracker needs installed? Says so where it is not. A detector's own ids are no tracker's work."""
    if name == "given":
        return False
    try:
        require("tracker", chosen_class("tracker", name))
    except MissingError as error:
        print(f"left out: {error}\n")
        return False
    return True


def _cases(kinds: Sequence[str], seeds: Sequence[int], data: Path) -> Iterator[tuple[str, Case]]:
    if "ideal" in kinds:
        for seed in seeds:
            yield from (("ideal", case) for case in ideal(seed))
    if {"rendered", "real"} & set(kinds):
        detector = BlazePose()
        if "rendered" in kinds:
            yield from (("rendered", case) for case in rendered(seeds[0], detector))
        if "real" in kinds:
            yield from (("real", case) for case in real(data, detector))


def measure(name: str, case: Case) -> dict[str, Any]:
    """What `training.tracking.score` says of a tracker's tracks, and its `seconds` and `frames`."""
    tracker = chosen_class("tracker", name)()
    needs = {"poses": case.poses} if "poses" in tracker.needs else {}
    with open_clip(case.film()) if "frames" in tracker.needs else nullcontext() as clip:
        needs |= {"frames": clip.frames} if clip is not None else {}
        begin = time.perf_counter()
        tracks = tracker.track(case.detections, case.times, case.size, **needs)
        seconds = time.perf_counter() - begin
    finished = [complete(track, case.times) for track in tracks]
    counted = score(pair(case.truth, as_tracked(finished, len(case.times))))
    return {**counted, "seconds": seconds, "frames": len(case.times)}


def as_tracked(tracks: Sequence[Track2D], frames: int) -> Tracked:
    """Everybody in every frame in which a joint is known."""
    if not tracks:
        nobody = np.zeros(0, int)
        return people(np.arange(frames), nobody, nobody)
    known = [(np.isfinite(t.keypoints).all(-1) & (t.scores > 0)) for t in tracks]
    here = [of.any(-1) for of in known]

    def joined(values: Sequence[Any]) -> Any:
        return np.concatenate([value[rows] for value, rows in zip(values, here, strict=True)])

    points = [np.where(of[..., None], t.keypoints, np.nan) for t, of in zip(tracks, known, strict=True)]
    return people(
        np.arange(frames), joined([t.frames.astype(int) for t in tracks]),
        joined([np.full(len(t), t.id) for t in tracks]), skeleton=tracks[0].skeleton, keypoints=joined(points),
        joint_scores=joined([t.scores for t in tracks]),
    )  # fmt: skip


def _print(trackers: Sequence[str], kinds: Sequence[str], found: Scores) -> None:
    """One row a tracker: means over the clips of a kind, least IDF1, switches of all; frames of all in a second."""
    head = [f"{kind}: IDF1 (least), HOTA, MOTA, switches" for kind in kinds]
    print("| tracker | " + " | ".join(head) + " | frames/s |")
    print("|---" * (len(kinds) + 2) + "|")
    for name in trackers:
        cells = [_summary(found[name, kind]) for kind in kinds]
        every = [row for kind in kinds for row in found[name, kind]]
        pace = sum(row["frames"] for row in every) / sum(row["seconds"] for row in every)
        print(f"| {name} | " + " | ".join(cells) + f" | {pace:.0f} |", flush=True)


def _summary(rows: Sequence[dict[str, Any]]) -> str:
    idf1, hota, mota = (np.array([row[figure] for row in rows]) for figure in ("idf1", "hota", "mota"))
    return (f"{idf1.mean():.3f} ({idf1.min():.3f}), {hota.mean():.3f}, {mota.mean():.3f}, "
            f"{sum(row['switches'] for row in rows)}")  # fmt: skip


def _print_clips(trackers: Sequence[str], kinds: Sequence[str], found: Scores) -> None:
    print("\n| clip | tracker | IDF1 | HOTA | DetA | AssA | MOTA | switches | fragments | missed | false | tracks of |")
    print("|---" * 12 + "|")
    for kind in kinds:
        for rows in zip(*(found[name, kind] for name in trackers), strict=True):
            for name, r in zip(trackers, rows, strict=True):
                print(f"| {kind} {r['clip']} | {name} | {r['idf1']:.3f} | {r['hota']:.3f} | {r['deta']:.3f} | "
                      f"{r['assa']:.3f} | {r['mota']:.3f} | {r['switches']} | {r['fragments']} | {r['missed']} | "
                      f"{r['false']} | {r['tracks']} of {r['people']} |")  # fmt: skip


if __name__ == "__main__":
    main()
