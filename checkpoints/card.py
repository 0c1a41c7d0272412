"""One TOML card per weight file: where it comes from, what it is, what one may do with it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, MissingError, UsageError
from pipeline.files import atomic

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CARDS = Path(__file__).parent / "cards"


@dataclass(frozen=True)
class Card:
    """What `checkpoints/cards/<name>.toml` says of one weight file."""

    name: str
    file: str
    format: str
    bytes: int  # 0: not known
    sha256: str  # of the file as it is used, not of an archive; empty: not known
    licence: str
    licence_url: str
    sources: list[dict[str, Any]]
    trained_on: str = ""
    sha256_begins: str = ""  # all that is known of a hash where `sha256` is empty
    details: dict[str, Any] = field(default_factory=dict)  # skeletons, normalisation, receptive field, accuracy ...


def names(folder: Path = CARDS) -> list[str]:
    """The names of all cards, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def card(name: str, folder: Path = CARDS) -> Card:
    """Read the card of that name.

    Raises:
        UsageError: there is no such card; the nearest names are suggested.
        MissingError: the card lacks a field or is not TOML.
    """
    path = folder / f"{name}.toml"
    if not path.is_file():
        near = get_close_matches(name, names(folder), n=3, cutoff=0.6)
        raise UsageError(
            f"no weights called {name!r}",
            f"nearest: {', '.join(near)}" if near else "",
            "python videopose.py checkpoints list",
        )
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        known = {key: data.pop(key) for key in list(data) if key in Card.__dataclass_fields__}
        return Card(**known, details=data)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise MissingError(
            f"the card {path.name} cannot be used", str(error), "git checkout checkpoints/cards"
        ) from error


def write_accuracy(path: Path, told: str, figures: dict[str, float]) -> None:
    """Put measured figures into a card, whose last table `[accuracy]` is: by name, in the unit that the name ends in.

    Args:
        told: one line on what they are.

    Raises:
        InputError: no such table at the end of it.
        OutputError: no permission, no space.
    """
    head, mark, rest = path.read_text(encoding="utf-8").partition("[accuracy]\n")
    if not mark or rest.startswith("[") or "\n[" in rest:
        raise InputError(f"{path} does not end in a table of accuracy", hint="a card that training wrote")
    *before, last, _ = head.split("\n")
    head = "".join(f"{line}\n" for line in (before if last.startswith("#") else [*before, last]))
    lines = [f"{name} = {value:.1f}" for name, value in figures.items()]
    with atomic(path) as temporary:
        temporary.write_text("\n".join([f"{head}# {told}", "[accuracy]", *lines]) + "\n", encoding="utf-8")
