"""Opens a checkpoint of MMPose without running anything that is in it.

PyTorch's restricted reader builds tensors and plain containers. What MMEngine writes beside the weights (arrays of
NumPy about the data set, curves of the training) is known by name and dropped; any other name is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkpoints.torch_file import restricted
from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

# Names of what a pickled array or number of NumPy (1 and 2) and a curve of MMEngine consist of.
BESIDE = (
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",
    "collections.defaultdict",
)
HINT = "a whole .pth file from MMPose's model zoo, or one that its training wrote"


def load(path: Path) -> dict[str, Tensor]:
    """The weights by their names in the network.

    Raises:
        InputError: no checkpoint, damaged, or it asks for code.
    """
    held = _read(path)
    state = held.get("state_dict", held) if isinstance(held, dict) else None
    if not isinstance(state, dict) or not state or not all(_is_weight(*entry) for entry in state.items()):
        raise InputError(f"no weights of a network in {path}", "no state_dict with tensors in it", HINT)
    return {name.removeprefix("module."): value for name, value in state.items()}


def _read(path: Path) -> Any:
    import torch

    with torch.serialization.safe_globals([(_Dropped, name) for name in BESIDE]):
        return restricted(path, HINT)


def _is_weight(name: Any, value: Any) -> bool:
    import torch

    return isinstance(name, str) and isinstance(value, torch.Tensor)


class _Dropped:
    """Stands for what a file holds beside its weights; nothing of it is kept."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...
