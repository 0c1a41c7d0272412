"""Boxes: what they share, against counted unit squares, and what is unknown or has no size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.boxes import area, iou

CORNERS = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 6), st.integers(1, 6))


@given(st.lists(CORNERS, min_size=1, max_size=4), st.lists(CORNERS, min_size=1, max_size=4))
def test_iou_counts_the_squares_of_a_grid(some, others):
    def boxes(corners):
        return np.array([(x, y, x + w, y + h) for x, y, w, h in corners], float)

    def squares(corners):
        x, y, w, h = corners
        return {(x + i, y + j) for i in range(w) for j in range(h)}

    expected = [[len(squares(a) & squares(b)) / len(squares(a) | squares(b)) for b in others] for a in some]
    np.testing.assert_allclose(iou(boxes(some), boxes(others)), expected)
    np.testing.assert_array_equal(area(boxes(some)), [len(squares(a)) for a in some])


def test_what_has_no_size_or_is_unknown():
    point, unknown, box = [1.0, 1, 1, 1], [np.nan] * 4, [0.0, 0, 2, 2]
    np.testing.assert_array_equal(iou(np.array([point, unknown, box]), np.array([point, box])),
                                  [[0, 0], [np.nan, np.nan], [0, 1]])  # fmt: skip


def test_several_boxes_of_each_are_compared_one_by_one():
    several = np.array([[[0, 0, 2, 2], [0, 0, 1, 1]], [[1, 0, 3, 2], [5, 5, 6, 6]]], float)
    assert iou(several, several).shape == (2, 2, 2)
    np.testing.assert_allclose(iou(several, several)[0], [[1, 1], [1 / 3, 0]])


def test_of_nobody():
    assert iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
