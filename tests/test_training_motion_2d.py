"""Videos without 3D: how PoseTrack18 and InstaVariety are read, and what MotionBERT's pre-training learns from them."""

import json
import shutil

import numpy as np
import pytest
import torch
from recipe_runs import losses, quick, rows, same

from pipeline.errors import InputError, UsageError
from pipeline.skeletons import skeleton
from training import motionbert
from training.datasets.motion_2d import instavariety, posetrack
from training.loop import Source, Stage
from training.motion_clips import Clips, read
from training.motionbert import Seen
from training.run import Run
from training.settings import changed

TRACK = skeleton("posetrack-17")


def track(rng, frames=30, first=0, number=0, seen=1.0):
    """A person's annotations, in no order: joints that drift, each annotated with a chance of `seen`."""
    joints = rng.uniform(100, 400, (1, 17, 2)) + rng.normal(0, 2, (frames, 17, 2)).cumsum(0)
    shown = rng.random((frames, 17, 1)) < seen
    shown[:, TRACK.index("left_hip", "right_hip")] = True
    points = np.concatenate([np.where(shown, joints, 0), shown], axis=-1)
    table = [
        {"track_id": number, "image_id": 1000 + first + n, "keypoints": row.ravel().tolist()}
        for n, row in enumerate(points)
    ]
    rng.shuffle(table)
    return points, table


def write_posetrack(folder, *tables):
    folder.mkdir(parents=True, exist_ok=True)
    for number, table in enumerate(tables):
        (folder / f"{number:06}_mpii_train.json").write_text(json.dumps({"images": [], "annotations": table}))
    return folder


def write_instavariety(folder, motion, video):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "motion_all.npy", motion)
    np.save(folder / "id_all.npy", video)
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Folders of both, a few dozen clips each, moving as people do."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("videos")
    tables = [[row for n in range(8) for row in track(rng, number=n, seen=0.8)[1]] for _ in range(4)]
    motion = np.concatenate([rng.uniform(-1, 1, (3000, 17, 2)).cumsum(0) / 3000, np.ones((3000, 17, 1))], axis=-1)
    write_posetrack(folder / "posetrack", *tables)
    write_instavariety(folder / "instavariety", motion.astype(np.float32), np.repeat(np.arange(30), 100))
    return folder


def test_a_track_in_the_order_of_its_frames_as_human36m_has_the_joints(tmp_path):
    points, table = track(np.random.default_rng(1), frames=35)
    (clip,) = posetrack(write_posetrack(tmp_path, table))
    body = skeleton("h36m-17")
    points = points[:30]
    low, high = points[..., :2].min((0, 1)), points[..., :2].max((0, 1))
    expected = 2 * (points[..., :2] - (low + high) / 2) / (high - low).max()
    for mine, its in (("left_knee", "left_knee"), ("head_top", "head_top"), ("thorax", "neck"), ("neck_nose", "nose")):
        np.testing.assert_allclose(clip[:, body.index(mine)[0], :2], expected[:, TRACK.index(its)[0]], atol=1e-6)
    hips = expected[:, TRACK.index("left_hip", "right_hip")].mean(1)
    np.testing.assert_allclose(clip[:, 0, :2], hips, atol=1e-6)
    assert clip.dtype == np.float32 and abs(clip[..., :2]).max() == pytest.approx(1, abs=1e-6)


def test_tracks_that_are_short_or_hidden_are_left_out(tmp_path):
    rng = np.random.default_rng(2)
    short, sparse, good = (track(rng, *given)[1] for given in ((29,), (30, 0, 1, 0.5), (30, 0, 2, 0.8)))
    hipless = [row | {"keypoints": list(row["keypoints"]), "track_id": 3} for row in good]
    hip = 3 * TRACK.index("left_hip")[0]
    hipless[5]["keypoints"][hip : hip + 3] = [0, 0, 0]
    (clip,) = posetrack(write_posetrack(tmp_path, short + sparse + good + hipless))
    assert not clip[clip[..., 2] == 0].any() and (clip[..., 2] == 0).any()
    with pytest.raises(InputError, match=r"no track of .* will do\n.*1 files; a track needs 30 frames, 60%"):
        posetrack(write_posetrack(tmp_path / "other", short + sparse + hipless))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot read"), ('{"annotations": 3}', "should be a list"),
        ('{"annotations": [{"track_id": [1], "image_id": 1, "keypoints": []}]}', "should be whole numbers"),
        ("[]", "should be a dictionary"), ('{"annotations": [{}]}', "should be a dictionary"),
        ('{"annotations": [{"track_id": 1, "keypoints": []}]}', "lacks image_id"),
        ('{"annotations": [{"track_id": 1, "image_id": 1, "keypoints": [1, 2]}]}', "should be .51. numbers"),
    ],
)  # fmt: skip
def test_other_json_is_told(tmp_path, text, says):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=says):
        posetrack(tmp_path)


def test_missing_data_names_its_holder(tmp_path):
    with pytest.raises(InputError, match=r"posetrack\.net"):
        posetrack(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no motion_all\.npy[\s\S]*MotionBERT"):
        instavariety(tmp_path)


def test_windows_of_instavariety_lie_in_one_video_and_begin_with_a_root(tmp_path):
    motion = np.zeros((200, 17, 3), np.float32)
    motion[..., 0], motion[..., 2] = np.arange(200)[:, None], 1
    motion[27, 0, 2] = 0  # the second window's first root
    clips = instavariety(write_instavariety(tmp_path, motion, np.repeat([7, 9], [150, 50])))
    assert clips.shape == (3, 81, 17, 3)
    assert [clip[0, 0, 0] for clip in clips] == [0, 54, 150]
    assert clips[2, -1, 0, 0] == 199, "a video that is shorter than a window is stretched to one"


@pytest.mark.parametrize(
    ("motion", "video", "says"),
    [
        (np.zeros((90, 16, 3)), np.zeros(90), "motion_all.npy is laid out differently"),
        (np.ones((90, 17, 3)), np.zeros(80), "id_all.npy is laid out differently"),
        (np.zeros((90, 17, 3)), np.zeros(90), "nothing in .* will do"),
        (np.zeros((90, 17, 3), object), np.zeros(90), "cannot read"),
    ],
)
def test_other_arrays_are_told(tmp_path, motion, video, says):
    with pytest.raises(InputError, match=says):
        instavariety(write_instavariety(tmp_path, motion, video))


def test_an_epoch_goes_over_the_other_sources_first():
    source = lambda samples, since: Source(samples, None, since)  # noqa: E731
    stage = Stage("s", None, None, 40, None, None, 10, epochs=3, before=(source(20, 1), source(9, 2)))
    places = [stage.place(step) for step in range(stage.total)]
    one, two = [(0, 2, n) for n in range(4)], [(1, 0, 0), (1, 0, 1), *((1, 2, n) for n in range(4))]
    assert places == [*one, *two, (2, 0, 0), (2, 0, 1), (2, 1, 0), *((2, 2, n) for n in range(4))]


def test_what_was_not_seen_stays_unseen_and_half_is_mirrored(videos, h36m):
    options = changed(motionbert.small(motionbert.Options(h36m)), ("frames=9", f"posetrack={videos / 'posetrack'}"))
    clips = Clips(read(h36m, "train"), 9, 9)
    (source,) = motionbert.pretraining(options, clips, motionbert.begin(options, 0, None)).before
    motion, keypoints = source.draw(torch.arange(source.samples), torch.Generator().manual_seed(0))
    assert motion.shape == keypoints.shape == (32, 9, 17, 3) and source.since == options.since_2d
    known = torch.from_numpy(posetrack(videos / "posetrack")[:, :9])
    plain = (keypoints == known).flatten(1).all(1)
    assert 8 < plain.sum() < 24
    assert (keypoints[..., 2] == 0).any() and not motion[keypoints[..., 2] == 0].any()
    shown = motion[..., 2] > 0
    assert 0 < (motion - keypoints)[..., :2][shown].abs().mean() < 0.02, "a detector's errors"


def test_the_loss_of_2d_is_about_the_screen_alone(h36m):
    options = motionbert.Options(h36m)
    keypoints = torch.rand(2, 5, 17, 3)
    predicted = keypoints - keypoints[:, :, :1]
    predicted[..., 2] = 7.0
    assert motionbert.on_screen(options, predicted, keypoints)["loss"] == 0
    keypoints[..., 2] = 0
    assert motionbert.on_screen(options, torch.rand(2, 5, 17, 3), keypoints)["loss"] == 0, "nothing seen"


def test_pre_training_learns_from_videos_and_goes_on_after_a_kill(videos, h36m, tmp_path):
    """Epochs of 10 steps on 3D; from the second on before them 2 of PoseTrack and one of InstaVariety."""
    settings = (
        f"posetrack={videos / 'posetrack'}", f"instavariety={videos / 'instavariety'}", "since_2d=1",
        "pretrain_epochs=11", "pretrain_rate=3e-3", "finetune_epochs=1",
    )  # fmt: skip
    path = quick("motionbert", h36m, tmp_path / "whole", *settings)
    table = rows(tmp_path / "whole", "pretrain")
    projected = [float(row["projection"]) for row in table]
    assert [int(row["step"]) for row in table][-1] == 10 + 10 * 13
    assert projected[:2] == [0, 0] and projected[2] > 0
    assert sum(projected[-8:]) < 0.85 * sum(projected[2:10]), projected  # three epochs each

    class Killed(Exception):
        pass

    def kill(stage, step, mean):
        if stage == "pretrain" and step == 30:
            raise Killed

    with pytest.raises(Killed):
        quick("motionbert", h36m, tmp_path / "killed", *settings, save_minutes=0.0, progress=kill)
    moved = f"posetrack={shutil.copytree(videos / 'posetrack', tmp_path / 'moved')}"  # the data may lie elsewhere now
    assert same(quick("motionbert", h36m, tmp_path / "killed", *settings, moved, resume=True), path)
    assert losses(tmp_path / "killed", "pretrain") == losses(tmp_path / "whole", "pretrain")


def test_seen_is_shared_out_like_other_batches():
    from training.loop import share

    half = share(Seen(torch.arange(6), torch.arange(6, 12)), 1, 2)
    assert isinstance(half, Seen) and half.motion.tolist() == [1, 3, 5] and half.keypoints.tolist() == [7, 9, 11]


@pytest.mark.parametrize(
    ("settings", "says"), [((), "this run has none"), (("pretrain=yes",), "are before since_2d=30")]
)
def test_videos_that_would_not_be_looked_at_are_told(tmp_path, settings, says):
    options = changed(motionbert.Options(tmp_path), ("posetrack=nowhere", "pretrain_epochs=4", *settings))
    with pytest.raises(UsageError, match=says):
        motionbert.train(options, Run(tmp_path / "out", "cpu"))
