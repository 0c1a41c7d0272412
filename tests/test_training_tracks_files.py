"""Files of tracks as the field writes them, read to one form; files that are none are refused with a reason."""

import json

import numpy as np
import pytest
from commandline import call

from pipeline.errors import InputError
from pipeline.skeletons import skeleton
from training.datasets.tracked import read

pytest.importorskip("motmetrics")
NAMES = ["nose", "head_bottom", "head_top", "left_ear", "right_ear", *skeleton("posetrack-17").joints[5:]]
FRAMES, JOINTS = 6, 17


def person(k, frame):
    """(17,2) px of somebody in a frame, whole pixels."""
    rng = np.random.default_rng(k)
    return (rng.uniform(0, 100, (JOINTS, 2)) + np.array([150 * k + 3 * frame, 40 + k])).round()


def posetrack(first=1, name="{:06d}.jpg", labelled=True, heads=True, scores=False):
    """PoseTrack18's JSON of two people."""
    images = [
        {"id": 100 + f, "file_name": "images/val/000342_x/" + name.format(f + first), "is_labeled": labelled or f != 2}
        for f in range(FRAMES)
    ]
    rows = []
    for f in range(FRAMES):
        for k in range(2):
            points = person(k, f)
            low, size = points.min(0), np.ptp(points, axis=0)
            row = {"image_id": 100 + f, "track_id": k, "category_id": 1, "bbox": [*low, *size],
                   "keypoints": np.insert(points, 2, 1, axis=1).ravel().tolist()}  # fmt: skip
            row |= {"bbox_head": [*low, 30, 40]} if heads else {}
            row |= {"scores": [0.9] * JOINTS} if scores else {}
            rows.append(row)
    return {"images": images, "annotations": rows, "categories": [{"name": "person", "keypoints": NAMES}]}


def alphapose(names="{}.jpg", first=0, idx=int):
    return [
        {"image_id": names.format(f + first), "category_id": 1, "score": 2.9, "idx": idx(k + 1),
         "keypoints": np.insert(person(k, f), 2, 0.8, axis=1).ravel().tolist(),
         "box": [*person(k, f).min(0), *np.ptp(person(k, f), axis=0)]}
        for f in range(FRAMES) for k in range(2)
    ]  # fmt: skip


def mot(path, extra="1,-1,-1,-1"):
    lines = []
    for f in range(FRAMES):
        for k in range(2):
            low, size = person(k, f).min(0) + 1, np.ptp(person(k, f), axis=0)
            lines.append(f"{f + 1},{k + 1},{low[0]},{low[1]},{size[0]},{size[1]},{extra}")
    path.write_text("\n".join(lines) + "\n")
    return path


def save(path, content):
    path.write_text(json.dumps(content))
    return path


def run(capsys, truth, predictions):
    code, stdout, stderr = call(capsys, "evaluate", truth, "--predictions", predictions, "--tracks", "--json")
    assert code == 0, stderr
    return json.loads(stdout)


def test_posetrack_is_read_with_its_own_names_and_heads(capsys, tmp_path):
    truth = save(tmp_path / "truth.json", posetrack())
    found = read(truth)
    assert found.skeleton == "posetrack-17" and len(found) == 2 * FRAMES
    np.testing.assert_array_equal(found.keypoints[0], person(0, 0))
    np.testing.assert_allclose(found.heads, 0.6 * 50)
    np.testing.assert_array_equal(found.numbers, np.arange(1, FRAMES + 1))
    result = run(capsys, truth, save(tmp_path / "mine.json", posetrack(scores=True)))
    assert (result["mota"], result["idf1"], result["hota"]) == (1, 1, 1)
    assert result["posetrack_mota"]["mean"] == 1 and result["posetrack_mota"]["neck"] == 1
    assert result["keypoints"]["ap"] == pytest.approx(1)


def test_pictures_are_matched_by_their_numbers_and_clips_by_place(capsys, tmp_path):
    truth = save(tmp_path / "truth.json", posetrack())
    by_name = run(capsys, truth, save(tmp_path / "a.json", alphapose("{:06d}.jpg", first=1)))
    by_place = run(capsys, truth, mot(tmp_path / "b.txt"))
    assert by_name["mota"] == by_place["mota"] == 1
    assert by_place["posetrack_mota"] is None and by_place["keypoints"] is None
    shifted = run(capsys, truth, save(tmp_path / "c.json", alphapose("{:06d}.jpg", first=2)))
    assert shifted["mota"] < 1


def test_pictures_nobody_labelled_do_not_count(capsys, tmp_path):
    content = posetrack(labelled=False)
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 102]
    found = run(capsys, save(tmp_path / "truth.json", content), save(tmp_path / "mine.json", posetrack(scores=True)))
    assert (found["mota"], found["frames"]) == (1, FRAMES - 1)


def test_people_in_regions_nobody_labelled_do_not_count(capsys, tmp_path):
    content = posetrack()
    content["annotations"] = [a for a in content["annotations"] if a["track_id"] == 0]
    truth, mine = save(tmp_path / "truth.json", content), save(tmp_path / "mine.json", posetrack(scores=True))
    assert run(capsys, truth, mine)["false"] == FRAMES
    for image in content["images"]:
        image |= {"ignore_regions_x": [[140, 500, 500, 140]], "ignore_regions_y": [[0, 0, 300, 300]]}
    found = run(capsys, save(tmp_path / "regions.json", content), mine)
    assert found["false"] == 0 and found["mota"] == 1 and found["posetrack_mota"]["mean"] == 1


@pytest.mark.parametrize("idx", [int, float, lambda k: [k]])
def test_alphapose_s_own_results(capsys, tmp_path, idx):
    truth = save(tmp_path / "a.json", alphapose())
    found = run(capsys, truth, save(tmp_path / "b.json", alphapose(idx=idx)))
    assert (found["mota"], found["tracks"], found["keypoints"]["ap"]) == (1, 2, pytest.approx(1))
    assert found["posetrack_mota"] is None, "it knows no heads"


def test_classes_of_mot_s_ground_truth(tmp_path):
    text = "1,1,1,1,10,20,1,1,1\n1,2,30,1,10,20,1,8,1\n1,3,60,1,10,20,1,3,1\n1,4,90,1,10,20,0,1,1\n"
    (tmp_path / "gt.txt").write_text(text)
    found = read(tmp_path / "gt.txt")
    np.testing.assert_array_equal(found.ids, [1, 2])
    np.testing.assert_array_equal(found.ignored, [False, True])
    np.testing.assert_array_equal(found.boxes[0], [0, 0, 10, 20])


def change(content, **values):
    content[0] |= values
    return content


BAD = {
    "nothing.json": "",
    "cut.json": '{"images": [{"id": 1}, ',
    "number.json": "3",
    "empty.json": "[]",
    "deep.json": "[" * 100_000,
    "frames.json": json.dumps({"images": [], "annotations": [{"image_id": 1, "track_id": 1}]}),
    "no ids.json": json.dumps([{k: v for k, v in row.items() if k != "idx"} for row in alphapose()]),
    "nan.json": json.dumps(change(alphapose(), keypoints=[float("nan")] * 51)),
    "huge.json": json.dumps(change(alphapose(), keypoints=[1e30] * 51)),
    "joints.json": json.dumps(change(alphapose(), keypoints=[1.0] * 48)),
    "text.json": json.dumps(change(alphapose(), keypoints=["left"] * 51)),
    "other.json": json.dumps([row | {"keypoints": [1.0] * 60} for row in alphapose()]),
    "twice.json": json.dumps([*alphapose(), alphapose()[3]]),
    "unnamed.json": json.dumps(posetrack() | {"categories": []}),
    "same images.json": json.dumps(posetrack() | {"images": [posetrack()["images"][0]] * 2}),
    "name.json": json.dumps([row | {"image_id": "first.jpg"} for row in alphapose()]),
    "empty.txt": "",
    "words.txt": "hello world\n",
    "detections.txt": "1,-1,10,10,5,5,0.9\n",
    "flat.txt": "1,1,10,10,0,5,0.9\n",
    "ragged.txt": "1,1,10,10,5,5,0.9\n2,1,10\n",
    "nan.txt": "1,1,nan,10,5,5,0.9\n",
    "binary.txt": "\x00\x01",
    "poses.npz": "no archive",
    "film.mp4": "",
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_files_that_are_none_are_refused_with_a_reason(capsys, tmp_path, name):
    (tmp_path / name).write_text(BAD[name])
    with pytest.raises(InputError) as error:
        read(tmp_path / name)
    assert name in error.value.what and error.value.why
    code, stdout, stderr = call(
        capsys, "evaluate", tmp_path / name, "--predictions", mot(tmp_path / "a.txt"), "--tracks"
    )
    assert (code, stdout) == (3, "") and len(stderr.splitlines()) <= 3


def test_arrays_that_do_not_fit_each_other(tmp_path):
    arrays = {"times": np.arange(4), "person_ids": np.array([1]), "keypoint_names": np.array(NAMES[:3]),
              "keypoints_px": np.zeros((1, 3, 3, 2)), "keypoint_scores": np.ones((1, 3, 3))}  # fmt: skip
    np.savez(tmp_path / "poses.npz", **arrays)
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "poses.npz")


def test_a_missing_file_other_frames_and_options_of_other_evaluations(capsys, tmp_path):
    truth = mot(tmp_path / "gt.txt")
    line = ("evaluate", truth, "--tracks", "--predictions")
    code, _, stderr = call(capsys, *line, tmp_path / "none.json")
    assert code == 3 and "no file" in stderr
    code, _, stderr = call(capsys, *line, save(tmp_path / "late.json", alphapose(first=500)))
    assert code == 3 and "frames 500 to 505" in stderr
    code, _, stderr = call(capsys, *line, truth, "--protocol", "humaneva")
    assert code == 2 and "--protocol" in stderr
    code, stdout, _ = call(capsys, *line, truth)
    assert code == 0 and "MOTA" in stdout and "HOTA" in stdout and "100.0 %" in stdout
