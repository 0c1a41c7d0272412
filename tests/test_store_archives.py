"""Archives are unpacked without trust: the one member named, nowhere else, no more than is allowed."""

import io
import stat
import zipfile

import pytest
from weight_cards import PAYLOAD, https, write_card

from checkpoints import archive, store
from checkpoints.fetch import FetchError
from pipeline.errors import MissingError

PATTERN = "*end2end.onnx"


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    """Bytes of an archive of (name or ZipInfo, content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)
    return buffer.getvalue()


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def damaged():
    data = bytearray(zipped(("a/end2end.onnx", PAYLOAD), method=zipfile.ZIP_STORED))
    data[5_000] ^= 1
    return bytes(data)


BAD = {
    "above": (zipped(("../../end2end.onnx", PAYLOAD)), "is no plain file in its place"),
    "absolute": (zipped(("/etc/end2end.onnx", PAYLOAD)), "is no plain file in its place"),
    "of Windows": (zipped((r"..\..\end2end.onnx", PAYLOAD)), "is no plain file in its place"),
    "link": (zipped((link("a/end2end.onnx"), b"/etc/passwd")), "is no plain file in its place"),
    "bomb": (zipped(("a/end2end.onnx", bytes(60_000_000))), "is larger than 40001 bytes"),
    "two": (zipped(("a/end2end.onnx", PAYLOAD), ("b/end2end.onnx", b"?")), "has 2 members"),
    "none": (zipped(("a/readme.md", PAYLOAD)), "has 0 members .* it holds a/readme.md"),
    "folder": (zipped(("a/end2end.onnx/", b"")), "has 0 members"),
    "nothing": (zipped(), "it holds nothing"),
    "damaged": (damaged(), "Bad CRC-32"),
    "cut": (zipped(("a/end2end.onnx", PAYLOAD))[:-30], "is not a zip file"),
    "no archive": (PAYLOAD, "is not a zip file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused(tmp_path, name):
    data, told = BAD[name]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "given.zip"
    path.write_bytes(data)
    with pytest.raises(FetchError, match=told):
        archive.unpack(path, PATTERN, tmp_path / "in" / "out", len(PAYLOAD))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_bomb_is_left_off_early(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(archive.Path, "open", lambda *_: Counted(written))
    path = io.BytesIO(BAD["bomb"][0])
    with pytest.raises(FetchError, match="larger"):
        archive.unpack(path, PATTERN, tmp_path / "out", 3 << 20)
    assert sum(written) <= 3 << 20


class Counted(io.BytesIO):
    def __init__(self, written):
        super().__init__()
        self.written = written

    def write(self, block):
        self.written.append(len(block))
        return len(block)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("names", [("20230504/rtmpose/end2end.onnx", "20230504/detail.json"), ("end2end.onnx", "x")])
def test_a_card_names_the_member_of_an_archive(tmp_path, monkeypatch, known, names):
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    origin = tmp_path / "model.zip"
    origin.write_bytes(zipped((names[0], PAYLOAD), (names[1], b"{}")))
    write_card(tmp_path, https(origin.as_uri(), member=PATTERN), **({} if known else {"bytes": 0, "sha256": ""}))
    assert store.find("small", tmp_path).read_bytes() == PAYLOAD
    pinned = [] if known else ["small.onnx.sha256"]
    assert sorted(path.name for path in store.folder().iterdir()) == ["small.onnx", *pinned]


@pytest.mark.parametrize("fault", ["archive", "member"])
def test_an_archive_is_held_to_its_own_hash_and_its_member_to_its(tmp_path, monkeypatch, fault):
    monkeypatch.setenv("VIDEOPOSE_CHECKPOINTS", str(tmp_path / "store"))
    origin = tmp_path / "model.zip"
    origin.write_bytes(zipped(("end2end.onnx", PAYLOAD if fault == "archive" else PAYLOAD[::-1])))
    sha = "0" * 64 if fault == "archive" else store.sha256(origin)
    write_card(tmp_path, https(origin.as_uri(), member=PATTERN, sha256=sha, bytes=origin.stat().st_size))
    with pytest.raises(MissingError, match=r"archive has sha256" if fault == "archive" else r"small\.onnx has sha256"):
        store.find("small", tmp_path)
    assert list(store.folder().iterdir()) == []
