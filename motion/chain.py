"""Least squares over a chain of 3D points in time, each tied to its neighbours: O(T), no iteration over frames."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from pipeline.results import Array

RIDGE = 1e-6  # 1/m^2: what nothing else holds stays near 0 instead of making the system singular
CLOSEST_S = 1e-3  # frames nearer in time count as that far apart


class Chain:
    """Normal equations of T unknown points (T,3) whose terms reach at most two points away."""

    def __init__(self, length: int) -> None:
        self._blocks = [np.zeros((length - k, 3, 3)) if length > k else np.zeros((0, 3, 3)) for k in range(3)]
        self._right = np.zeros((length, 3))

    def __len__(self) -> int:
        return len(self._right)

    def add_points(self, normal: Array, right: Array) -> None:
        """Terms of single points: (T,3,3) and (T,3) of their normal equations."""
        self._blocks[0] += normal
        self._right += right

    def add_steps(self, weight: Array, step: Array) -> None:
        """Weighted differences p[k+1] - p[k] = step[k]: weight (T-1,3,3), step (T-1,3)."""
        self._add_combination(np.broadcast_to([-1.0, 1.0], (len(step), 2)), weight, step)

    def add_bending(self, weight: Array, times: Array) -> None:
        """Accelerations are 0: weight (T-2,3,3) per (m/s^2)^2, times (T,) s, any spacing."""
        span = np.maximum(np.diff(times), CLOSEST_S)
        before, after = span[:-1], span[1:]
        mean = (before + after) / 2
        factors = np.stack([1 / before, -1 / before - 1 / after, 1 / after], axis=1) / mean[:, None]
        self._add_combination(factors, weight, np.zeros((len(mean), 3)))

    def _add_combination(self, factors: Array, weight: Array, target: Array) -> None:
        """Terms sum_i factors[:, i] p[k+i] = target[k] for every k."""
        reach = factors.shape[1]
        count = len(target)
        for i in range(reach):
            rows = slice(i, i + count)
            self._right[rows] += factors[:, i, None] * np.einsum("kab,kb->ka", weight, target)
            for j in range(i, reach):
                self._blocks[j - i][rows] += (factors[:, i] * factors[:, j])[:, None, None] * weight

    def solve(self) -> Array:
        """(T,3) the points that fit best."""
        length = len(self)
        width = 3 * min(2, length - 1) + 2
        banded = np.zeros((width + 1, 3 * length))  # lower form: banded[r - c, c]
        for k, blocks in enumerate(self._blocks):
            for a in range(3):
                for b in range(3):
                    offset = 3 * k + b - a  # element of point i+k, axis b (row) and point i, axis a (column)
                    if 0 <= offset <= width and len(blocks):
                        banded[offset, a : a + 3 * len(blocks) : 3] += blocks[:, a, b]
        banded[0] += RIDGE
        return solveh_banded(banded, self._right.ravel(), lower=True).reshape(-1, 3)
