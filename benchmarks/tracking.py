"""How well do tracks keep people apart? Prints tables in Markdown.

    python -m benchmarks.tracking [--data ../shared/data] [--seeds 3]

Four studio actors who hide each other again and again, rendered and detected as any clip is, and as an ideal detector
with noise and dropouts would see them. In each frame actors and tracks are matched by the mean distance of their
keypoints; as CLEAR MOT counts (Bernardin and Stiefelhagen 2008), an actor keeps the track of the last match while it is
near enough, and a switch is an actor whose track is another one than at the last match. Switches that last leave out
the tracks an actor had for less than half a second, mostly while somebody hides them. For the real clips, which have no
truth, the tracks themselves are listed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from detectors.blazepose import BlazePose
from pipeline.clip import open_clip
from pipeline.results import Array, Detections, Track2D
from studio.scenes import build
from studio.truth import Truth
from studio.write import write
from trackers.offline import OfflineTracker

NEAR = 0.25  # of the actor's height in the picture: a track farther away is not this actor
BRIEF_S = 0.5
VISIBLE = 0.3  # share of joints in view from which a person ought to be found
NOISE = ((4.0, 0.05), (8.0, 0.15))  # px for a person 400 px tall, chance to be missed in a frame
CLIPS = ("clips/roof_jump_crossing.mp4", "balance_4views/videos/cam01.mp4", "balance_4views/videos/cam02.mp4")


@dataclass(frozen=True)
class Count:
    """Errors of the tracks of one clip."""

    tracks: int
    switches: int
    lasting: int  # of the switches, those between tracks that an actor had for BRIEF_S or more
    missed: int  # actor-frames in view without a track
    false: int  # track-frames without an actor
    people: int  # actor-frames in view


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3, help="actors and noise of that many scenes")
    arguments = parser.parse_args()
    detector = BlazePose()
    studio(detector, arguments.seeds)
    real(detector, [arguments.data / name for name in CLIPS])


def studio(detector: BlazePose, seeds: int) -> None:
    """The scene `crossing4`, rendered and ideal."""
    print("| crossing4 | seed | tracks of 4 | switches | lasting | missed | false | people-frames |")
    print("|---|---|---|---|---|---|---|---|")
    for seed in range(seeds):
        scene = build("crossing4", seed=seed)
        truth, size = scene.truth(), scene.cameras[0](0.0).size
        with tempfile.TemporaryDirectory(prefix="videopose-tracking-") as scratch:
            path = Path(scratch) / "crossing4.mp4"
            write(scene, path)
            detections = detector.detect(open_clip(path))
        _row("rendered", seed, truth, detections, size)
        for noise, drop in NOISE:
            ideal = truth.detections(noise, drop, seed, least=VISIBLE)
            _row(f"{noise:g} px noise, {100 * drop:g} % lost", seed, truth, ideal, size)


def _row(name: str, seed: int, truth: Truth, detections: Sequence[Detections], size: tuple[int, int]) -> None:
    c = count(OfflineTracker().track(detections, truth.times, size), truth)
    print(
        f"| {name} | {seed} | {c.tracks} | {c.switches} | {c.lasting} | {c.missed} | {c.false} | {c.people} |",
        flush=True,
    )


def count(tracks: Sequence[Track2D], truth: Truth, camera: int = 0) -> Count:
    """Compare tracks of the truth's skeleton with the truth, frame by frame."""
    last: dict[int, int] = {}
    history: dict[int, list[tuple[int, int]]] = {}  # actor -> (track, frames matched) in turn
    missed = false = 0
    in_view = truth.visible[camera].mean(axis=-1) >= VISIBLE  # (A,T)
    for frame in range(len(truth.times)):
        here = [t for t in tracks if 0 <= frame - t.frames[0] < len(t) and t.observed[frame - t.frames[0]]]
        found = np.array([t.keypoints[frame - t.frames[0]] for t in here]).reshape(-1, truth.keypoints.shape[-2], 2)
        partner = match(truth.keypoints[camera, :, frame], found, [last.get(a) for a in range(len(truth.ids))],
                        [t.id for t in here])  # fmt: skip
        for actor, k in partner.items():
            runs = history.setdefault(actor, [])
            same = bool(runs) and runs[-1][0] == here[k].id
            runs[-1:] = [(here[k].id, runs[-1][1] + 1)] if same else [*runs[-1:], (here[k].id, 1)]
            last[actor] = here[k].id
        missed += sum(actor not in partner for actor in np.flatnonzero(in_view[:, frame]))
        false += len(here) - len(partner)
    brief = BRIEF_S / float(np.median(np.diff(truth.times)))
    switches = sum(len(runs) - 1 for runs in history.values())
    lasting = sum(_changes([track for track, frames in runs if frames >= brief]) for runs in history.values())
    return Count(len(tracks), switches, lasting, missed, false, int(in_view.sum()))


def _changes(tracks: Sequence[int]) -> int:
    return sum(one != other for one, other in pairwise(tracks))


def match(actors: Array, found: Array, last: Sequence[int | None], ids: Sequence[int]) -> dict[int, int]:
    """(A,J,2), (F,J,2) px -> which of `found` is which actor, where it is near enough to be anyone.

    Args:
        last: (A,) the track that each actor had last.
        ids: (F,) the tracks that `found` belong to.
    """
    if not len(found):
        return {}
    apart = np.nanmean(np.linalg.norm(actors[:, None] - found[None], axis=-1), axis=-1)
    apart = np.nan_to_num(apart / np.ptp(actors[..., 1], axis=1)[:, None], nan=NEAR)
    kept = np.array([[one == other for other in ids] for one in last])
    cost = np.minimum(apart, NEAR) - len(ids) * (kept & (apart < NEAR))
    return {int(a): int(k) for a, k in zip(*linear_sum_assignment(cost), strict=True) if apart[a, k] < NEAR}


def real(detector: BlazePose, paths: Sequence[Path]) -> None:
    """Every track of real clips: a person who is one from entry to exit has one row."""
    print("\n| clip | track | first frame | last frame | of | seen in % | x at first and last frame, % |")
    print("|---|---|---|---|---|---|---|")
    for path in paths:
        if not path.is_file():
            raise SystemExit(f"{path} is not here; --data names the folder of clips")
        clip = open_clip(path)
        info = clip.info
        for track in OfflineTracker().track(detector.detect(clip), info.times, (info.width, info.height)):
            ends = [100 * float(np.nanmean(track.keypoints[k, :, 0])) / info.width for k in (0, -1)]
            print(f"| {path.stem} | {track.id} | {track.frames[0]} | {track.frames[-1]} | {len(info.times)} | "
                  f"{100 * track.observed.mean():.0f} | {ends[0]:.0f} to {ends[1]:.0f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
