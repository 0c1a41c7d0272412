"""Keypoints that cannot be: each is a clear error, and no JSON at all leads to anything else."""

import copy
import json

import numpy as np
import pytest
from commandline import call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keypoint_files import check_valid, clip, entry, people, save

from detectors.alphapose import AlphaPose, Coco, Halpe
from detectors.openpose import OpenPose
from pipeline.errors import InputError, UsageError
from pipeline.options import Options

ROW = people("coco-17")[0]
GOOD = [entry(ROW, "0.jpg"), entry(ROW + np.float32([1, 2, 0]), "3.jpg", box=[1, 2, 3, 4], idx=[1])]


def at(joint, value, column=0):
    row = ROW.astype(float)
    row[joint, column] = value
    return row


BAD = {
    "cut off": (json.dumps(GOOD)[:-30], "cut off"),
    "empty": ("", "cut off"),
    "deep": ("[" * 100_000, "cut off"),
    "no text": ("\udcff", "cut off"),
    "nothing by picture": ({}, "neither a list"),
    "a number": (3, "neither a list"),
    "other lists": ({"annotations": 3}, "neither a list"),
    "numbers in a list": ([1, 2], "without `keypoints`"),
    "no keypoints": ([{"image_id": "0.jpg"}], "without `keypoints`"),
    "no picture": ([{"keypoints": [1, 2, 3]}], "no picture"),
    "a picture that is a list": ([entry(ROW, ["0.jpg"])], "no picture"),
    "pictures without people": ({"0.jpg": {"version": 1}}, "without a list"),
    "people that are none": ({"0.jpg": {"people": [3]}}, "without a list"),
    "text": ([entry(ROW, "0.jpg", keypoints=["a"] * 51)], "no numbers"),
    "numbers as text": ([entry(ROW, "0.jpg", keypoints=["1"] * 51)], "no numbers"),
    "keypoints that are none": ([entry(ROW, "0.jpg", keypoints=None)], "no numbers"),
    "lists in lists": ([entry(ROW, "0.jpg", keypoints=[[1, 2, 3]] * 17)], "17 numbers"),
    "a number that no computer holds": ([entry(ROW, "0.jpg", keypoints=[10**400] * 51)], "no numbers"),
    "other joints": ([entry(ROW[:16], "0.jpg")], "48 numbers"),
    "half a joint": ([entry(ROW, "0.jpg", keypoints=[1.0] * 50)], "50 numbers"),
    "two models": ([GOOD[0], entry(people("halpe-26")[0], "1.jpg")], "51 and 78"),
    "not a number": ([entry(at(3, np.nan), "0.jpg")], "not finite"),
    "infinite": ([entry(at(3, np.inf), "0.jpg")], "not finite"),
    "huge": ([entry(at(3, 1e30), "0.jpg")], "too large"),
    "a huge score": ([entry(at(3, 1e30, 2), "0.jpg")], "too large"),
    "a frame twice": ([*GOOD, entry(ROW, "0003.png")], "same frame 3"),
    "a frame's people twice": ([*GOOD, GOOD[0]], "2 times"),
    "a picture twice": ('{"0.jpg": {"bodies": []}, "0.jpg": {"bodies": []}}', "twice"),
    "another clip": ([*GOOD, entry(ROW, "4.jpg")], "clip has 4 frames"),
    "another size": ([entry(ROW * np.float32([4, 4, 1]), "0.jpg")], "outside its 320x240"),
    "shares of the picture": ([entry(ROW / np.float32([320, 240, 1]), "0.jpg")], "shares of the picture"),
    "shares from -1 to 1": ([entry(ROW / np.float32([160, 120, 1]) - np.float32([1, 1, 0]), "0.jpg")], "between -"),
    "a score of text": ([entry(ROW, "0.jpg", score="high")], "scores that are no numbers"),
    "a score of none": ([entry(ROW, "0.jpg", score=[])], "score that cannot be"),
    "a box of three": ([entry(ROW, "0.jpg", box=[1, 2, 3])], "boxes"),
    "a box without end": ([entry(ROW, "0.jpg", box=[1, 2, 3, np.inf])], "four numbers"),
    "a box afar": ([entry(ROW, "0.jpg", box=[1, 2, 3, 1e30])], "too large"),
    "no pictures": ({"annotations": GOOD, "images": 3}, "no list of pictures"),
    "an unknown picture": ({"annotations": GOOD, "images": [{"id": 3}]}, "not among its images"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told(tmp_path, name):
    data, text = BAD[name]
    file = tmp_path / "results.json"
    content = data if isinstance(data, str) else json.dumps(data)
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        AlphaPose(file).detect(clip())
    error = caught.value
    assert text in f"{error.what} {error.why}" and "results.json" in error.what and error.hint
    assert max(len(line) for line in str(error).splitlines()) < 300 and len(str(error).splitlines()) <= 3


def test_a_score_too_small_for_float32_is_none(tmp_path):
    rows = [at(3, 1e-300, 2), at(slice(None), 1e-300, 2)]
    found = AlphaPose(save(tmp_path / "a.json", [entry(row, "0.jpg") for row in rows])).detect(clip())
    check_valid(found, 4)
    assert len(found[0]) == 1 and np.isnan(found[0].keypoints[0, 3]).all()


def test_what_is_only_unusual_is_read(tmp_path):
    data = [GOOD[1], GOOD[0], entry(ROW + 1, "3.jpg", score=None, box=None), entry(at(0, -5.0), "1.jpg")]
    found = AlphaPose(save(tmp_path / "a.json", data)).detect(clip())
    check_valid(found, 4)
    assert [len(d) for d in found] == [1, 1, 0, 2]


def test_the_command_line_ends_with_3(tmp_path, capsys):
    from clips import write as write_video

    video = write_video(tmp_path / "a.mp4")
    for detector in ("alphapose", "coco", "halpe", "npz", "openpose"):
        file = tmp_path / ("x.npz" if detector == "npz" else "x.json")
        file.write_text('[{"image_id": ')
        code, _, err = call(capsys, video, "--detector", detector, "--keypoints", file, "--out", tmp_path / "out")
        assert code == 3 and "cut off" in err and "try: " in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("path", "likely"), [("a.npz", "npz"), ("a.json", "alphapose"), ("folder", "openpose")])
def test_keypoints_without_a_detector_that_reads_them(path, likely, tmp_path):
    with pytest.raises(UsageError) as caught:
        Options(keypoints=tmp_path / path)
    assert caught.value.hint == f"--detector {likely}" and "halpe, coco" in caught.value.why


@pytest.mark.parametrize(
    "data", [{"annotations": [], "images": [{"id": 0}]}, {"0.jpg": {"bodies": []}}, [entry(ROW * 0, "0.jpg")]]
)
def test_nobody_in_a_frame_is_no_damage(tmp_path, data):
    found = AlphaPose(save(tmp_path / "a.json", data)).detect(clip())
    check_valid(found, 4)
    assert [len(d) for d in found] == [0, 0, 0, 0]


# ---- any JSON -------------------------------------------------------------------------------------------------------

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([0, 1, 2, -1, 0.5, 300, 10**40, "0.jpg", "1.png", "keypoints"])
)  # fmt: skip
WORDS = st.sampled_from(
    ["image_id", "keypoints", "score", "box", "bbox", "idx", "annotations", "images", "id", "people", "bodies",
     "joints", "pose_keypoints_2d", "person_id", "width", "height", "file_name"]
)  # fmt: skip
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
FORMS = [
    GOOD,
    {"annotations": [entry(ROW, 1), entry(ROW + 1, 2)], "images": [{"id": n, "file_name": f"{n}.jpg"} for n in (1, 2)]},
    {f"{n}.jpg": {"bodies": [{"joints": ROW.ravel().tolist()}]} for n in range(3)},
    {"people": [{"person_id": [1], "pose_keypoints_2d": people("coco-18").ravel().tolist()}]},
]


def _places(data, path=()):
    """Ways to every part of JSON."""
    yield path
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, part in steps:
        yield from _places(part, (*path, step))


def _changed(data, path, value):
    data = copy.deepcopy(data)
    if not path:
        return value
    part = data
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return data


@st.composite
def almost_right(draw):
    data = draw(st.sampled_from(FORMS))
    for _ in range(draw(st.integers(1, 3))):
        data = _changed(data, draw(st.sampled_from(list(_places(data)))), draw(ANY))
    return data


@given(data=ANY | almost_right(), kind=st.sampled_from([AlphaPose, Coco, Halpe, OpenPose]))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_refused(tmp_path, data, kind):
    file = save(tmp_path / "0.json", data)
    try:
        found = kind(file).detect(clip())
    except InputError as error:
        assert len(str(error).splitlines()) <= 3
        return
    check_valid(found, 4)


def test_guesses_below_the_picture_are_no_sign_of_another_video(tmp_path):
    """Somebody cut off at the waist: of the legs a detector guesses where they may be, and is not sure of any."""
    row = people("coco-17")[0].copy()
    row[11:, 1], row[11:, 2] = 400, 0.1
    (tmp_path / "a.json").write_text(json.dumps([entry(row, "0.jpg")]))
    assert len(AlphaPose(tmp_path / "a.json").detect(clip(1))[0]) == 1
    row[11:, 2] = 0.9
    (tmp_path / "a.json").write_text(json.dumps([entry(row, "0.jpg")]))
    with pytest.raises(InputError, match="outside its 320x240"):
        AlphaPose(tmp_path / "a.json").detect(clip(1))
