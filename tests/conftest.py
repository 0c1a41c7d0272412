"""What several test files share."""

import os
from functools import cache
from importlib import import_module

import pytest
from clips import write
from hypothesis import settings

# The same examples in every run; `--hypothesis-profile search` looks for others.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("same")

if os.environ.get("VIDEOPOSE_OPTIONAL"):  # `.ci/optional` has installed it all: what is missing is a failure there
    pytest.importorskip = lambda name, *_, **__: import_module(name)


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


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A film of one walking actor, one second."""
    from studio.scenes import build
    from studio.write import write as render

    path = tmp_path_factory.mktemp("clip") / "walk.mp4"
    render(build("walk", size=(320, 240), duration=1.0, fps=12), path)
    return path


@pytest.fixture(scope="module")
def one_thread():
    """PyTorch on one thread: small networks are no faster on more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def h36m(tmp_path_factory):
    """A folder of Human3.6M's files, acted for one second."""
    import acted

    return acted.write_human36m(tmp_path_factory.mktemp("h36m"), seconds=1.0, takes=1)


@pytest.fixture(scope="module")
def make_lifter(tmp_path_factory):
    """The lifter of a released file, loaded once for each set of options."""
    from released_files import FILES, write

    from pipeline.choices import lifter_class

    folder = tmp_path_factory.mktemp("released")

    @cache
    def lifter(name, kind=None, flip=True):
        path = write(folder, name)
        return lifter_class(kind or FILES[name][0], path)(weights=path, flip=flip)

    return lifter
