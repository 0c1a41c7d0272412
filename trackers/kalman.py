"""Kalman filters of boxes at constant velocity, of any number of people at once.

A state is four measured values and the velocities of the first of them; time is in frames of 1/30 s, for which the
papers tell the noise. Where more or less time passes, the variance that a state gathers is in proportion.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.results import Array

POSITION, VELOCITY = 1 / 20, 1 / 160  # standard deviations relative to the box (Wojke et al. 2017, DeepSORT)
LEAST = 1.0  # px, sides of a predicted box


class State(Protocol):
    """Of one person."""

    mean: Array  # (D,)
    covariance: Array  # (D,D)


class BoxFilter(ABC):
    """N people with D values of state: means (N,D), covariances (N,D,D)."""

    dim = 8
    sizes: tuple[int, ...] = ()  # velocities of the size, which people who are lost are not given

    @abstractmethod
    def measure(self, boxes: Array) -> Array:
        """(N,4) px boxes x1 y1 x2 y2 -> (N,4) measured values."""

    @abstractmethod
    def boxes(self, mean: Array) -> Array:
        """(N,D) states -> (N,4) px boxes."""

    @abstractmethod
    def spread(self, mean: Array) -> tuple[Array, Array, Array]:
        """Standard deviations of the state at first (N,D), of its change in a frame (N,D), of what is measured (N,4).

        `mean` is (N,D); only its first four values count.
        """

    def start(self, boxes: Array) -> tuple[Array, Array]:
        """Mean and covariance of people who are seen for the first time."""
        mean = np.zeros((len(boxes), self.dim))
        mean[:, :4] = self.measure(boxes)
        return mean, _diagonal(self.spread(mean)[0] ** 2)

    def predict(self, mean: Array, covariance: Array, step: float) -> tuple[Array, Array]:
        """Mean and covariance `step` frames later."""
        onward = np.eye(self.dim)
        moving = np.arange(self.dim - 4)
        onward[moving, moving + 4] = step
        gathered = _diagonal(step * self.spread(mean)[1] ** 2)
        return mean @ onward.T, onward @ covariance @ onward.T + gathered

    def update(self, mean: Array, covariance: Array, boxes: Array) -> tuple[Array, Array]:
        """Mean and covariance with what is seen, one box (N,4) for each."""
        total = covariance[:, :4, :4] + _diagonal(self.spread(mean)[2] ** 2)
        gain = np.linalg.solve(total, covariance[:, :4]).transpose(0, 2, 1)  # (N,D,4)
        off = self.measure(boxes) - mean[:, :4]
        return mean + (gain @ off[:, :, None])[..., 0], covariance - gain @ total @ gain.transpose(0, 2, 1)

    def stacked(self, people: Sequence[State]) -> tuple[Array, Array]:
        """Copies of everybody's mean and covariance, as arrays."""
        mean = np.array([person.mean for person in people]).reshape(-1, self.dim)
        return mean, np.array([person.covariance for person in people]).reshape(-1, self.dim, self.dim)

    def put(self, people: Sequence[State], mean: Array, covariance: Array) -> None:
        """Give everybody their mean and covariance."""
        for person, m, c in zip(people, mean, covariance, strict=True):
            person.mean, person.covariance = m, c


class AspectHeight(BoxFilter):
    """Centre, aspect ratio w/h, height: ByteTrack's (and DeepSORT's) state."""

    sizes = (7,)

    def measure(self, boxes: Array) -> Array:
        centre, side = _sides(boxes)
        return np.stack([*centre.T, side[:, 0] / side[:, 1], side[:, 1]], axis=1)

    def boxes(self, mean: Array) -> Array:
        high = np.maximum(mean[:, 3], LEAST)
        return _corners(mean[:, :2], np.stack([mean[:, 2] * high, high], axis=1))

    def spread(self, mean: Array) -> tuple[Array, Array, Array]:
        high = np.maximum(mean[:, 3:4], LEAST)
        of_height, aspect = np.array([1, 1, 0, 1]), np.array([0, 0, 1, 0])
        place, speed = POSITION * high * of_height, VELOCITY * high * of_height
        first = np.concatenate([2 * place + 1e-2 * aspect, 10 * speed + 1e-5 * aspect], axis=1)
        change = np.concatenate([place + 1e-2 * aspect, speed + 1e-5 * aspect], axis=1)
        return first, change, place + 1e-1 * aspect


class WidthHeight(BoxFilter):
    """Centre, width, height: BoT-SORT's state (its equations 1 to 4)."""

    sizes = (6, 7)

    def measure(self, boxes: Array) -> Array:
        return np.concatenate(_sides(boxes), axis=1)

    def boxes(self, mean: Array) -> Array:
        return _corners(mean[:, :2], mean[:, 2:4])

    def spread(self, mean: Array) -> tuple[Array, Array, Array]:
        side = np.maximum(mean[:, [2, 3, 2, 3]], LEAST)
        place, speed = POSITION * side, VELOCITY * side
        return np.concatenate([2 * place, 10 * speed], axis=1), np.concatenate([place, speed], axis=1), place


class AreaRatio(BoxFilter):
    """Centre, area, constant ratio w/h: the state of SORT (Bewley et al. 2016), which OC-SORT keeps."""

    dim = 7

    def measure(self, boxes: Array) -> Array:
        centre, side = _sides(boxes)
        return np.stack([*centre.T, side.prod(1), side[:, 0] / side[:, 1]], axis=1)

    def boxes(self, mean: Array) -> Array:
        wide = np.sqrt(np.maximum(mean[:, 2] * mean[:, 3], LEAST))
        return _corners(mean[:, :2], np.stack([wide, mean[:, 2] / wide], axis=1))

    def spread(self, mean: Array) -> tuple[Array, Array, Array]:
        first = np.sqrt([10, 10, 10, 10, 1e4, 1e4, 1e4])
        change = np.sqrt([1, 1, 1, 1, 1e-2, 1e-2, 1e-4])
        everybody = np.ones((len(mean), 1))
        return everybody * first, everybody * change, everybody * np.sqrt([1, 1, 10, 10])

    def predict(self, mean: Array, covariance: Array, step: float) -> tuple[Array, Array]:
        """As of any state; an area that would shrink to nothing stays."""
        mean = mean.copy()
        mean[mean[:, 2] + step * mean[:, 6] <= 0, 6] = 0
        return super().predict(mean, covariance, step)


def _sides(boxes: Array) -> tuple[Array, Array]:
    """Centre (N,2) and width and height (N,2), px."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def _corners(centre: Array, side: Array) -> Array:
    half = np.maximum(side, LEAST) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _diagonal(values: Array) -> Array:
    """(N,D) -> (N,D,D)."""
    return values[:, :, None] * np.eye(values.shape[1])
