"""A recipe's options from the command line: `--set epochs=20 --set widths=3,3,3`."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Sequence
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.errors import UsageError

Options = TypeVar("Options")


def changed(options: Options, settings: Sequence[str]) -> Options:
    """A dataclass with `name=value` texts applied, each read as its field's type says.

    Raises:
        UsageError: no such option (the nearest is suggested), or a value of another type.
    """
    hints, values = get_type_hints(type(options)), {}
    names = [field.name for field in fields(options)]
    for setting in settings:
        name, equals, text = setting.partition("=")
        if name not in names or not equals:
            near = get_close_matches(name, names, n=1, cutoff=0.4)
            hint = f"{near[0]}=..." if near else "name=value"
            raise UsageError(f"no option called {name!r}", f"known: {', '.join(names)}", hint)
        try:
            values[name] = _read(text, hints[name])
        except ValueError as error:
            raise UsageError(f"cannot set {name} to {text!r}", f"it is like {getattr(options, name)!r}") from error
    return replace(options, **values)


def listed(options: type) -> list[str]:
    """What the class of a recipe's options says of itself, and a line for each with a default: `name=default  meaning`.

    A meaning is the comment beside the field, or beside that of the class which this one extends.
    """
    meanings: dict[str, str] = {}
    for part in reversed(options.__mro__[:-1]):
        meanings |= re.findall(r"^    (\w+): .+  # (.+)$", inspect.getsource(part), re.MULTILINE)
    rows = [(f"{field.name}={_written(field.default)}", field.name) for field in fields(options)
            if field.default is not MISSING]  # fmt: skip
    wide = max(len(row) for row, _ in rows)
    lines = [f"  {row:{wide}}  {meanings.get(name, '')}".rstrip() for row, name in rows]
    return [*(inspect.getdoc(options) or "").splitlines(), "", *lines]


def _written(value: Any) -> str:
    """As `changed` reads it."""
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return {None: "none", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def _read(text: str, kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in get_args(kind):
            return None
        return _read(text, next(inner for inner in get_args(kind) if inner is not type(None)))
    if get_origin(kind) is tuple:
        return tuple(_read(part, get_args(kind)[0]) for part in text.split(",") if part)
    if kind is bool:
        return _yes(text.lower())
    return Path(text) if kind is Path else kind(text)


def _yes(text: str) -> bool:
    if text not in ("yes", "true", "1", "no", "false", "0"):
        raise ValueError(f"{text!r} is neither yes nor no")
    return text in ("yes", "true", "1")
