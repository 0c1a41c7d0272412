"""Pickles: data comes back, programs are refused, damage is told."""

import io
import os
import pickle
import pickletools
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from pipeline.errors import InputError
from training.datasets.unpickle import load_npz, load_pickle, npz_keys

DATA = {
    "array": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">i4"),
    "names": np.array(["Walking", "é"]),
    "bytes": np.array([b"a", b"bcd"]),
    "flags": np.array([True, False]),
    "ragged": np.array([np.zeros(2), [1, "x"], None], dtype=object),
    "scalar": np.float32(2.5),
    "text": np.str_("S9"),
    "empty": np.zeros((0, 17, 3)),
    "plain": [1, 2.5, "x", b"y", None, True, (1, {2}), {"a": [3]}, 1 + 2j, OrderedDict(a=1)],
}


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(*pair) for pair in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        kinds = a.dtype.newbyteorder("="), b.dtype.newbyteorder("=")  # NumPy, too, may read into this machine's order
        return kinds[0] == kinds[1] and a.shape == b.shape and same(a.tolist(), b.tolist())
    return a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_comes_back(tmp_path, protocol):
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(DATA, protocol=protocol))
    assert same(DATA, load_pickle(path))


def test_names_of_older_and_newer_numpy_mean_the_same(tmp_path):
    path = tmp_path / "data.pkl"
    text = pickle.dumps(DATA["array"], protocol=2)
    for old, new in ((b"numpy._core.multiarray", b"numpy.core.multiarray"),):
        path.write_bytes(text.replace(old, new) if old in text else text.replace(new, old))
        assert same(DATA["array"], load_pickle(path))


def test_object_arrays_in_an_archive(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, positions=np.array(DATA, dtype=object), plain=DATA["array"], ragged=DATA["ragged"])
    assert npz_keys(path) == ["positions", "plain", "ragged"]
    loaded = load_npz(path)
    assert same(DATA, loaded["positions"]) and same(DATA["array"], loaded["plain"])
    assert same(DATA["ragged"], loaded["ragged"]) and list(load_npz(path, ["plain"])) == ["plain"]


class Attack:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("call", [os.system, eval, exec, getattr, __import__, np.load, pickle.loads, np.memmap])
def test_programs_are_refused(tmp_path, call, protocol):
    mark = tmp_path / "ran"
    path, archive = tmp_path / "bad.pkl", tmp_path / "bad.npz"
    attack = Attack(call, f"touch {mark}")
    path.write_bytes(pickle.dumps({"a": [attack]}, protocol=protocol))
    np.savez(archive, a=np.array({"b": attack}, dtype=object))
    for load in (lambda: load_pickle(path), lambda: load_npz(archive)):
        with pytest.raises(InputError, match=r"asks for .*which no data file needs"):
            load()
    assert not mark.exists()


@pytest.mark.parametrize(
    "text",
    [
        b"cnumpy\nndarray\n((I1000000000000\ntR.",  # an array class called by itself
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I9\ntcnumpy\ndtype\n(S'f8'\nI0\nI1\n"
        b"tRI00\nS'short'\ntb.",  # says 9 numbers, holds 5 bytes
        b"cnumpy\ndtype\n(S'i4,O'\nI0\nI1\ntR.",  # structured
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O'\nI0\nI1\ntRS'12345678'\ntR.",  # a pointer
        b"cnumpy.core.numeric\n_frombuffer\n(I1000000000000\ncnumpy\ndtype\n(S'i1'\nI0\nI1\ntR(I1000000000000\ntS'C'\ntR.",
        b"cnumpy\ndtype\n(S'(9,)i4'\nI0\nI1\ntR.",
        b"cnumpy\ndtype\n(S'__setstate__'\nI0\ndb.",
        b"cnumpy\nmemmap\n.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0bndarray.dtype\x93.",
        b"Pperson\n.",
        b"",
        b"no pickle at all",
    ],
)
def test_forged_and_broken_pickles_are_refused(tmp_path, text):
    path = tmp_path / "bad.pkl"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"bad\.pkl"):
        load_pickle(path)


def test_negative_and_huge_shapes_are_refused(tmp_path):
    path = tmp_path / "bad.pkl"
    good = pickle.dumps(np.arange(3, dtype=np.int8), protocol=2)
    position = next(p for op, value, p in pickletools.genops(good) if op.name == "BININT1" and value == 3)
    for forged in (b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f"):  # -1, 2147483647
        path.write_bytes(good[:position] + forged + good[position + 2 :])
        with pytest.raises(InputError):
            load_pickle(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_cut_off_files_are_told(tmp_path, part):
    whole, path, archive = pickle.dumps(DATA), tmp_path / "cut.pkl", tmp_path / "cut.npz"
    path.write_bytes(whole[: int(part * len(whole))])
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array(DATA, dtype=object))
    archive.write_bytes(buffer.getvalue()[: int(part * len(buffer.getvalue()))])
    for load in (lambda: load_pickle(path), lambda: load_npz(archive)):
        with pytest.raises(InputError, match="damaged or cut off"):
            load()


def test_a_member_with_flipped_bits_is_told(tmp_path):
    path = tmp_path / "bits.npz"
    np.savez(path, a=np.arange(1000.0))
    broken = bytearray(path.read_bytes())
    broken[4000] ^= 255
    path.write_bytes(broken)
    with pytest.raises(InputError, match="damaged"):
        load_npz(path)


def test_missing_files_and_keys_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no file .*none\.pkl"):
        load_pickle(tmp_path / "none.pkl")
    path = tmp_path / "other.npz"
    np.savez(path, poses=np.zeros(3))
    with pytest.raises(InputError, match="lacks positions_3d\n  it holds poses"):
        load_npz(path, ["positions_3d"])
    assert npz_keys(tmp_path / "none.npz") == []
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"nonsense")
    with pytest.raises(InputError, match="damaged"):
        load_npz(path)
