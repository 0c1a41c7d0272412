"""What is left of a training run of the default lifter: weights, and the card that says what they are and whence."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifters.networks.sighted import SightedModel
from pipeline.files import atomic
from training.export_videopose3d import export

ROOT = Path(__file__).parent.parent
CARD = '''name = "{name}"
file = "{file}"
format = "onnx"
bytes = {bytes}
sha256 = "{sha256}"
licence = "Apache-2.0"
licence_url = "https://www.apache.org/licenses/LICENSE-2.0"
trained_on = "{trained_on}"
acknowledgement = """The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with \
funding from NSF EIA-0196217."""
data_licences = "CMU: free for all uses; Mesh2Motion/Quaternius: CC0; jl_motionmatching: MIT"
input_skeleton = "lift-26"
output_skeleton = "h36m-23"
normalisation = "person-centred rays, virtual camera, apparent size (lifters/normalise.py), 30 frames/s"
receptive_field = {field}
filter_widths = {widths}
features = {features}
summary = {summary}

# The same numbers with the state dict's names, for training.
safetensors_file = "{safetensors_file}"
safetensors_bytes = {safetensors_bytes}
safetensors_sha256 = "{safetensors_sha256}"

[[sources]]
kind = "repository"
path = "checkpoints/{file}"

# python videopose.py train videopose3d, with these options where they are not its defaults.
[training]
{training}

# Not measured.
[accuracy]
'''

MOCAP = "CMU, Mesh2Motion and jl_motionmatching motion capture"


def publish(model: SightedModel, folder: Path, told: Mapping[str, Any], name: str = "videopose3d-open") -> Path:
    """Write weights into `folder` and their card into `folder/cards`; returns the card's path.

    The card says that the accuracy was not measured: `benchmarks.accuracy mocap --card` does that.

    Args:
        told: what it takes to do the run again: its options, and the program's commit when it began.

    Raises:
        OutputError: no permission, no space.
    """
    facts = export(model, folder, name)
    text = CARD.format(
        name=name, field=model.receptive_field, widths=list(model.widths), features=model.features,
        summary=model.summary, trained_on=trained_on(told["acted"]),
        training="\n".join(f"{key} = {_toml(value)}" for key, value in told.items() if value is not None), **facts,
    )  # fmt: skip
    card = folder / "cards" / f"{name}.toml"
    with atomic(card) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return card


def commit(folder: Path = ROOT) -> str | None:
    """The commit of the program's own checkout, with "-dirty" where files were changed since; None outside of one."""
    try:
        if Path(_git(folder, "rev-parse", "--show-toplevel")).resolve() != folder.resolve():
            return None
        return _git(folder, "rev-parse", "HEAD") + ("-dirty" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _toml(value: object) -> str:
    return json.dumps(value)  # of numbers, texts, truths and lists the same in both


def trained_on(acted: float) -> str:
    """What a card says of the data."""
    poses = f"{MOCAP} and poses acted by the studio ({acted:.0%} of the windows)" if acted else MOCAP
    return f"{poses}, seen by random virtual cameras"
