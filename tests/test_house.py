"""The rules of the house: arrows point one way, nothing heavy is imported before it is chosen."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = ("detectors", "trackers", "lifters", "motion", "visualize", "exporters", "multiview")
PLAIN = {
    "pipeline.results",
    "pipeline.skeletons",
    "pipeline.whole_body",
    "pipeline.errors",
    "pipeline.files",
    "pipeline.ahead",
    "pipeline.memory",
    "pipeline.projection",
    "pipeline.boxes",
}
OURS = (*STAGES, "pipeline", "training", "studio", "checkpoints", "benchmarks", "videopose")
HEAVY = ("numpy", "cv2", "av", "scipy", "openvino", "torch", "lightning_fabric", "rich.progress")


def imports(path):
    """Names of our own modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (name for name in names if name.split(".")[0] in OURS)


@pytest.mark.parametrize("room", STAGES)
def test_a_stage_imports_plain_data_and_itself(room):
    allowed = {room, "checkpoints"}
    for path in (ROOT / room).rglob("*.py"):
        for name in imports(path):
            assert name.split(".")[0] in allowed or name in PLAIN, f"{path.name} imports {name}"


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_data_imports_plain_data(name):
    assert PLAIN.issuperset(imports(ROOT / f"{name.replace('.', '/')}.py"))


def test_what_is_found_is_kept_by_all_code_that_makes_skeletons():
    from pipeline.clip_stages import PLAIN as KEPT_BY

    made_of = {name for file in KEPT_BY for name in imports(ROOT / file)} - {"pipeline.files"}
    assert {f"{name.replace('.', '/')}.py" for name in made_of} <= set(KEPT_BY)


@pytest.mark.parametrize("command", ["run", "train", "checkpoints"])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys, videopose\n"
        f"try: videopose.main([{command!r}, '--help'])\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_needs_no_torch():
    code = "import sys, pipeline.runner, pipeline.batch, lifters.videopose3d, detectors.blazepose; "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_star_imports_and_no_oversized_files():
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if (parts[0] not in OURS and path.name != "videopose.py") or "results" in parts[:-1]:
            continue
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, f"{path} is too long"
        for node in ast.walk(ast.parse(text)):
            assert not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*"), path
