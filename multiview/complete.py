"""Every joint of every frame: triangulated points, put right over time and by the lifted poses of the single views.

A lifted pose (`Motion3D` with frame "root") tells where each bone points in its camera's axes, well across the line of
sight, badly along it. Known cameras turn it into the world; over the views these directions are averaged with the
inverse of their covariance. So a joint that no two views see hangs where its bones say, at their constant lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from multiview.refine import ROUNDS, refine
from multiview.triangulate import Triangulated
from pipeline.results import Array, Camera
from pipeline.skeletons import Skeleton

ACROSS_M, ALONG_M = 0.06, 0.15  # standard deviation of a lifted bone's end, across and along the line of sight
LIFTED = 17  # the joints that every lifter has come first; the rest, hands and feet, may be NaN throughout
LEAST_TRUST = 0.02  # in a bone that the view does not see, but others at other times, where nothing is triangulated
COMPLETED = 0.3  # of the lifted scores: what a joint scores that was not triangulated


class NothingSeen(ValueError):
    """No joint was triangulated in any frame: no two cameras see the person."""


@dataclass(frozen=True)
class Completed:
    """One person over T times, K joints."""

    points: Array  # (T,K,3) m, world; NaN in frames in which nobody sees the person, and of joints that nobody tells of
    scores: Array  # (T,K) in [0,1], 0 there
    completed: Array  # (T,K) bool: known, but not triangulated in this frame


def converted(found: Triangulated, convert: Callable[[Array], Array]) -> Triangulated:
    """The joints of another skeleton. `convert` is linear: (...,J,C) -> (...,K,C), as in `pipeline.skeletons`.

    What a new joint is made of must be known; its score is that of the least sure part. One that it gives NaN for is
    made of nothing: unknown.
    """
    mix = convert(np.eye(found.points.shape[1]))  # (K,J)
    nothing, mix = ~np.isfinite(mix).all(-1), np.nan_to_num(mix)
    part = np.abs(mix) > 1e-9

    def worst(values: Array, empty: float = 0.0) -> Array:
        return np.where(part, values[..., None, :], np.inf).min(-1) if values.dtype != bool else ~(
            ~values[..., None, :] & part).any(-1)  # fmt: skip

    unknown = (~np.isfinite(found.points).all(-1)[:, None] & part).any(-1) | nothing
    points = np.einsum("kj,tjc->tkc", mix, np.nan_to_num(found.points))
    covariance = np.einsum("kj,tjab->tkab", mix**2, np.nan_to_num(found.covariance))
    used = worst(found.used) & ~nothing
    return Triangulated(
        np.where(unknown[..., None], np.nan, points),
        np.where(unknown, 0.0, worst(found.scores)),
        np.where(unknown, 0, worst(found.views.astype(float))).astype(int),
        used,
        np.where(unknown, np.nan, np.where(part, np.nan_to_num(found.error_px)[:, None], 0.0).max(-1)),
        np.where(unknown, np.nan, worst(np.nan_to_num(found.angle_rad))),
        np.where(unknown[..., None, None], np.nan, covariance),
    )


def complete(
    found: Triangulated, times: Array, skeleton: Skeleton, cameras: Sequence[Camera] = (),
    lifted: Array | None = None, lifted_scores: Array | None = None, rounds: int = ROUNDS,
    alone: tuple[Array, Array] | None = None,
) -> Completed:  # fmt: skip
    """The K joints of the skeleton in every frame in which somebody sees the person.

    A joint that is triangulated in no frame and that no lifted bone joins to one that is stays unknown.

    Args:
        found: triangulated joints of `skeleton`.
        times: (T,) s.
        lifted: (V,T,K,3) m in the axes of `cameras`, NaN where a view has no pose.
        lifted_scores: (V,T,K).
        rounds: of the minimisation (see `refine`).
        alone: (T,3) m and covariance (T,3,3) m^2 of the first joint where no joint was triangulated, NaN elsewhere.

    Raises:
        NothingSeen: no joint was triangulated at all.
    """
    known = np.isfinite(found.points).all(-1)
    if not known.any():
        raise NothingSeen("no joint was triangulated; there is no place to complete")
    there = known.any(axis=1)
    vectors = information = None
    if lifted is not None and len(lifted):
        there = there | np.isfinite(lifted[..., :LIFTED, :]).all((-1, -2)).any(axis=0)
        vectors, information = bone_vectors(found, skeleton, cameras, lifted, lifted_scores)
    told = _told(known, skeleton, vectors)
    parents, children = np.array(skeleton.bones).T
    lengths = np.where(told[parents] & told[children], bone_lengths(found, skeleton, vectors), np.nan)
    points = np.full(found.points.shape, np.nan)
    span = slice(int(np.flatnonzero(there)[0]), int(np.flatnonzero(there)[-1]) + 1)
    given, covariance = _with_root(found, alone)
    points[span] = refine(
        given[span], covariance[span], np.asarray(times)[span], skeleton.bones, lengths,
        None if vectors is None else vectors[span], None if information is None else information[span], rounds,
    )  # fmt: skip
    there = there[:, None] & told
    points[~there] = np.nan
    guess = np.full(known.shape, 0.5) if lifted_scores is None else np.nan_to_num(lifted_scores).max(axis=0)
    scores = np.where(known, found.scores, COMPLETED * guess) * there
    return Completed(points, scores, there & ~known)


def _told(known: Array, skeleton: Skeleton, vectors: Array | None) -> Array:
    """(K,) bool: joints that are `known` (T,K) in some frame, and those that `vectors` (T,B,3) join to one."""
    ever = known.any(axis=0)
    if vectors is None:
        return ever
    bones = np.array(skeleton.bones)[np.isfinite(vectors).all(-1).any(axis=0)]
    links = coo_array((np.ones(len(bones)), bones.T), (len(skeleton),) * 2)
    piece = connected_components(links, directed=False)[1]
    return np.isin(piece, piece[ever])


def _with_root(found: Triangulated, alone: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """Points (T,K,3) and covariance (T,K,3,3), with the first joint from elsewhere where it is told."""
    if alone is None:
        return found.points, found.covariance
    points, covariance, told = found.points.copy(), found.covariance.copy(), np.isfinite(alone[0]).all(-1)
    points[told, 0], covariance[told, 0] = alone[0][told], alone[1][told]
    return points, covariance


def bone_vectors(found: Triangulated, skeleton: Skeleton, cameras: Sequence[Camera], lifted: Array,
                 scores: Array | None) -> tuple[Array, Array]:  # fmt: skip
    """(T,B,3) m in the world, NaN where no view has them, and their information (T,B,3,3) 1/m^2."""
    parents, children = np.array(skeleton.bones).T
    measured = np.linalg.norm(found.points[:, children] - found.points[:, parents], axis=-1)
    total, mean = np.zeros((*measured.shape, 3, 3)), np.zeros((*measured.shape, 3))
    nothing = ~np.isfinite(found.points).all(-1).any(1)
    least = LEAST_TRUST * (nothing[:, None] & np.isfinite(measured).any(0))
    local = np.diag([ACROSS_M**-2, ACROSS_M**-2, ALONG_M**-2])
    for v, camera in enumerate(cameras):
        bones = lifted[v][:, children] - lifted[v][:, parents]
        with np.errstate(invalid="ignore"):
            ratio = measured / np.linalg.norm(bones, axis=-1)
        scale = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else 1.0
        turn = np.asarray(camera.camera_to_world, float)[..., :3, :3]
        turn = np.broadcast_to(turn, (len(bones), 3, 3))
        world = scale * (bones @ np.swapaxes(turn, -1, -2))
        trust = np.ones(measured.shape) if scores is None else np.minimum(scores[v][:, children], scores[v][:, parents])
        weight = np.where(np.isfinite(world).all(-1), np.maximum(np.nan_to_num(trust), least), 0.0)
        told = weight[..., None, None] * (turn @ local @ np.swapaxes(turn, -1, -2))[:, None]
        total += told
        mean += (told @ np.nan_to_num(world)[..., None])[..., 0]
    known = np.trace(total, axis1=-2, axis2=-1) > 0
    safe = np.where(known[..., None, None], total, np.eye(3))
    return np.where(known[..., None], np.linalg.solve(safe, mean[..., None])[..., 0], np.nan), total


def bone_lengths(found: Triangulated, skeleton: Skeleton, vectors: Array | None) -> Array:
    """(B,) m: medians over time, left and right alike; of bones never triangulated those of `vectors`, else NaN."""
    parents, children = np.array(skeleton.bones).T
    measured = _medians(np.linalg.norm(found.points[:, children] - found.points[:, parents], axis=-1))
    if vectors is not None:
        measured = np.where(np.isnan(measured), _medians(np.linalg.norm(vectors, axis=-1)), measured)
    of = {(p, c): i for i, (p, c) in enumerate(skeleton.bones)}
    mirror = skeleton.mirror
    other = np.array([of.get((mirror[p], mirror[c]), i) for (p, c), i in of.items()])
    both = np.stack([measured, measured[other]])
    return _medians(both) if len(of) else measured


def _medians(values: Array) -> Array:
    """Along the first axis; NaN of columns without a value."""
    known = np.isfinite(values)
    out = np.full(values.shape[1], np.nan)
    some = known.any(axis=0)
    out[some] = np.nanmedian(values[:, some], axis=0)
    return out
