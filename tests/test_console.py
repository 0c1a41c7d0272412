"""What people see of a run: stdout holds results whatever stderr is, bars and messages do not tear each other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import console

ROOT = Path(__file__).parent.parent
# A run as the command line reports it, without the networks.
CODE = """
import logging, sys
from pipeline import console
console.start_logging(quiet=False)
with console.progress(quiet=False) as report:
    for number, name in enumerate(("a[b].mp4", "c.mp4"), 1):
        report.clip(name, number, 2)
        for done in range(1, 41):
            report("detect", done, 40)
        logging.getLogger("videopose").warning("%s: :smile: [bold]", name)
        report("lift", 0, 1)
        console.say(f"{name}: 1 person", sys.stdout)
"""


def on_terminal(code, stdout=None):
    """Run Python with stderr, and stdout unless given, on a pseudo terminal: what the terminal got."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo terminals")
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=stdout or theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 4096):
            parts.append(part)
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0, b"".join(parts)
    return b"".join(parts).decode()


def lines(text):
    """What stays on the terminal: escapes removed, and of each line what follows the last return to its start."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.replace("\r\n", "\n"))
    return [line.rpartition("\r")[2] for line in plain.split("\n")]


def every(text):
    """Whatever stood on a line for a while, escapes removed."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))


def test_results_go_to_stdout_while_a_bar_runs(tmp_path):
    with (tmp_path / "list.txt").open("wb") as file:
        seen = on_terminal(CODE, file)
    assert (tmp_path / "list.txt").read_text() == "a[b].mp4: 1 person\nc.mp4: 1 person\n"
    assert "1 person" not in seen


def test_messages_stand_above_the_bar():
    seen = on_terminal(CODE)
    assert "detect" in seen and "1 of 2, a[b].mp4" in seen and "2 of 2, c.mp4" in seen
    assert not re.search(r"lift.*frames/s", "\n".join(every(seen)))
    for text in ("warning: a[b].mp4: :smile: [bold]", "a[b].mp4: 1 person", "c.mp4: 1 person"):
        assert text in lines(seen)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_rate_counts_from_the_first_report(clock, capsys):
    report = console._Lines()
    report("detect", 50, 100)  # what was done before the first report took an unknown time
    clock[0] += 10
    report("detect", 70, 100)
    assert capsys.readouterr().err == "detect: 70/100, 2.0 frames/s, 15 s left\n"


def test_stages_without_frames_have_no_rate(clock, capsys):
    report = console._Lines()
    report("lift", 0, 4)
    clock[0] += 10
    report("lift", 2, 4)
    assert capsys.readouterr().err == "lift: 2/4, 10 s left\n"


def test_lines_name_the_clip_of_a_batch(clock, capsys):
    report = console._Lines()
    for number, name in enumerate(("a.mp4", "b.mp4"), 1):
        report.clip(name, number, 2)
        report("detect", 1, 10)
        clock[0] += 3
        report("detect", 10, 10)
    err = capsys.readouterr().err.splitlines()
    assert err == ["1 of 2, a.mp4: detect: 10/10, 3.0 frames/s", "2 of 2, b.mp4: detect: 10/10, 3.0 frames/s"]


def test_quiet_says_nothing(capsys):
    with console.progress(quiet=True) as report:
        report.clip("a.mp4", 1, 2)
        report("detect", 10, 10)
    text = capsys.readouterr()
    assert text.out == text.err == ""
