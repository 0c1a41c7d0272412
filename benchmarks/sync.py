"""How well are the clocks of several views found? Prints tables in Markdown.

    python -m benchmarks.sync tracks --data ../shared/data     2D of real footage, cut, shifted, resampled
    python -m benchmarks.sync videos --data ../shared/data     the same on videos written anew, through detection
    python -m benchmarks.sync studio                           synthetic scenes of several people, with noise
    python -m benchmarks.sync refusals --data ../shared/data   views that do not belong together must be refused

Of `balance_4views` every view is cut and begins at a random moment, is sampled at a random rate (60, 50, 30, 29.97 or
25 frames/s) at moments between the original's, gets noise and is lifted anew. The original's four views are taken for
synchronous. An error is counted in frames of the faster of the view's and the first view's clip.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from lifters.videopose3d import VideoPose3D
from motion.camera import default_camera
from multiview.clock import on_clock
from multiview.rig import read_rig
from multiview.rig_fit import fit_rig
from multiview.sync import Clocks, synchronise
from pipeline.clip import Clip, open_clip
from pipeline.options import Options
from pipeline.results import Array, Camera, Motion3D, Track2D
from pipeline.runner import Runner
from pipeline.syncing import people_of
from studio.scenes import build
from trackers.offline import OfflineTracker

RATES = (60.0, 50.0, 30.0, 29.97, 25.0)
NOISE_PX = 1.0
SLOW_TRIALS = 3
SCENES = (("multiview4", 1), ("multiview4", 2), ("dance", 1), ("dance", 2), ("crossing4", 1), ("walk", 1))


@dataclass(frozen=True)
class Seen:
    """One view: people in 2D and lifted, and the times of its frames."""

    tracks: list[Track2D]
    motions: list[Motion3D]
    times: Array


@dataclass(frozen=True)
class Cut:
    """What becomes of a view: its clock begins at `begin` s of the scene, and it has these own times."""

    begin: float
    times: Array
    rate: float


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tracks", "videos", "studio", "refusals"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args(given)
    if arguments.what == "studio":
        studio(arguments.trials)
        return
    folder = arguments.data / "balance_4views"
    if not folder.is_dir():
        raise SystemExit(f"error: {folder} is not here; --data names its folder")
    with tempfile.TemporaryDirectory(prefix="videopose-sync-") as scratch:
        runner = Runner(Options(out=Path(scratch), formats=()))
        files = [folder / "videos" / f"cam{number:02d}.mp4" for number in range(1, 5)]
        if arguments.what == "tracks":
            tracks(runner, files, arguments.trials, folder / "cameras.toml")
        elif arguments.what == "videos":
            videos(runner, files, min(arguments.trials, SLOW_TRIALS), Path(scratch))
        else:
            refusals(runner, files, arguments.data)


# ---- real footage ---------------------------------------------------------------------------------------------------


def tracks(runner: Runner, files: Sequence[Path], trials: int, rig: Path) -> None:
    """The detector runs once; its tracks are cut, shifted and resampled."""
    views, guesses = zip(*(_seen(runner, file) for file in files), strict=True)
    sizes = [guess.size for guess in guesses]
    cameras, _ = fit_rig(read_rig(rig), sizes, [str(file) for file in files])
    table = _Table("cameras unknown", "cameras known")
    for trial in range(trials):
        rng = np.random.default_rng([trial, 41])
        cuts = [_cut(rng, view.times[-1], first=v == 0) for v, view in enumerate(views)]
        cut = [_resampled(*part, rng) for part in zip(views, cuts, guesses, strict=True)]
        table.row(trial, cuts, _sync(cut), _sync(cut, cameras))
    table.end()


def _seen(runner: Runner, file: Path) -> tuple[Seen, Camera]:
    info, people, motions = people_of(runner, file)
    return Seen(people, motions, info.times), default_camera((info.width, info.height))


def _cut(rng: np.random.Generator, end: float, first: bool, least: float = 1.1) -> Cut:
    """The middle of the clip stays in every view; the first view keeps the original's moments."""
    begin = rng.uniform(0, (end - least) / 2)
    last = rng.uniform(end - (end - least) / 2, end)
    rate = 60.0 if first else float(rng.choice(RATES))
    if first:
        begin = np.floor(begin * 60) / 60
    return Cut(float(begin), np.arange(0, last - begin, 1 / rate), rate)


def _resampled(view: Seen, cut: Cut, camera: Camera, rng: np.random.Generator) -> Seen:
    """Keypoints at the moments of the cut, with noise, lifted anew."""
    lifter, people, motions = _lifter(), [], []
    for track in view.tracks:
        moved = on_clock(track, view.times, cut.times, -cut.begin)
        noise = rng.normal(size=moved.keypoints.shape) * NOISE_PX
        moved = replace(moved, keypoints=(moved.keypoints + noise).astype(np.float32), presence=None, world=None)
        people.append(moved)
        motions.append(lifter.lift(moved, camera, cut.times))
    return Seen(people, motions, cut.times)


_LIFTERS: list[VideoPose3D] = []


def _lifter() -> VideoPose3D:
    if not _LIFTERS:
        _LIFTERS.append(VideoPose3D())
    return _LIFTERS[0]


def _sync(views: Sequence[Seen], cameras: Sequence[Camera] | None = None) -> Clocks:
    return synchronise([v.motions for v in views], [v.tracks for v in views], [v.times for v in views], cameras)


def videos(runner: Runner, files: Sequence[Path], trials: int, scratch: Path) -> None:
    """Videos written anew: cut, with other frame rates, frames mixed of the original's two nearest."""
    table = _Table("cameras unknown")
    clips = [open_clip(file) for file in files]
    for trial in range(trials):
        rng = np.random.default_rng([trial, 43])
        cuts = [_cut(rng, clip.info.times[-1], first=v == 0) for v, clip in enumerate(clips)]
        views = []
        for number, (clip, cut) in enumerate(zip(clips, cuts, strict=True)):
            path = scratch / f"trial{trial}_view{number + 1}.mp4"
            write_cut(clip, cut, path)
            views.append(_seen(runner, path)[0])
        table.row(trial, cuts, _sync(views))
    table.end()


def write_cut(clip: Clip, cut: Cut, path: Path) -> None:
    """Encode the moments of a cut: each picture is mixed of the two around it."""
    own, wanted = clip.info.times, cut.begin + cut.times
    size = clip.info.width - clip.info.width % 2, clip.info.height - clip.info.height % 2
    after = np.clip(np.searchsorted(own, wanted), 1, len(own) - 1)
    share = (wanted - own[after - 1]) / (own[after] - own[after - 1])
    pictures = dict(enumerate(clip.frames(int(after[0]) - 1, int(after[-1]) + 1), int(after[0]) - 1))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(cut.rate).limit_denominator(1001), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for row, part in zip(after, share, strict=True):
            mixed = cv2.addWeighted(pictures[row - 1], 1 - part, pictures[row], part, 0)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(mixed[: size[1], : size[0]]), format="bgr24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


# ---- synthetic scenes -----------------------------------------------------------------------------------------------


def studio(trials: int) -> None:
    """Several people, four cameras (or the scene's one and three more), 3 px noise, 5 % of the detections lost."""
    table = _Table("cameras unknown", "cameras known", what="scene")
    for name, seed in SCENES[: max(trials, 1)]:
        rng = np.random.default_rng([seed, 47])
        cuts, views, cameras = [], [], []
        for number in range(4):
            rate = 30.0 if number == 0 else float(rng.choice(RATES))
            scene = build(name, seed=seed, fps=rate, duration=6.0)
            begin = 0.0 if number == 0 else float(rng.uniform(0.1, 2.0))
            path = scene.cameras[number] if len(scene.cameras) == 4 else _round(scene.cameras[0], number)
            scene = replace(scene, times=np.arange(begin, 6.0, 1 / rate), cameras=(path,))
            cuts.append(Cut(begin, scene.times - begin, rate))
            views.append(_ideal(scene, cuts[-1].times, seed + number))
            cameras.append(scene.cameras[0](0.0))
        table.row(f"{name} {seed}", cuts, _sync(views), _sync(views, cameras))
    table.end()


def _round(path: object, number: int):  # noqa: ANN202
    """The scene's camera, turned round the room by quarters."""
    turn = np.eye(4)
    c, s = np.cos(number * 1.4), np.sin(number * 1.4)
    turn[:2, :2] = [[c, -s], [s, c]]

    def moved(t: float) -> Camera:
        camera = path(t)
        return replace(camera, camera_to_world=turn @ camera.camera_to_world)

    return moved


def _ideal(scene: object, times: Array, seed: int) -> Seen:
    """What a good detector, our tracker and our lifter make of it."""
    truth, camera = scene.truth(), scene.cameras[0](0.0)
    people = OfflineTracker().track(truth.detections(3.0, 0.05, seed), times, camera.size)
    return Seen(people, [_lifter().lift(track, camera, times) for track in people], times)


# ---- what must be refused -------------------------------------------------------------------------------------------


def refusals(runner: Runner, files: Sequence[Path], data: Path) -> None:
    """Views that have nothing to do with each other."""
    one, two = (_seen(runner, file)[0] for file in files[:2])
    camera = default_camera((1080, 1920))
    rng = np.random.default_rng(5)
    cases = {"the same scene (must not be refused)": [one, two]}
    frozen = [replace(t, keypoints=np.repeat(t.keypoints[:1], len(t), axis=0)) for t in two.tracks]
    cases["one view frozen"] = [one, Seen(frozen, [_lifter().lift(t, camera, two.times) for t in frozen], two.times)]
    halves = [Cut(0.0, np.arange(48) / 60, 60.0), Cut(0.85, np.arange(48) / 60, 60.0)]
    cases["no common time"] = [_resampled(v, c, camera, rng) for v, c in zip((one, two), halves, strict=True)]
    cases["nobody in one view"] = [one, Seen([], [], two.times)]
    for name in ("roof_jump_crossing.mp4", "squats.mp4"):
        if (data / "clips" / name).is_file():
            cases[f"another scene: {name}"] = [one, _seen(runner, data / "clips" / name)[0]]
    for name in ("walk", "run", "wave", "dance", "squat", "crossing4"):
        scene = build(name, seed=3, duration=6.0)
        cases[f"another scene: studio {name}"] = [one, _ideal(scene, scene.times, 3)]
    for a, b in (("walk", "crossing4"), ("dance", "wave"), ("squat", "jump"), ("walk", "multiview4")):
        sides = [build(name, seed=3 + k, duration=6.0) for k, name in enumerate((a, b))]
        cases[f"studio {a} against {b}"] = [_ideal(scene, scene.times, 3) for scene in sides]
    print("| views | refused | agreement | ratio | depth | reason |\n|---|---|---|---|---|---|")
    for name, views in cases.items():
        clocks = _sync(views)
        pair = clocks.relations[0]
        verdict = "no" if clocks.reliable[1] else "yes"
        print(
            f"| {name} | {verdict} | {pair.agreement:.2f} | {pair.ratio:.2f} | {pair.depth:.2f} | {clocks.reasons[1]} |"
        )


# ---- tables ---------------------------------------------------------------------------------------------------------


class _Table:
    """One row per trial, and what all have in common at the end."""

    def __init__(self, *ways: str, what: str = "trial") -> None:
        self.ways, self.errors, self.own = ways, [[] for _ in ways], [[] for _ in ways]  # frames of the faster, own
        columns = [what, "frames/s", "true offsets s", *(f"{way}: errors in frames, (confidence)" for way in ways)]
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")

    def row(self, name: object, cuts: Sequence[Cut], *found: Clocks) -> None:
        true = np.array([cut.begin - cuts[0].begin for cut in cuts])
        frame = 1 / np.array([max(cut.rate, cuts[0].rate) for cut in cuts])
        cells = [
            str(name),
            ", ".join(f"{cut.rate:g}" for cut in cuts),
            ", ".join(f"{value:+.3f}" for value in true[1:]),
        ]
        for kept, own, clocks in zip(self.errors, self.own, found, strict=True):
            errors = (clocks.offset_s - true)[1:] / frame[1:]
            kept.append(np.where(clocks.reliable[1:], errors, np.inf))
            own.append(np.abs(kept[-1]) * frame[1:] * [cut.rate for cut in cuts[1:]])
            told = [f"{e:+.2f} ({c:.2f})" for e, c in zip(errors, clocks.confidence[1:], strict=True)]
            cells.append(", ".join(told))
        print(f"| {' | '.join(cells)} |", flush=True)

    def end(self) -> None:
        for way, errors, own in zip(self.ways, self.errors, self.own, strict=True):
            size = np.abs(errors)
            worst, every = size.max(axis=1), size.ravel()
            known = np.ma.masked_invalid(errors)
            means = ", ".join(
                f"{mean:+.2f} +- {spread:.2f}" for mean, spread in zip(known.mean(0), known.std(0), strict=True)
            )
            print(
                f"\n{way}: all views within 0.5 frame in {int((worst <= 0.5).sum())} of {len(worst)} trials "
                f"(of the view's own frames in {int((np.max(own, axis=1) <= 0.5).sum())}); "
                f"median error {np.median(every):.2f}, largest {every.max():.2f} frames; "
                f"refused {int(np.isinf(every).sum())} of {every.size} views; "
                f"each view's mean and spread {means}"
            )


if __name__ == "__main__":
    main()
