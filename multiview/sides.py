"""Left and right put right across views: a detector that sees somebody from behind may exchange them, for a while.

Two views that both have it right, or both wrong, see left joints on left rays; where only one is wrong the rays of left
and right joints meet crosswise. Which views are wrong is the likeliest sequence over time (Viterbi 1967) of all 2^V
states, by how far the rays of every pair of views pass each other, by how far the joints move in the picture from one
time to the next, straight or crosswise, and by few views being wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from pipeline.projection import centre, rays
from pipeline.results import Array, Camera

NEAR_M = 0.08  # rays that pass each other farther apart do not belong together
MOVED = 0.1  # of the person's height in the picture: farther no joint moves from one time to the next
CHANGE = 4.0  # cost of a view that starts or ends being wrong, in joints that do not fit
WRONG = 0.1  # cost of a view that is wrong, each time
MOST_VIEWS = 8  # 256 states; of more views only the first so many are judged together


def put_right(
    cameras: Sequence[Camera], keypoints: Array, scores: Array, mirror: Sequence[int]
) -> tuple[Array, Array, Array]:
    """The keypoints (V,T,J,2) px and scores (V,T,J) with left and right exchanged where a view has them wrong.

    Args:
        mirror: (J,) the permutation that exchanges left and right (`Skeleton.mirror`).

    Returns:
        Also (V,T) bool, where they were exchanged.
    """
    keypoints, scores = np.array(keypoints, float), np.array(scores, float)
    mirror = np.asarray(mirror)
    sided = np.flatnonzero(mirror != np.arange(len(mirror)))
    wrong = np.zeros(scores.shape[:2], bool)
    if len(sided) and len(cameras) > 1 and scores.shape[1]:
        judged = slice(0, MOST_VIEWS)
        other = np.searchsorted(sided, mirror[sided])
        pairs = _pair_costs(cameras[judged], keypoints[judged][:, :, sided], scores[judged][:, :, sided], other)
        moves = _move_costs(keypoints[judged][:, :, sided], scores[judged][:, :, sided], other)
        wrong[judged] = _likeliest(pairs, moves)
    keypoints[wrong], scores[wrong] = keypoints[wrong][:, mirror], scores[wrong][:, mirror]
    return keypoints, scores, wrong


def world_rays(camera: Camera, keypoints: Array) -> Array:
    """Keypoints (T,J,2) px -> unit directions (T,J,3) in the world."""
    flat = rays(camera, keypoints)
    turn = np.asarray(camera.camera_to_world, float)[..., :3, :3]
    along = np.concatenate([flat, np.ones_like(flat[..., :1])], -1) @ np.swapaxes(turn, -1, -2)
    return along / np.linalg.norm(along, axis=-1, keepdims=True)


def ray_distance(eye_a: Array, a: Array, eye_b: Array, b: Array) -> Array:
    """(...) m between lines through the eyes (...,3) along unit `a`, `b` (...,3); infinite where behind a camera.

    In Pluecker coordinates the product of the two lines, divided by the sine of their angle.
    """
    apart = eye_b - eye_a
    along_a, along_b, cosine = (apart * a).sum(-1), (apart * b).sum(-1), (a * b).sum(-1)
    span = np.maximum(1 - cosine**2, 1e-9)
    far_a, far_b = (along_a - cosine * along_b) / span, (cosine * along_a - along_b) / span
    square = ((apart + far_b[..., None] * b - far_a[..., None] * a) ** 2).sum(-1)
    return np.where((far_a > 0) & (far_b > 0), np.sqrt(square), np.inf)


def _pair_costs(cameras: Sequence[Camera], keypoints: Array, scores: Array, other: Array) -> Array:
    """(V,V,T,2): joints that do not fit if the two views agree about sides, and if they do not."""
    views, times = scores.shape[:2]
    directions = [world_rays(c, k) for c, k in zip(cameras, keypoints, strict=True)]
    eyes = [centre(c)[..., None, :] if centre(c).ndim == 2 else centre(c) for c in cameras]
    out = np.zeros((views, views, times, 2))
    for a, b in combinations(range(views), 2):
        for crosswise, pick in enumerate((np.arange(len(other)), other)):
            weights = np.sqrt(scores[a] * scores[b][:, pick])
            apart = ray_distance(eyes[a], directions[a], eyes[b], directions[b][:, pick])
            out[a, b, :, crosswise] = _misfits(apart / NEAR_M, weights)
    return out


def _move_costs(keypoints: Array, scores: Array, other: Array) -> Array:
    """(V,T-1,2): joints that move too far to the next time, straight and crosswise."""
    rows = keypoints[..., 1]  # NaN where unseen, which fmax and fmin pass over
    height = np.fmax.reduce(np.fmax.reduce(rows, axis=-1) - np.fmin.reduce(rows, axis=-1), axis=1, initial=1.0)
    out = []
    for pick in (np.arange(len(other)), other):
        step = np.linalg.norm(keypoints[:, 1:, pick] - keypoints[:, :-1], axis=-1)
        weights = np.sqrt(scores[:, 1:, pick] * scores[:, :-1])
        out.append(_misfits(step / (MOVED * height[:, None, None]), weights))
    return np.stack(out, -1)


def _misfits(apart: Array, weights: Array) -> Array:
    """Sum over joints of squared distances in units of the largest that fits, none more than 1; unseen joints 0."""
    known = np.isfinite(apart) | np.isposinf(apart)
    return (np.where(known, weights, 0.0) * np.minimum(np.where(known, apart, 0.0) ** 2, 1.0)).sum(-1)


def _likeliest(pairs: Array, moves: Array) -> Array:
    """(V,T) bool: the sequence of states of least cost."""
    views, times = pairs.shape[1:3]
    states = (np.arange(2**views)[:, None] >> np.arange(views)) & 1  # (S,V)
    cost = np.full((times, len(states)), 0.0) + WRONG * states.sum(1)
    for a, b in combinations(range(views), 2):
        cost += pairs[a, b][:, states[:, a] ^ states[:, b]] / (views - 1)
    came = np.zeros((times, views, len(states)), bool)  # whether view v changed to come here, views in turn
    total = cost[0]
    for t in range(1, times):
        for v in range(views):
            stay, change = total + moves[v, t - 1, 0], total[np.arange(len(states)) ^ (1 << v)] + moves[v, t - 1, 1]
            came[t, v] = change + CHANGE < stay
            total = np.where(came[t, v], change + CHANGE, stay)
        total = total + cost[t]
    path = np.zeros(times, int)
    path[-1] = int(np.argmin(total))
    for t in range(times - 1, 0, -1):
        state = path[t]
        for v in reversed(range(views)):
            state ^= int(came[t, v, state]) << v
        path[t - 1] = state
    return states[path].T.astype(bool)
