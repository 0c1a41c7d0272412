"""Memory that was freed goes back to the system.

The C library of most Linux systems keeps what arrays of up to 32 MB leave behind: of a long clip more than it ever
needs at once, since every stage frees arrays of other sizes than the next one asks for.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Return freed memory to the system, where its C library keeps it (glibc); elsewhere nothing is done."""
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # no library to ask (Windows), or one that trims by itself
        return None
