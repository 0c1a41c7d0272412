"""Windows with all views of a scene: Ski-Pose PTZ, Human3.6M, EgoBody and hand-held cameras round motion capture."""

from dataclasses import replace

import acted
import numpy as np
import pytest
import torch
from commandline import call

from pipeline.errors import InputError, UsageError
from tests import dataset_files as files
from training import scenes
from training.consistency import disagreement
from training.datasets import egobody, filmed_views, human36m
from training.datasets.check import check
from training.mdvpose_network import in_space
from training.scenes import Scenes

NAMES = ("kinect_master", "kinect_sub_1", "kinect_sub_2", "kinect_sub_3", "kinect_sub_4", "egocentric")


@pytest.fixture(scope="module")
def mocap(tmp_path_factory):
    return acted.write_mocap(tmp_path_factory.mktemp("mocap") / "open_mocap.npz", seconds=1.5, fps=30)


@pytest.fixture(scope="module")
def sequences(mocap):
    return list(scenes.read(mocap, "train", cameras=3))


def test_hands_hold_cameras_that_move_and_see_everything(mocap, sequences):
    assert len(sequences) == 2 * 7 * 3 and len({s.name for s in sequences}) == len(sequences)
    for s in sequences:
        centre, looks = s.lens.position, s.lens.orientation
        assert centre.shape == (75, 3) and looks.shape == (75, 4)
        np.testing.assert_allclose(np.linalg.norm(looks, axis=1), 1)
        assert np.ptp(centre, axis=0).max() > 0.02 and np.abs(np.diff(centre, axis=0)).max() < 0.15
        assert np.abs((looks[1:] * looks[:-1]).sum(1)).min() > np.cos(0.04 / 2), "no turn of 0.04 rad in a frame"
        np.testing.assert_allclose(s.lens.to_world(s.joints), s.world, atol=1e-9)
        np.testing.assert_allclose(s.keypoints, 1145 * s.joints[..., :2] / s.joints[..., 2:] + 500, atol=1e-6)
        assert s.joints[..., 2].min() > 2 and (np.abs(s.keypoints[:, 0] - 500) < 120).all()
        assert (s.joints[:, 10, 1] < s.joints[:, 0, 1]).mean() > 0.8, "heads are up, and y is down"
    again = list(scenes.read(mocap, "train", cameras=3))
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(sequences, again, strict=True))
    noisy = list(filmed_views.read(mocap, 3, noise=4.0))
    errors = np.concatenate(
        [a.keypoints - b.keypoints for a, b in zip(noisy, filmed_views.read(mocap, 3), strict=True)]
    )
    assert errors.std() == pytest.approx(4, rel=0.05)
    with pytest.raises(UsageError, match="0 cameras"):
        list(filmed_views.read(mocap, 0))


@pytest.mark.parametrize("metres", [True, False])
def test_true_views_agree_also_in_the_mirror(sequences, metres):
    """In the picture only after the perspective is undone, which then leaves the true proportions."""
    found = Scenes(sequences, 15, 15, metres)
    assert found.index.shape == (2 * 7 * 5, 3, 15) and found.fps == 30
    rows = torch.arange(found.samples)
    for views in (found.windows(rows), found.draw(rows, torch.Generator().manual_seed(1))):
        joints = views.truth if metres else in_space(views.truth, views.motion, views.lens)
        assert disagreement(joints, views.seen) < 2e-4
        if not metres:
            assert disagreement(views.truth - views.truth[:, :, :, :1], views.seen) > 1e-3
    drawn = found.draw(rows, torch.Generator().manual_seed(1))
    flipped = ((drawn.motion - found.windows(rows).motion).abs() > 1e-6).flatten(2).any(-1)
    assert (flipped.all(1) | ~flipped.any(1)).all() and 0.2 < flipped.float().mean() < 0.8


def test_the_picture_becomes_space(sequences):
    s = replace(sequences[4], lens=replace(sequences[4].lens, centre=np.array([430.0, 560.0])))
    s = replace(s, keypoints=s.lens.to_pixels(s.joints))
    found = Scenes([s, replace(s, camera="other")], 75, 75)
    views = found.windows(torch.tensor([0]))
    joints = in_space(views.truth, views.motion, views.lens)[0, 0].double().numpy()
    unit = 2 * 1145 / 1000 / s.joints[:, :1, 2:]  # halves of the width per metre, at the root
    np.testing.assert_allclose(joints, (s.joints - s.joints[:, :1]) * unit, atol=1e-5)


def test_views_are_hidden_but_two_stay(sequences):
    found = Scenes(sequences, 15, 15)
    rows = torch.arange(found.samples).repeat(20)
    for share, left in ((0.0, 3.0), (1.0, 2.0), (0.3, None)):
        views = found.draw(rows, torch.Generator().manual_seed(0), share)
        there = views.seen.any(-1)
        assert (there.sum(1) >= 2).all() and torch.equal(views.known, views.seen)
        assert there.float().sum(1).mean().item() == pytest.approx(
            left or 3 * 0.7 + 0.3**3 * 2 + 3 * 0.3**2 * 0.7, abs=0.05
        )


def test_human36m_has_four_views_of_a_moment(h36m):
    found = Scenes(scenes.read(h36m, "train"), 20, 10, metres=True)
    assert found.index.shape == (5 * 7 * 4, 4, 20) and found.seen.all()
    views = found.windows(torch.tensor([9]))
    s = [s for s in human36m.read(h36m) if s.scene == found.names[2]]
    for number, sequence in enumerate(s):
        relative = sequence.joints - sequence.joints[:, :1]
        np.testing.assert_allclose(views.truth[0, number], relative[10:30], atol=1e-6)
    assert disagreement(views.truth, views.seen) < 1e-4


def write_ski(folder, rows):
    h5py = pytest.importorskip("h5py")
    (folder / "train").mkdir()
    with h5py.File(folder / "train" / "labels.h5", "w") as file:
        for key, values in rows.items():
            file[key] = values
    return folder


def test_ski_pose_is_frame_aligned(tmp_path):
    """Camera 2 lacks the second frame, camera 5 all but the last; short scenes are filled up."""
    rows = files.ski_pose_rows(4)
    gone = ((rows["cam"] == 2) & (rows["frame"] == 1)) | ((rows["cam"] == 5) & (rows["frame"] < 3))
    folder = write_ski(tmp_path, {key: values[~gone] for key, values in rows.items()})
    assert scenes.kind_of(folder) == scenes.kind_of(folder / "train" / "labels.h5") == "ski-pose"
    found = Scenes(scenes.read(folder, "train"), 6, 6, metres=True)
    assert found.names == ["train/3", "train/4"] and found.index.shape == (2, 6, 6)
    views = found.windows(torch.tensor([1]))
    assert views.seen[0].tolist() == [
        [True] * 4 + [False] * 2, [True] * 4 + [False] * 2, [True, False, True, True, False, False],
        [True] * 4 + [False] * 2, [True] * 4 + [False] * 2, [False] * 3 + [True] + [False] * 2,
    ]  # fmt: skip
    for camera in range(6):
        for frame in range(4):
            here = (rows["seq"] == 4) & (rows["cam"] == camera) & (rows["frame"] == frame)
            if views.seen[0, camera, frame]:
                pose = rows["3D"][here].reshape(17, 3)
                np.testing.assert_allclose(views.truth[0, camera, frame], pose - pose[:1], atol=1e-6)
                flat = 2 * rows["2D"][here].reshape(17, 2) - 1
                np.testing.assert_allclose(views.motion[0, camera, frame, :, :2], flat, atol=1e-6)
    assert torch.equal(views.motion[0, 5, 0], views.motion[0, 5, 3]), "it shows the nearest frame that it has"
    with pytest.raises(UsageError, match="lens of train/3/0 is not known"):
        Scenes(scenes.read(folder, "train"), 6, 6)
    (found,) = check(folder)
    assert found.views == {"train/3": 6, "train/4": 6} and found.faults == []


def write_egobody(folder, part="train", frames=8, recordings=2, lens=True):
    """Recordings of this project's layout: nobody is seen where `seen` is False, and one frame has no truth."""
    (folder / part).mkdir(parents=True)
    for number in range(recordings):
        rng = np.random.default_rng(number)
        joints = files.people(("ego", number), frames, 17).astype(float)
        joints = np.stack([joints + np.array([0.1 * view, 0, 4]) for view in range(6)])
        matrix = np.array([[900.0, 0, 960], [0, 900, 540], [0, 0, 1]])
        flat = np.einsum("ab,vtjb->vtja", matrix, joints)
        seen = np.ones((6, frames), bool)
        seen[5], seen[1, 2] = rng.random(frames) < 0.5, False
        seen[5, -1] = True
        joints[:, 4] = np.nan
        np.savez(
            folder / part / f"recording_{number}.npz", views=np.array(NAMES), size=np.full((6, 2), (1920, 1080)),
            matrix=np.repeat(matrix[None] if lens else np.full((1, 3, 3), np.nan), 6, 0),
            keypoints=np.concatenate([flat[..., :2] / flat[..., 2:], np.full((6, frames, 17, 1), 0.9)], -1),
            joints=joints, seen=seen, subject=np.array(f"p{number}"), fps=np.array(30.0),
        )  # fmt: skip
    return folder


def test_egobody(tmp_path, capsys):
    folder = write_egobody(tmp_path)
    assert scenes.kind_of(folder) == "egobody"
    read = list(scenes.read(folder, "train"))
    assert [s.camera for s in read[:6]] == list(NAMES) and read[0].name == "p0/recording_0/kinect_master"
    assert len(read[1]) == 7 and read[1].frames.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert read[0].valid.tolist() == [True] * 4 + [False] + [True] * 3
    found = Scenes(read, 8, 8)
    views = found.windows(torch.tensor([1]))
    with np.load(folder / "train" / "recording_1.npz") as data:
        np.testing.assert_array_equal(views.seen[0], data["seen"])
        expected = data["seen"] & (np.arange(8) != 4)
        np.testing.assert_array_equal(views.known[0], expected)
        flat = data["keypoints"][..., :2] * 2 / 1920 - [1, 1080 / 1920]
        np.testing.assert_allclose(views.motion[0, :5, 5, :, :2], flat[:5, 5], atol=1e-6)
    with np.load(folder / "train" / "recording_1.npz") as data:
        depth = np.nanmean(data["joints"][0, :, 0, 2])
        expected = (data["joints"][0, :, 0, 2] / depth - 1) * 900 / 960  # halves of the width
        there = np.arange(8) != 4
        np.testing.assert_allclose(views.truth[0, 0, there, 0, 2], expected[there], atol=0.02)
    assert torch.isfinite(views.truth).all() and torch.isfinite(views.motion).all()
    kinects = Scenes(scenes.read(folder, "train", views=("kinect",)), 8, 8)
    assert kinects.index.shape == (2, 5, 8)
    code, stdout, _ = call(capsys, "train", "--check", folder)
    assert code == 0 and "EgoBody, train" in stdout and "6 of each of 2 scenes" in stdout and "egocentric" in stdout


def test_egobody_that_is_missing_or_different(tmp_path):
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=r"egobody\.ethz\.ch"):
            list(egobody.read(folder))
    path = write_egobody(tmp_path) / "train" / "recording_0.npz"
    with np.load(path) as data:
        held = dict(data)
    for key, value, message in (("joints", held["joints"][:, :, :15], "joints should be"), ("fps", None, "lacks fps")):
        np.savez(path, **{k: v for k, v in (held | {key: value}).items() if v is not None})
        with pytest.raises(InputError, match=message):
            list(egobody.read(tmp_path / "train"))


def test_one_view_is_refused(h36m):
    one = [s for s in scenes.read(h36m, "train") if s.camera == "54138969"]
    with pytest.raises(InputError, match="every scene has one camera"):
        Scenes(one, 9, 9)
    with pytest.raises(InputError, match="other joints than h36m-17"):
        Scenes(scenes.read(h36m, "train", "detectron_pt_coco"), 9, 9)
