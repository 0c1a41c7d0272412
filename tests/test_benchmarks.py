"""What the benchmarks' commands say when they are asked for what they cannot give."""

import subprocess

import pytest

from benchmarks import accuracy, architectures, detector_errors


@pytest.mark.parametrize("what", ["balance", "studio"])
@pytest.mark.parametrize("option", [("--lifter", "rie"), ("--weights", "rie.pth")])
def test_tables_of_fixed_lifters_take_no_other(capsys, what, option):
    with pytest.raises(SystemExit) as stopped:
        accuracy.main([what, *option])
    assert stopped.value.code == 2
    assert "--lifter and --weights are of mocap and rates" in capsys.readouterr().err


def test_kept_samples_that_are_missing_are_named(tmp_path):
    with pytest.raises(SystemExit, match=r"none\.npz is not here"):
        detector_errors.main(["--from", str(tmp_path / "none.npz")])


def test_a_network_that_fails_does_not_take_the_others_along(capsys, monkeypatch, tmp_path):
    """The processes are stood in for: one fails, two print their rows."""
    rows = {"narrow": "| ours | 1 | 2 | 3 | 4 | 50.0 | 60.0 |", "rie": "| RIE | 1 | 2 | 3 | 4 | 40.0 | 70.0 |"}

    def run(command, check=False, **_):
        name = command[3]
        done = subprocess.CompletedProcess(command, 0 if name in rows else 1, rows.get(name, "") + "\n")
        if check:
            done.check_returncode()
        return done

    monkeypatch.setattr(architectures.subprocess, "run", run)
    with pytest.raises(SystemExit, match="not measured, see above: pstmo"):
        architectures.main(["--data", str(tmp_path), "narrow", "pstmo", "rie"])
    assert capsys.readouterr().out.splitlines()[2:] == [rows["rie"], rows["narrow"]]
