"""Numbers in [-1,1) that depend on a name only: what published numbers were computed from."""

import zlib

import numpy as np


def made_up(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The splitmix64 generator, seeded by the name's checksum."""
    with np.errstate(over="ignore"):
        z = np.arange(1, np.prod(shape) + 1, dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) * 1000003 % 2**64)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    part = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(float) / 2.0**53
    return (2 * part - 1).reshape(shape)
