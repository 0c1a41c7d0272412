"""Where the cameras of a rig stand, from a board that they saw together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial.transform import Rotation

from multiview.boards import Board, Found
from multiview.bundle import Adjusted, Boards, Observations, adjust
from multiview.intrinsics import spread_out
from multiview.relative import Relative, Sighting, relative, sighting
from pipeline.errors import InputError
from pipeline.projection import project
from pipeline.results import Array, Camera

FACE_UP = np.diag([1.0, -1.0, -1.0, 1.0])  # from a board's axes (z into it) to those of the world (Z out of it)
_MOMENTS = 150  # boards adjusted at most
_GROSS_PX, _GROSS = 2.0, 6.0  # corners farther off than both, the second in medians, are left out


@dataclass(frozen=True)
class Calibration:
    """A rig in the world, and how well it fits."""

    cameras: list[Camera]
    boards: dict[int, Array]  # moment -> (4,4), board to world
    rms_px: list[float]  # per camera, of the corners kept
    error_px: float  # the same of all cameras together
    views: list[int]  # boards per camera
    shared: Array  # (V,V) int boards that two cameras saw together
    dropped: int  # corners left out as gross errors
    corners: int  # corners kept
    warnings: tuple[str, ...]


def calibrate(
    board: Board, cameras: Sequence[Camera], found: Sequence[dict[int, Found]], floor: int | None = None
) -> Calibration:
    """Poses of still cameras from boards that they saw at the same moments.

    Relative poses by vote, chained along the tree of the most shared boards, then bundle adjustment. The world has
    its origin in the board's, x along its columns and Z out of its face, at moment `floor`, or else at the first.

    Args:
        cameras: lenses, which stay as they are (boards seen at slightly different moments would spoil them); their
            poses do not matter.
        found: per camera, by moment.
        floor: the moment at which the board lies on the floor, face up.

    Raises:
        InputError: cameras without shared boards, named; boards that do not agree; no board at `floor`.
    """
    seen = [
        {moment: sighting(board, camera, one) for moment, one in boards.items() if spread_out(board, one)}
        for camera, boards in zip(cameras, found, strict=True)
    ]
    _check_floor(seen, floor)
    pairs = _pairs(seen)
    names = [camera.name or f"camera {index + 1}" for index, camera in enumerate(cameras)]
    _check_connected(pairs, names)
    rig = _chained(cameras, pairs)
    moments = _moments(seen, floor)
    poses, ways = _placed(board, rig, seen, moments)
    done, observations, gross = _adjusted(board, rig, seen, moments, poses, ways)
    world = np.linalg.inv(_pose(done.scene, moments.index(moments[0] if floor is None else floor)))
    world = FACE_UP @ world
    moved = [replace(camera, camera_to_world=world @ camera.camera_to_world) for camera in done.cameras]
    square = (done.residuals**2).sum(axis=1)
    count = len(cameras)
    return Calibration(
        moved,
        {moment: world @ _pose(done.scene, number) for number, moment in enumerate(moments)},
        [float(np.sqrt(square[observations.camera == index].mean())) for index in range(count)],
        float(np.sqrt(square.mean())),
        [len(boards) for boards in seen],
        np.array([[len(set(a) & set(b)) for b in seen] for a in seen]),
        gross, len(observations), tuple(_warnings(pairs, names, board)),
    )  # fmt: skip


def _check_floor(seen: Sequence[dict[int, Sighting]], floor: int | None) -> None:
    if floor is not None and not any(floor in boards for boards in seen):
        known = sorted(set().union(*seen))
        raise InputError(
            f"no camera sees the board in frame {floor}, where it should lie on the floor",
            f"it is seen in {len(known)} frames, between {known[0]} and {known[-1]}" if known else "it is seen nowhere",
            "another --floor FRAME",
        )


def _pairs(seen: Sequence[dict[int, Sighting]]) -> dict[tuple[int, int], Relative]:
    """Of all pairs of cameras that share boards."""
    found = {(a, b): relative(seen[a], seen[b]) for b in range(len(seen)) for a in range(b)}
    return {pair: one for pair, one in found.items() if one is not None}


def _matrix(pairs: dict[tuple[int, int], Relative], count: int) -> Array:
    """(V,V) boards that agree."""
    out = np.zeros((count, count))
    for (a, b), one in pairs.items():
        out[a, b] = one.agree
    return out


def _check_connected(pairs: dict[tuple[int, int], Relative], names: Sequence[str]) -> None:
    groups, label = connected_components(_matrix(pairs, len(names)), directed=False)
    if groups > 1:
        sets = [" ".join(name for name, of in zip(names, label, strict=True) if of == group) for group in range(groups)]
        raise InputError(
            f"the cameras share no board: {' | '.join(sets)}", "nothing tells how these groups stand to each other",
            "show the board where cameras of both groups see it at once",
        )  # fmt: skip


def _chained(cameras: Sequence[Camera], pairs: dict[tuple[int, int], Relative]) -> list[Camera]:
    """The rig around camera 0, along the spanning tree of the most boards that agree."""
    votes = _matrix(pairs, len(cameras))
    with np.errstate(divide="ignore"):
        tree = minimum_spanning_tree(np.where(votes > 0, 1 / votes, 0))
    order, before = breadth_first_order(tree, 0, directed=False)
    poses = {0: np.eye(4)}  # camera to world
    for index in order[1:]:
        parent = int(before[index])
        pair = pairs[min(parent, index), max(parent, index)].pose  # lower index to higher
        poses[index] = poses[parent] @ (pair if index < parent else np.linalg.inv(pair))
    return [replace(camera, camera_to_world=poses[index]) for index, camera in enumerate(cameras)]


def _moments(seen: Sequence[dict[int, Sighting]], floor: int | None) -> list[int]:
    """Those that at least two cameras share (where there are two), thinned out evenly."""
    every = sorted(set().union(*seen))
    kept = [moment for moment in every if sum(moment in boards for boards in seen) >= min(2, len(seen))]
    if len(kept) > _MOMENTS:
        kept = [kept[i] for i in np.linspace(0, len(kept) - 1, _MOMENTS).astype(int)]
    return sorted({*kept, *([] if floor is None else [floor])})


def _placed(board: Board, rig: Sequence[Camera], seen: Sequence[dict[int, Sighting]],
            moments: Sequence[int]) -> tuple[Array, list[dict[int, int]]]:  # fmt: skip
    """(B,4,4) board poses that fit all cameras best, and per camera the way round of each board."""
    poses, ways = [], [{} for _ in rig]
    for moment in moments:
        views = [(index, boards[moment]) for index, boards in enumerate(seen) if moment in boards]
        hypotheses = [rig[index].camera_to_world @ pose for index, view in views for pose in view.poses]
        priced = [_price(board, rig, views, pose) for pose in hypotheses]
        best = int(np.argmin([price for price, _ in priced]))
        poses.append(hypotheses[best])
        for (index, _), way in zip(views, priced[best][1], strict=True):
            ways[index][moment] = way
    return np.array(poses), ways


def _price(
    board: Board, rig: Sequence[Camera], views: Sequence[tuple[int, Sighting]], pose: Array
) -> tuple[float, list[int]]:
    """Distance in px of a board at that pose, summed over cameras, each in the way that suits it best."""
    world = board.points @ pose[:3, :3].T + pose[:3, 3]
    total, ways = 0.0, []
    for index, view in views:
        pixels = project(rig[index], world)[0]
        away = np.linalg.norm(pixels[view.found.ways] - view.found.corners, axis=-1)
        price = np.nan_to_num(away, nan=1e4).clip(0, 1e4).mean(axis=1)
        ways.append(int(price.argmin()))
        total += float(price.min())
    return total, ways


def _adjusted(board: Board, rig: list[Camera], seen: Sequence[dict[int, Sighting]], moments: Sequence[int],
              poses: Array, ways: list[dict[int, int]]) -> tuple[Adjusted, Observations, int]:  # fmt: skip
    """Bundle adjustment, twice: the second time without gross errors; and how many these were."""
    observations = _observations(board, seen, moments, ways)
    scene = Boards(board.points, Rotation.from_matrix(poses[:, :3, :3]).as_rotvec(), poses[:, :3, 3])
    done = adjust(rig, scene, observations)
    away = np.linalg.norm(done.residuals, axis=1)
    good = away <= max(_GROSS_PX, _GROSS * float(np.median(away)))
    if good.all():
        return done, observations, 0
    kept = Observations(*(part[good] for part in vars(observations).values()))
    return adjust(done.cameras, done.scene, kept), kept, int((~good).sum())


def _observations(
    board: Board, seen: Sequence[dict[int, Sighting]], moments: Sequence[int], ways: list[dict[int, int]]
) -> Observations:
    cameras, points, pixels = [], [], []
    for index, boards in enumerate(seen):
        for number, moment in enumerate(moments):
            if moment in boards:
                found = boards[moment].found
                cameras.append(np.full(len(found.corners), index))
                points.append(number * len(board.points) + found.ways[ways[index][moment]])
                pixels.append(found.corners)
    camera = np.concatenate(cameras)
    return Observations(camera, np.concatenate(points), np.concatenate(pixels), np.ones(len(camera)))


def _pose(scene: Boards, number: int) -> Array:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = Rotation.from_rotvec(scene.turns[number]).as_matrix(), scene.places[number]
    return out


def _warnings(pairs: dict[tuple[int, int], Relative], names: Sequence[str], board: Board) -> list[str]:
    out = []
    for (a, b), one in pairs.items():
        both = f"{names[a]} and {names[b]}"
        if one.moments >= 3 and one.agree < 0.5 * one.moments:
            out.append(f"{both}: only {one.agree} of {one.moments} shared boards agree; are the videos synchronous?")
        if one.rival >= 0.8 * one.agree and one.moments > 1:
            out.append(
                f"{both}: another arrangement fits {one.rival} of {one.moments} boards, too; move the board more"
            )
    return out
