"""Normal equations in the shape of an arrow: a block per person and moment, and a border of what all moments share.

The points of one moment are tied to each other by bones, and to other moments only through the cameras. So the blocks
are eliminated first, all at once, and what is left (the Schur complement) holds the cameras alone.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csc_matrix

from pipeline.results import Array

RIDGE = 1e-9


class Arrow:
    """The factored matrix `A + damping diag(A)`.

    Args:
        matrix: (n,n) symmetric, positive definite but for unknowns that nothing speaks of.
        size: of the blocks on the diagonal.
        border: how many of the last unknowns are shared by all; the others are whole blocks.
        damping: Levenberg and Marquardt's.

    Raises:
        numpy.linalg.LinAlgError: it is not positive definite.
    """

    def __init__(self, matrix: csc_matrix, size: int, border: int, damping: float) -> None:
        self._inner, self._size = matrix.shape[0] - border, size
        diagonal = damping * matrix.diagonal() + RIDGE
        inside = matrix[: self._inner, : self._inner].tocoo()
        blocks = np.zeros((self._inner // size, size, size))
        blocks[inside.row // size, inside.row % size, inside.col % size] = inside.data
        blocks += np.eye(size) * diagonal[: self._inner].reshape(-1, size, 1)
        self._inverse = np.linalg.inv(blocks)
        self._side = matrix[: self._inner, self._inner :].toarray()
        self._through = self._inside(self._side)
        corner = matrix[self._inner :, self._inner :].toarray() + np.diag(diagonal[self._inner :])
        self._corner = cho_factor(corner - self._side.T @ self._through) if border else None

    def _inside(self, right: Array) -> Array:
        if not right.size:
            return right
        return (self._inverse @ right.reshape(-1, self._size, right.size // self._inner)).reshape(right.shape)

    def solve(self, right: Array) -> Array:
        """(n,) -> (n,)."""
        inner = self._inside(right[: self._inner])
        if self._corner is None:
            return inner
        outer = cho_solve(self._corner, right[self._inner :] - self._side.T @ inner)
        return np.concatenate([inner - self._through @ outer, outer])

    def block_variances(self) -> Array:
        """(blocks,size): of the unknowns in the blocks, what is shared being known."""
        return np.diagonal(self._inverse, axis1=1, axis2=2)

    def shared_covariance(self) -> Array:
        """(border,border): that of the shared unknowns, all others unknown, too."""
        return cho_solve(self._corner, np.eye(len(self._corner[0])))
