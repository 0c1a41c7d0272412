"""Boards as text: a word on the command line, or a TOML file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from multiview.boards import DICTIONARIES, Board
from pipeline.errors import InputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_UNITS = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254, "inch": 0.0254, "inches": 0.0254, "": 1.0}
_LENGTH = re.compile(r"(\d*\.?\d+) ?(mm|cm|m|in|inch|)")
_MARKER = 0.75  # of the square, where nothing else is said
_HINT = "charuco:5x7:60mm:45mm:DICT_4X4_50 (squares), or checkerboard:7x4:60mm (inner corners)"


def board(text: str) -> Board:
    """A board from a TOML file's name, or from `KIND:COLUMNSxROWS:SQUARE[:MARKER][:DICTIONARY][:inverted][:legacy]`.

    Raises:
        UsageError: no such kind, or numbers that no board has.
        InputError: a file that cannot be read.
    """
    if text.lower().endswith(".toml"):
        return read_board(Path(text))
    kind, *words = text.split(":")
    if kind not in ("charuco", "checkerboard") or len(words) < 2:
        raise UsageError(f"no board {text!r}", hint=_HINT)
    shape = re.fullmatch(r"(\d+)[xX](\d+)", words[0])
    if not shape:
        raise UsageError(f"no board {text!r}", f"{words[0]!r} is not COLUMNSxROWS", _HINT)
    columns, rows = int(shape[1]), int(shape[2])
    square, rest = length(words[1]), words[2:]
    if kind == "checkerboard":
        _only(rest, {"inverted"}, text)
        return Board("checkerboard", columns, rows, square, inverted="inverted" in rest)
    marker = length(rest.pop(0)) if rest and _LENGTH.fullmatch(rest[0]) else _MARKER * square
    names = [_dictionary(word) for word in rest if word not in ("inverted", "legacy")]
    if len(names) > 1:
        raise UsageError(f"no board {text!r}", f"two dictionaries: {' and '.join(names)}", _HINT)
    name = names[0] if names else "DICT_4X4_50"
    return Board("charuco", columns, rows, square, marker, name, "inverted" in rest, "legacy" in rest)


def length(text: str) -> float:
    """Metres of a number with or without a unit: 54mm, 5.4cm, 0.054m, 2in, 0.054. Raises UsageError."""
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{text!r} is no length", hint="54mm, 5.4cm, 0.054m, 2in or 0.054 (metres)")
    return float(found[1]) * _UNITS[found[2]]


def read_board(path: Path) -> Board:
    """A board from TOML with `columns`, `rows`, and `square_m` and `marker_m`, or Caliscope's keys.

    Without `dictionary` (or with `kind = "checkerboard"`) it is a checkerboard and counts inner corners. Caliscope's:
    `square_size_override_cm`, or `board_width`, `board_height` and `units`; `aruco_scale`.

    Raises:
        InputError: no file, no TOML, or a key that is missing or no number.
        UsageError: numbers that no board has.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        told = told.get("board", told.get("charuco", told))
        columns, rows = int(told["columns"]), int(told["rows"])
        square = _square(told, columns, rows)
        marker = float(told.get("marker_m", square * float(told.get("aruco_scale", _MARKER))))
    except FileNotFoundError:
        raise InputError(f"there is no board file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the board {path}", str(error).splitlines()[0]) from error
    except KeyError as error:
        raise InputError(
            f"the board {path} says no {error.args[0]}", hint="columns, rows and square_m are needed"
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the board {path} is not understood", str(error)) from error
    inverted, legacy = bool(told.get("inverted")), bool(told.get("legacy"))
    if told.get("kind", "charuco" if "dictionary" in told else "checkerboard") == "checkerboard":
        return Board("checkerboard", columns, rows, square, inverted=inverted)
    return Board("charuco", columns, rows, square, marker, _dictionary(str(told["dictionary"])), inverted, legacy)


def _square(told: dict[str, Any], columns: int, rows: int) -> float:
    if "square_m" in told:
        return float(told["square_m"])
    if "square_size_override_cm" in told:
        return float(told["square_size_override_cm"]) / 100
    unit = str(told.get("units", "m"))
    if unit not in _UNITS:
        raise ValueError(f"unknown unit {unit!r}")
    if "board_width" not in told:
        raise KeyError("square_m")
    return _UNITS[unit] * min(float(told["board_width"]) / columns, float(told["board_height"]) / rows)


def _dictionary(word: str) -> str:
    name = word.upper() if word.upper().startswith("DICT_") else f"DICT_{word.upper()}"
    if name not in DICTIONARIES:
        raise UsageError(f"no dictionary {word}", f"known: {', '.join(DICTIONARIES)}")
    return name


def _only(words: list[str], known: set[str], text: str) -> None:
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UsageError(f"no board {text!r}", f"{unknown[0]!r} is nothing of a checkerboard", _HINT)
