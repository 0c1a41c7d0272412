"""What several test files share."""

import pytest
from clips import write


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """One healthy file of each kind, made once."""
    folder = tmp_path_factory.mktemp("whole")
    mp4 = write(folder / "a.mp4", options={"movflags": "+faststart"})
    return {
        "mp4": mp4,
        "late.mp4": write(folder / "late.mp4"),
        "frag.mp4": write(folder / "frag.mp4", options={"movflags": "+frag_keyframe+empty_moov"}),
        "mkv": write(folder / "a.mkv"),
        "webm": write(folder / "a.webm", "libvpx-vp9"),
        "avi": write(folder / "a.avi", "mpeg4"),
        "gif": write(folder / "a.gif", "gif", "rgb8", ticks=[40 * i for i in range(30)]),
        "ts": write(folder / "a.ts"),
    }
