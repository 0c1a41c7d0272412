"""The four-camera recording `balance_4views` as benchmarks of several cameras use it: files, reference, given rig."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy import LIMBS, read_trc
from multiview.procrustes import angle_between, nearest_rotation
from multiview.rig import load_rig
from multiview.rig_fit import fit_rig
from pipeline.results import Array, Camera

NUMBERS = (1, 2, 3, 4)


def recording(data: Path) -> Path:
    """Its folder. Raises SystemExit: it is not there."""
    folder = data / "balance_4views"
    if not (folder / "reference.trc").is_file():
        raise SystemExit(f"error: {folder / 'reference.trc'} is not here; --data names its folder")
    return folder


def videos(folder: Path, numbers: Sequence[int] = NUMBERS) -> list[Path]:
    """The cameras' files."""
    return [folder / "videos" / f"cam{number:02d}.mp4" for number in numbers]


def reference(folder: Path) -> Array:
    """(T,12,3) m: the limb joints `LIMBS` of the reference."""
    truth = read_trc(folder / "reference.trc")
    return np.stack([truth[name] for name in LIMBS], axis=1)


def given_rig(
    folder: Path, sizes: Sequence[tuple[int, int]], numbers: Sequence[int] = NUMBERS, crop: str = "right"
) -> list[Camera]:
    """The calibration that came with it, fitted to pictures of these sizes (see `multiview.rig_fit.fit_rig`)."""
    return fit_rig(load_rig(folder / "cameras.toml")[0], sizes, [p.name for p in videos(folder, numbers)], crop=crop)[0]


def rig_errors(found: Sequence[Camera], given: Sequence[Camera]) -> tuple[Array, Array, Array]:
    """After the best similarity of the rigs, (V,) each: degrees, places and focal lengths in per cent.

    The turn comes from the cameras' turns (two places alone have none), scale and shift from their places. Places are
    shares of the largest distance from the rig's middle.
    """
    turns, true = (np.stack([c.camera_to_world[:3, :3].T for c in rig]) for rig in (found, given))
    ours, theirs = (np.stack([c.camera_to_world[:3, 3] for c in rig]) for rig in (found, given))
    turn = nearest_rotation(np.einsum("vji,vjk->ik", true, turns))
    ours, theirs = (ours - ours.mean(0)) @ turn.T, theirs - theirs.mean(0)
    scale = (ours * theirs).sum() / (ours * ours).sum()
    size = np.linalg.norm(theirs, axis=1).max()
    off = np.linalg.norm(scale * ours - theirs, axis=1)
    focal = np.array([f.matrix[0, 0] / g.matrix[0, 0] for f, g in zip(found, given, strict=True)])
    return np.degrees(angle_between(turns, true @ turn)), 100 * off / size, 100 * np.abs(focal - 1)
