"""What a file says of its camera."""

import struct

import av
import cv2
import pytest
from clips import picture

from pipeline.clip import open_clip
from pipeline.metadata import focal_from_metadata


def exif(order, millimetres):
    """The smallest EXIF block with a 35 mm equivalent focal length."""
    first = struct.pack(order + "HHHIII", 1, 0x8769, 4, 1, 26, 0)
    detail = struct.pack(order + "HHHIHHI", 1, 0xA405, 3, 1, millimetres, 0, 0)
    body = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8) + first + detail
    return b"Exif\0\0" + body


def write_with_focal(path, millimetres, order="<"):
    data = cv2.imencode(".jpg", picture(3, 300, 200))[1].tobytes()
    block = exif(order, millimetres)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    return data, block


def test_focal_length_is_that_of_the_first_picture(tmp_path):
    write_with_focal(tmp_path / "frame_10.jpg", 50)
    write_with_focal(tmp_path / "frame_9.jpg", 28)
    info = open_clip(tmp_path).info
    assert focal_from_metadata(tmp_path, info) == focal_from_metadata(tmp_path / "frame_9.jpg", info)


@pytest.mark.parametrize("order", ["<", ">"])
def test_focal_length_of_a_picture(tmp_path, order):
    path = tmp_path / "a.jpg"
    data, block = write_with_focal(path, 28, order)
    info = open_clip(path).info
    assert focal_from_metadata(path, info) == pytest.approx(28 / 36 * 300)
    assert focal_from_metadata(tmp_path, info) == pytest.approx(28 / 36 * 300)
    for cut in range(len(block) - 6):  # a note that is cut off is none
        path.write_bytes(data[:2] + block[:cut])
        assert focal_from_metadata(path, info) is None


def test_focal_length_of_a_video(tmp_path, whole):
    assert focal_from_metadata(whole["mp4"], open_clip(whole["mp4"]).info) is None
    path = tmp_path / "a.mov"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as out:
        out.metadata["com.apple.quicktime.camera.focal_length.35mm_equivalent"] = "26"
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="bgr24")))
        out.mux(stream.encode(None))
    assert focal_from_metadata(path, open_clip(path).info) == pytest.approx(26 / 36 * 96)


# ---- threads --------------------------------------------------------------------------------------------------------
