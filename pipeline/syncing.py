"""The command `sync`: when do several clips show the same moment?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from multiview.sync import Clocks, synchronise
from pipeline.clip import open_clip
from pipeline.clip_stages import ClipStages
from pipeline.errors import UsageError
from pipeline.ledger import Ledger
from pipeline.results import Camera, ClipInfo, Motion3D, Track2D
from pipeline.runner import Runner, claim_folder
from pipeline.sound import read_sound
from pipeline.sources import release

log = logging.getLogger("videopose")


def people_of(runner: Runner, path: Path) -> tuple[ClipInfo, list[Track2D], list[Motion3D]]:
    """A clip's times, and its people in 2D and as lifted (frame "root").

    The tracks come from the clip's cache where a run left them there, and are left there for the next.

    Raises:
        VideoposeError: as a run does.
    """
    with open_clip(path) as clip:
        runner.prepare()
        home, facts = claim_folder(runner.options, path)
        try:
            ledger = Ledger(home, overwrite=runner.options.overwrite)
            tracks, _ = ClipStages(runner, path, clip, facts["clip_sha256"], ledger).tracks()
            apart = ClipStages(
                runner, path, clip, facts["clip_sha256"], Ledger(home, "sync")
            )  # no result of the clip's
            return clip.info, tracks, apart.lifted(tracks, apart.camera())
        finally:
            release(home)


def sync(
    runner: Runner, paths: Sequence[Path], rig: Path | None = None, tell: Callable[[int], None] = lambda number: None
) -> tuple[Clocks, list[ClipInfo]]:
    """The clocks of clips of one scene, the first's being the scene's.

    Args:
        rig: a calibration of the cameras.
        tell: hears the number of each clip before it is looked at.

    Raises:
        UsageError: fewer than two clips.
        VideoposeError: as a run does.
    """
    if len(paths) < 2:
        raise UsageError("sync needs two videos or more", "the first one's clock is that of the scene")
    views = []
    for number, path in enumerate(paths):
        tell(number)
        views.append(people_of(runner, path))
    infos = [info for info, _, _ in views]
    cameras = None if rig is None else _cameras(rig, infos)
    clocks = synchronise(
        [motions for _, _, motions in views], [tracks for _, tracks, _ in views], [info.times for info in infos],
        cameras, [read_sound(path) for path in paths],
    )  # fmt: skip
    return clocks, infos


def _cameras(rig: Path, infos: Sequence[ClipInfo]) -> list[Camera]:
    """A calibration's cameras at the clips' sizes. Raises VideoposeError."""
    from multiview.rig import read_rig
    from multiview.rig_fit import fit_rig

    sizes, names = [(info.width, info.height) for info in infos], [info.path for info in infos]
    cameras, warnings = fit_rig(read_rig(rig), sizes, names)
    for text in warnings:
        log.warning("%s: %s", rig, text)
    return cameras


def table(clocks: Clocks, infos: Sequence[ClipInfo]) -> str:
    """As text, a row per clip."""
    width = max(len(info.path) for info in infos)
    rows = [f"{'view':{width}s} {'offset s':>9s} {'frames':>8s} {'rate':>9s} {'confidence':>10s}  method"]
    for v, info in enumerate(infos):
        if clocks.reliable[v]:
            row = f"{clocks.offset_s[v]:+9.4f} {clocks.offset_s[v] * info.fps:+8.2f} {clocks.rate[v]:9.6f}"
            rows.append(
                f"{info.path:{width}s} {row} {clocks.confidence[v]:10.2f}  {clocks.methods[v] if v else 'the clock'}"
            )
        else:
            rows.append(f"{info.path:{width}s} {'-':>9s} {'-':>8s} {'-':>9s} {0:10.2f}  refused: {clocks.reasons[v]}")
    return "\n".join(rows)


def as_json(clocks: Clocks, infos: Sequence[ClipInfo]) -> list[dict[str, Any]]:
    """For machines: a record per clip, None where nothing is known."""
    from pipeline.report import finite

    return finite(
        [
            {
                "video": info.path,
                "offset_s": round(float(clocks.offset_s[v]), 5),
                "offset_frames": round(float(clocks.offset_s[v]) * info.fps, 3),
                "rate": round(float(clocks.rate[v]), 7),
                "confidence": round(float(clocks.confidence[v]), 3),
                "reliable": bool(clocks.reliable[v]),
                "reason": clocks.reasons[v],
                "method": clocks.methods[v],
                "sound_offset_s": round(float(clocks.sound_s[v]), 5),
            }
            for v, info in enumerate(infos)
        ]
    )
