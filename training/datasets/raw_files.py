"""The containers that raw distributions come in: MATLAB's two kinds of .mat, HDF5 and CDF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, whosmat

from pipeline.errors import InputError, MissingError, VideoposeError

AGAIN = "fetch the file again"
OLDER = "load it in MATLAB and save it with -v7"
INSTALL = "pip install -r requirements-train.txt"


def load_mat(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Arrays of a .mat file older than 7.3, by name; MATLAB's cells are object arrays.

    Raises:
        InputError: damaged, HDF5 (version 7.3), or without one of the keys.
    """
    with _reading(path):
        found = loadmat(path, variable_names=keys)
        _check(path, keys, [name for name, _, _ in whosmat(path)])
        return {key: found[key] for key in keys}


def load_hdf5(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of an HDF5 file by name. What MATLAB 7.3 wrote has its axes in reverse order.

    Raises:
        InputError: damaged, no HDF5, or without one of the keys.
        MissingError: h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingError(f"{path.name} is HDF5, which needs h5py", str(error), INSTALL) from error
    with _reading(path), h5py.File(path) as file:
        _check(path, keys, list(file))
        return {key: np.asarray(file[key]) for key in keys}


def load_cdf(path: Path, key: str) -> np.ndarray:
    """One variable of a CDF file (NASA's Common Data Format).

    Raises:
        InputError: damaged, no CDF, or without that variable.
        MissingError: cdflib is not installed.
    """
    try:
        import cdflib
    except ModuleNotFoundError as error:
        raise MissingError(f"{path.name} is CDF, which needs cdflib", str(error), INSTALL) from error
    with _reading(path):
        file = cdflib.CDF(path)
        info = file.cdf_info()
        _check(path, [key], [*info.zVariables, *info.rVariables])
        return np.asarray(file.varget(key))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell whatever a parser meets in a damaged file: no list of exceptions holds all that these three raise."""
    try:
        yield
    except VideoposeError:
        raise
    except NotImplementedError as error:  # SciPy's word for a .mat file of another version
        raise InputError(f"{path} is laid out differently", str(error), OLDER) from error
    except Exception as error:
        raise InputError(f"cannot read {path}", f"damaged or cut off: {error}", AGAIN) from error


def _check(path: Path, keys: Sequence[str], there: Sequence[str]) -> None:
    if missing := [key for key in keys if key not in there]:
        raise InputError(f"{path} lacks {', '.join(missing)}", f"it has {', '.join(there) or 'nothing'}")
