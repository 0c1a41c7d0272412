"""Calls the command line in the tests' own process."""

import pytest

import videopose


def call(capsys, *arguments):
    """Run one command line in this process; its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as caught:
        videopose.main([str(a) for a in arguments])
    text = capsys.readouterr()
    return caught.value.code or 0, text.out, text.err
