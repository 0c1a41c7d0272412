"""Several processes at one store: one fetches, the others wait; one that is killed leaves nothing that looks whole."""

import errno
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from served import PROXIES, Server, authority, whole
from weight_cards import PAYLOAD, https, write_card

from checkpoints import lock, store

CODE = "import sys, pathlib; from checkpoints import store; print(store.find('small', pathlib.Path(sys.argv[1])))"


@pytest.fixture
def server(tmp_path, monkeypatch):
    made, file = authority(tmp_path)
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    for name in ("VIDEOPOSE_OFFLINE", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    running = Server(made)
    yield running
    running.close()


def start(cards):
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(cards)], cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def lock_file():
    return store.folder() / ".small.onnx.lock"


@pytest.mark.parametrize("known", [True, False])
def test_two_processes_fetch_a_file_once(server, tmp_path, known):
    begun, go = threading.Event(), threading.Event()

    def answer(request):
        begun.set()
        go.wait(20)
        whole(PAYLOAD)(request)

    write_card(tmp_path, https(server.serves("file", answer)), **({} if known else {"bytes": 0, "sha256": ""}))
    first, second = start(tmp_path), start(tmp_path)
    assert begun.wait(20)
    time.sleep(0.5)  # the other one comes to the lock, or to the server if there were none
    go.set()
    told = [process.communicate(timeout=20) for process in (first, second)]
    assert [out.strip() for out, _ in told] == [str(store.folder() / "small.onnx")] * 2, told
    assert server.asked == [("file", None)]
    assert (store.folder() / "small.onnx").read_bytes() == PAYLOAD and not lock_file().exists()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_stopped_leaves_nothing_that_looks_whole(server, tmp_path, by):
    """Its lock does not hold up the next one, which goes on where it was."""
    stopped = threading.Event()

    def answer(request):
        if len(server.asked) == 1:
            request.send_response(200)
            request.send_header("ETag", '"1"')
            request.send_header("Content-Length", str(len(PAYLOAD)))
            request.end_headers()
            request.wfile.write(PAYLOAD[:20_000])
            stopped.wait(20)
        else:
            whole(PAYLOAD)(request)

    write_card(tmp_path, https(server.serves("file", answer)))
    process = start(tmp_path)
    wait_for(lambda: any(part.stat().st_size for part in tmp_path.glob("store/.*.part")))
    process.send_signal(by)
    process.communicate(timeout=20)
    stopped.set()
    assert all(path.name.startswith(".") for path in store.folder().iterdir())
    assert lock_file().exists() == (by != signal.SIGINT)
    assert store.find("small", tmp_path).read_bytes() == PAYLOAD
    assert server.asked[1][1] and server.asked[1][1] != "bytes=0-"
    assert [path.name for path in store.folder().iterdir()] == ["small.onnx"]


def test_a_lock_left_by_nobody_holds_nobody_up(tmp_path):
    path = tmp_path / ".x.lock"
    path.write_text("")
    with lock.one_at_a_time(path, "fetching x") as waited:
        assert waited is False and path.exists()
    assert not path.exists()


def test_a_lock_removed_while_it_was_waited_for_is_taken_anew(tmp_path, monkeypatch):
    """Its holder ends between our opening and our locking of the file, and a third process makes another."""
    path, real, others = tmp_path / ".x.lock", lock._lock, []

    def late(handle):
        if not others:
            path.unlink()
            others.append(path.open("w"))
        real(handle)

    monkeypatch.setattr(lock, "_lock", late)
    with lock.one_at_a_time(path, "fetching x"):
        assert lock._try(path) is None  # nobody else can come in
    others[0].close()


def test_only_one_thread_is_inside(tmp_path):
    path, order = tmp_path / ".x.lock", []

    def hold(name):
        with lock.one_at_a_time(path, "fetching x"):
            order.append(name)
            time.sleep(0.05)
            order.append(name)

    threads = [threading.Thread(target=hold, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(order) == 8 and order[::2] == order[1::2]


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def none(handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", none)
    with pytest.raises(lock.LockError, match="knows no locks: No locks"), lock.one_at_a_time(tmp_path / "x", ""):
        pass
