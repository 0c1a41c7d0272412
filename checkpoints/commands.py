"""`videopose.py checkpoints`: what weights there are, fetching them, checking them, where they lie."""

from __future__ import annotations

import json as json_module
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from checkpoints.card import Card

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Weight files: list, pull, verify, where.")
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")]


@app.command("list")
def list_command(json: Json = False) -> None:
    """Name, whether it is here, size and licence of everything that a card describes."""
    from checkpoints.card import card, names

    rows = [_facts(card(name)) for name in names()]
    if json:
        print(json_module.dumps(rows, indent=1))
        return
    print(f"{'name':<24} {'here':<8} {'MB':>5}  licence")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else "?"
        print(f"{row['name']:<24} {_here(row):<8} {size:>5}  {row['licence']}")


def _facts(of: Card) -> dict[str, Any]:
    from checkpoints import store

    path = next((path for path in store.places(of) if path.is_file()), None)
    return {
        "name": of.name,
        "file": of.file,
        "here": str(path) if path else None,
        "bytes": of.bytes or (path.stat().st_size if path else 0),
        "sha256": store.known_hash(of),
        "licence": of.licence,
        "licence_url": of.licence_url,
        "trained_on": of.trained_on,
        "output_skeleton": of.details.get("output_skeleton"),
        "accuracy": of.details.get("accuracy", {}),
        "sources": [source.get("url") or source.get("page") or source["kind"] for source in of.sources],
        "by_hand": all(source["kind"] == "by_hand" for source in of.sources),
    }


def _here(row: dict[str, Any]) -> str:
    return "yes" if row["here"] else "by hand" if row["by_hand"] else "no"


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="As `list` names them; 'rtmpose-*' is all of that family.")],
    quiet: Quiet = False,
) -> None:
    """Fetch weights, so that no run has to; prints where they lie."""
    from checkpoints.store import find
    from pipeline.console import start_logging
    from pipeline.errors import MissingError

    start_logging(quiet)
    failures = []
    for name in _named(names):
        try:
            print(find(name), flush=True)
        except MissingError as error:
            failures.append(error)
    _raise(failures)


@app.command()
def verify(names: Annotated[list[str] | None, typer.Argument(help="Default: all that are here.")] = None) -> None:
    """Compare files with the sizes and hashes of their cards, or with those that were pinned when they came."""
    from checkpoints import store
    from checkpoints.card import card
    from checkpoints.card import names as all_names
    from pipeline.console import start_logging
    from pipeline.errors import MissingError

    start_logging(quiet=False)
    failures = []
    for of in map(card, _named(names) if names else all_names()):
        here = [path for path in store.places(of) if path.is_file()]
        if names and not here:
            failures.append(MissingError(f"{of.name} is not here", hint=_get(of)))
        for path in here:
            if reason := store.verify(path, of):
                print(f"{of.name:<24} WRONG  {path}: {reason}")
                failures.append(MissingError(f"{of.name} is not what it should be", f"{path}: {reason}", _get(of)))
            else:
                store.pin(path, of)
                print(f"{of.name:<24} {'ok' if of.sha256 else 'as pinned'}  {path}")
    _tell_parts(store.folder())
    _raise(failures)


def _tell_parts(home: Path) -> None:
    parts = [path for path in home.glob(".*.part") if path.is_file()] if home.is_dir() else []
    if parts:
        size = sum(path.stat().st_size for path in parts) / 1e6
        print(f"{home}: {len(parts)} unfinished downloads ({size:.1f} MB), which `pull` goes on with")


@app.command()
def where(name: Annotated[str, typer.Argument(help="As `list` names it.")]) -> None:
    """Print where a file lies; if it is not here, say how to get it."""
    from checkpoints.card import card
    from checkpoints.store import local
    from pipeline.console import start_logging
    from pipeline.errors import MissingError

    start_logging(quiet=True)
    path = local(name)
    if path is None:
        of = card(name)
        raise MissingError(f"{name} ({of.file}) is not here", hint=_get(of))
    print(path)


def _get(of: Card) -> str:
    from checkpoints.store import how_to_get, may_fetch

    return f"python videopose.py checkpoints pull {of.name}" if may_fetch(of) else how_to_get(of)


def _named(patterns: list[str]) -> list[str]:
    """All names that fit, each once. Raises UsageError for what fits none."""
    from checkpoints.card import card, names

    chosen: dict[str, None] = {}
    for pattern in patterns:
        chosen |= dict.fromkeys([n for n in names() if fnmatchcase(n, pattern)] or [card(pattern).name])
    return list(chosen)


def _raise(failures: list[Any]) -> None:
    """The last failure ends the command; those before it are told."""
    for error in failures[:-1]:
        print(f"error: {error}", file=sys.stderr)
    if failures:
        raise failures[-1]
