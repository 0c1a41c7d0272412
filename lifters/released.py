"""Checkpoints as their authors released them, opened without running anything that a file asks for.

PyTorch's own restricted reader builds tensors and plain containers only. What older files carry beside the weights, the
state of NumPy's random generators, is known by name and dropped; any other name in a file is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from checkpoints.torch_file import restricted
from lifters.variants import recognise
from pipeline.errors import InputError, MissingError

State = dict[str, Tensor]

# Names that a pickled numpy.random.RandomState or a NumPy number consists of, from NumPy 1.13 to 2.
NUMPY = (
    "numpy.random.__RandomState_ctor",  # until 1.16
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._mt19937.MT19937",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",  # from 2.0
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
)
# Under these names the authors keep the network that lifts: VideoPose3D, RIE and MotionBERT; P-STMO and others.
NETWORKS = ("model_pos", "model", "state_dict")
BARE = "model"  # the name given to a file that is nothing but one state dict
HINT = "download it again, or ask who gave it to you"


class _Dropped:
    """Stands for an object of NumPy in a file; nothing of it is kept."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def read_state(path: Path) -> dict[str, State]:
    """All state dicts of a file (`.bin`, `.pth`, `.pt`, `.safetensors`), by the name they have in it.

    A file that is one state dict gives {"model": ...}. The prefix `module.` of DataParallel is taken off; what is None
    (a trajectory model that was not trained) and what is no state dict (epoch, optimizer) is left out.

    Raises:
        MissingError: there is no such file.
        InputError: it is no checkpoint, not whole, holds no network, or asks for code.
    """
    loaded = _read(path)
    if _is_state(loaded):
        return {BARE: _without_prefix(loaded)}
    named = loaded.items() if isinstance(loaded, Mapping) else ()
    states = {str(name): _without_prefix(value) for name, value in named if _is_state(value)}
    if not states:
        held = ", ".join(str(name) for name, _ in named) or type(loaded).__name__
        raise InputError(f"no network in {path}", f"no state dict of tensors, only: {held[:120]}", HINT)
    return states


class Told(NamedTuple):
    """What a file of this project's own training says of itself; of other files nothing is known."""

    options: dict[str, Any]  # of the recipe
    fps: float | None  # frames per second of the data


def read_told(path: Path) -> Told:
    """What a file says of its training.

    Raises:
        MissingError, InputError: as `read_state`.
    """
    loaded = _read(path)
    ours = isinstance(loaded, Mapping) and isinstance(loaded.get("config"), Mapping) and "recipe" in loaded
    return Told(dict(loaded["config"]), loaded.get("fps")) if ours else Told({}, None)


def read_network(path: Path, name: str = "") -> State:
    """One state dict of a file: that of `name`, by default the network that lifts.

    Raises:
        MissingError, InputError: as `read_state`; or the file has none of that name.
    """
    states = read_state(path)
    for known in (name,) if name else (*NETWORKS, *(states if len(states) == 1 else ())):
        if known in states:
            return states[known]
    raise InputError(f"no {name or 'known network'} in {path}", f"it holds: {', '.join(states)}", "one of these names")


def load_into(network: nn.Module, state: State, path: Path, parts: tuple[str, ...] = ()) -> None:
    """Give a network the weights of a state dict from `path`, which is only named in errors.

    Args:
        parts: take over only entries whose names begin so (an encoder that was trained in an earlier stage).

    Raises:
        InputError: entries are missing, unknown or of another shape; nothing was changed then.
    """
    own = network.state_dict()
    wanted = {name: value for name, value in own.items() if name.startswith(parts or "")}
    given = {name: value for name, value in state.items() if name.startswith(parts or "")}
    # Files from before PyTorch 0.4.1 do not count batches, and nothing but training without momentum uses the count.
    given |= {n: v for n, v in wanted.items() if n.endswith(".num_batches_tracked") and n not in given}
    shapes = [
        f"{name} {_shape(given[name])} for {_shape(value)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    problems = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": shapes,
    }
    if any(problems.values()) or not wanted:
        looks = recognise(state)
        raise InputError(
            f"{path} does not fit the network",
            "; ".join(_short(kind, names) for kind, names in problems.items() if names) or f"it has no part {parts}",
            f"the options of what it looks like: {looks}" if looks else "another file; no known network is in this one",
        )
    network.load_state_dict(own | given)


def _short(kind: str, names: list[str], shown: int = 3) -> str:
    """ "4 missing: a, b, c and 1 more"."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names)} {kind}: {', '.join(names[:shown])}{more}"


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape)).replace(" ", "")


def _is_state(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(name, str) and _is_plain(entry) for name, entry in value.items())


def _is_plain(value: object) -> bool:
    """A tensor with numbers in memory, one by one."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not (value.is_meta or value.is_quantized)


def _without_prefix(state: Mapping[str, Tensor], prefix: str = "module.") -> State:
    while all(name.startswith(prefix) for name in state):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return {name: value.detach() for name, value in state.items()}


def _read(path: Path) -> Any:
    if not path.is_file():
        raise MissingError(f"no weights at {path}", "there is no such file", "the path of a downloaded checkpoint")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"cannot read {path}", str(error.strerror), "its permissions") from error
    safe = head[8:9] == b"{" and not head.startswith(b"PK")
    if safe:
        return _read_safetensors(path)
    return restricted(path, f"{HINT}; or the state dict alone, saved as safetensors", [(_Dropped, n) for n in NUMPY])


def _read_safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except SafetensorError as error:
        raise InputError(f"cannot read {path}", f"not whole: {error}", HINT) from error
    if not state:
        raise InputError(f"no network in {path}", "it holds no tensor", HINT)
    return state
