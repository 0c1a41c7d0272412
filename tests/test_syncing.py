"""The command `sync`: rendered clips of one scene through the whole chain."""

import json
from dataclasses import replace

import numpy as np
import pytest
from commandline import call

from pipeline import syncing
from studio.cameras import look_at, still
from studio.scenes import build
from studio.write import write

BEGIN = 0.37  # s: when the second camera was switched on


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Two clips of somebody who waves, squats and waves, from two sides; the second begins later."""
    folder = tmp_path_factory.mktemp("filmed")
    scene = build("multiview4", seed=1, size=(480, 360), duration=3.2, fps=15)
    scene = replace(scene, actors=scene.actors[1:])
    eyes = ((3.4, -2.4, 1.7), (1.0, -4.2, 1.5))
    paths = []
    for number, eye in enumerate(eyes):
        begin = BEGIN * number
        camera = still(look_at(eye, (0, 0, 0.95), (480, 360), 40))
        paths.append(folder / f"view{number + 1}.mp4")
        write(replace(scene, cameras=(camera,), times=np.arange(begin, 3.2, 1 / 15)), paths[-1])
    return paths


@pytest.mark.slow
def test_two_clips(filmed, tmp_path, capsys, monkeypatch):
    code, out, _ = call(capsys, "sync", *filmed, "--out", tmp_path, "--json", "--quiet")
    told = json.loads(out)
    assert code == 0 and [view["reliable"] for view in told] == [True, True]
    assert abs(told[1]["offset_s"] - BEGIN) < 0.5 / 15 and told[0]["offset_s"] == 0
    monkeypatch.setattr("detectors.blazepose.BlazePose.detect", lambda *_: pytest.fail("detected anew"))
    code, out, _ = call(capsys, "sync", *filmed, "--out", tmp_path, "--quiet")
    assert code == 0 and f"{told[1]['offset_s']:+.4f}" in out and "the clock" in out


@pytest.mark.slow
def test_a_clip_of_something_else_is_refused(filmed, clip, tmp_path, capsys):
    code, out, _ = call(capsys, "sync", filmed[0], clip, "--out", tmp_path, "--quiet")
    assert code == 3 and "refused: " in out.splitlines()[2]


def test_one_clip_is_too_few(clip, tmp_path, capsys):
    code, _, err = call(capsys, "sync", clip, "--out", tmp_path)
    assert code == 2 and "two videos or more" in err


def test_numbers_that_are_not_known_are_null():
    from multiview.sync import synchronise
    from pipeline.results import ClipInfo

    times = np.arange(30) / 30
    clocks = synchronise([[], []], [[], []], [times, times])
    infos = [ClipInfo(name, 320, 240, times, 30.0) for name in ("a.mp4", "b.mp4")]
    second = syncing.as_json(clocks, infos)[1]
    assert second["offset_s"] is None and second["reason"] == "nobody was found"
    assert "refused: nobody was found" in syncing.table(clocks, infos)
    json.dumps(second, allow_nan=False)
