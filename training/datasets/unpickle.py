"""Pickle files and object arrays without running what is in them: numbers, texts, plain containers, NumPy arrays.

A pickle is a program. This reader resolves the names that NumPy's own pickles use, to functions of ours: arrays are
built from checked shapes and bytes. Anything else is refused by name.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.errors import InputError

BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, MemoryError,
    RecursionError, OverflowError, zipfile.BadZipFile, zlib.error, NotImplementedError, UnicodeDecodeError, OSError,
)  # fmt: skip


class _Forbidden(pickle.UnpicklingError):
    """A name that no data file needs."""


class _Type:
    """A dtype as a pickle spells it: a code, then its byte order. Structured and exotic ones are refused."""

    def __init__(self, code: str, *_: object) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufcSUO" or self.dtype.subdtype is not None:
            raise _Forbidden(f"arrays of {self.dtype}")

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that checks what it is filled with."""

    def __setstate__(self, state: tuple) -> None:
        shape, kind, column_major, data = state[-4:]
        dtype, count = kind.dtype, _count(shape)
        if dtype.kind == "O":
            fits = isinstance(data, list) and len(data) == count
        else:
            data = data.encode("latin1") if isinstance(data, str) else data  # Python 2 wrote bytes as text
            fits = isinstance(data, bytes) and len(data) == count * dtype.itemsize
        if not fits:
            raise pickle.UnpicklingError(f"an array of shape {shape} with other contents than it says")
        super().__setstate__((1, shape, dtype, bool(column_major), data))


def _count(shape: object) -> int:
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
        raise pickle.UnpicklingError(f"an array of shape {shape}")
    return prod(shape)


class _Reader(pickle.Unpickler):
    """Resolves the names of NumPy's own pickles to functions of ours."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return _Type if name == "dtype" else "ndarray"
        if module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric"):
            ours = {"_reconstruct": self._empty, "scalar": self._scalar, "_frombuffer": self._from_buffer}
            if name in ours:
                return ours[name]
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        plain = {"set": set, "frozenset": frozenset, "complex": complex, "bytes": self._no_bytes}
        if module in ("builtins", "__builtin__") and name in plain:
            return plain[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise _Forbidden(f"{module}.{name}")

    def _empty(self, kind: str, *_: object) -> _Array:
        if kind != "ndarray":
            raise _Forbidden(f"arrays of the class {kind}")
        return np.ndarray.__new__(_Array, (0,), np.int8)

    def _scalar(self, kind: _Type, data: bytes | str = b"") -> Any:
        array = self._empty("ndarray")
        if kind.dtype.kind == "O":
            raise _Forbidden("scalars that are objects")
        array.__setstate__(((), kind, False, data))
        return array[()]

    def _from_buffer(self, data: bytes, kind: _Type, shape: tuple, order: str) -> _Array:
        if not isinstance(data, bytes | bytearray):  # bytes(n) would make n of them
            raise pickle.UnpicklingError(f"an array made of {type(data).__name__}")
        array = self._empty("ndarray")
        array.__setstate__((shape, kind, order == "F", bytes(data)))
        return array

    def _no_bytes(self) -> bytes:
        return b""  # how old protocols write empty ones

    def _encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise _Forbidden(f"texts in {encoding}")
        return text.encode("latin1")


def load_pickle(path: Path) -> Any:
    """The object that a pickle file holds.

    Raises:
        InputError: no such file, damaged, or it asks for more than data.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except BROKEN as error:
        raise _failure(path, error) from error


def load_npz(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Arrays of an .npz file by name, object arrays included; a 0-d object array becomes the object itself.

    Args:
        keys: what must be there, and all that is read; none: everything.

    Raises:
        InputError: no such file, damaged, lacking a key, or it asks for more than data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
            if missing := [key for key in keys if key not in names]:
                raise InputError(f"{path} lacks {', '.join(missing)}", f"it holds {', '.join(names) or 'nothing'}")
            return {key: _member(archive, f"{key}.npy") for key in keys or names}
    except BROKEN as error:
        raise _failure(path, error) from error


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays of an .npz file; none when it is no such file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile):
        return []


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.hasobject:
            value = _read(file)
            return value.item() if isinstance(value, np.ndarray) and shape == () and value.shape == () else value
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read(file: IO[bytes]) -> Any:
    return _Reader(file, encoding="latin1").load()


def _failure(path: Path, error: BaseException) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"no file {path}")
    if isinstance(error, _Forbidden):
        why = f"it asks for {error}, which no data file needs"
        return InputError(f"refused {path}", why, "get the file from its publisher; never run a file that you distrust")
    return InputError(f"cannot read {path}", f"damaged or cut off: {error}", "fetch or make the file again")
