"""The tables of papers, against the same sums written out by hand."""

import numpy as np
import pytest

from training import protocols
from training.metrics import p_mpjpe
from training.protocols import Scored, ScoredClip


def poses(seed, frames, joints=17, centre=0.0):
    return np.random.default_rng(seed).normal(centre, 0.3, size=(frames, joints, 3))


def distances(predicted, target):
    """(T,) mean joint distances of a sequence, one by one."""
    return np.array([np.mean([np.sqrt(((a - b) ** 2).sum()) for a, b in zip(*frame, strict=True)])
                     for frame in zip(predicted, target, strict=True)])  # fmt: skip


def sequence(subject, action, camera, seed, frames, **more):
    return Scored(subject, action, camera, poses(seed, frames), poses(seed + 1000, frames, centre=2.0), **more)


def test_videopose3d_weighs_frames_within_an_action_and_actions_alike():
    given = [
        sequence("S9", "Walking 1", "54138969", 1, 40),
        sequence("S9", "Walking", "55011271", 2, 10),
        sequence("S11", "Walking", "54138969", 3, 25),
        sequence("S11", "Eating 2", "54138969", 4, 2),
    ]
    rooted = [s.target - s.target[:, :1] for s in given]
    frames = [distances(s.predicted, target) for s, target in zip(given, rooted, strict=True)]
    walking, eating = 1000 * np.concatenate(frames[:3]).mean(), 1000 * frames[3].mean()
    table = protocols.human36m_videopose3d(given)
    assert table.frames == 77 and set(table.rows) == {"Walking", "Eating"}
    assert table.rows["Walking"]["mpjpe_mm"] == pytest.approx(walking, abs=1e-6)
    assert table.mean["mpjpe_mm"] == pytest.approx((walking + eating) / 2, abs=1e-6)
    assert abs(table.mean["mpjpe_mm"] - 1000 * np.concatenate(frames).mean()) > 1, "not the mean over frames"
    steps = [
        distances(np.diff(s.predicted, axis=0), np.diff(target, axis=0)).mean()
        for s, target in zip(given, rooted, strict=True)
    ]
    expected = (40 * steps[0] + 10 * steps[1] + 25 * steps[2]) / 75
    assert table.rows["Walking"]["mpjve_mm"] == pytest.approx(1000 * expected, abs=1e-6)
    aligned = np.average([p_mpjpe(s.predicted, s.target) for s in given[:3]], weights=[40, 10, 25])
    assert table.rows["Walking"]["p_mpjpe_mm"] == pytest.approx(1000 * aligned, abs=1e-6)


def test_a_sequence_too_short_for_a_metric_does_not_spoil_it():
    long, short = sequence("S9", "Posing", "a", 1, 8), sequence("S9", "Posing", "b", 2, 1)
    both, alone = (protocols.human36m_videopose3d(x).mean for x in ([long, short], [long]))
    assert both["mpjve_mm"] == alone["mpjve_mm"] and both["jitter_mm"] == alone["jitter_mm"]
    assert both["mpjpe_mm"] != alone["mpjpe_mm"]


def test_bone_lengths_count_where_bones_are_named():
    given = sequence("S9", "Posing", "a", 1, 3, bones=((0, 1), (1, 2)))
    apart = [abs(np.linalg.norm(given.predicted[t, c] - given.predicted[t, p])
                 - np.linalg.norm(given.target[t, c] - given.target[t, p]))
             for t in range(3) for p, c in given.bones]  # fmt: skip
    table = protocols.human36m_videopose3d([given])
    assert table.mean["bone_length_error_mm"] == pytest.approx(1000 * np.mean(apart), abs=1e-6)


def test_humaneva_has_a_cell_for_each_action_of_each_subject():
    given = [
        sequence("Validate/S1", "Walking 1 chunk0", "C1", 1, 12),
        sequence("Validate/S1", "Walking 1 chunk1", "C2", 2, 5),
        sequence("Validate/S2", "Walking 1 chunk0", "C1", 3, 7),
        sequence("Validate/S2", "Box 1 chunk4", "C1", 4, 3),
    ]
    frames = [1000 * distances(s.predicted, s.target - s.target[:, :1]) for s in given]
    cells = {
        "Walking S1": np.concatenate(frames[:2]).mean(),
        "Walking S2": frames[2].mean(),
        "Box S2": frames[3].mean(),
    }
    table = protocols.humaneva(given)
    assert {name: row["mpjpe_mm"] for name, row in table.rows.items()} == pytest.approx(cells, abs=1e-6)
    assert table.mean["mpjpe_mm"] == pytest.approx(np.mean(list(cells.values())), abs=1e-6)


def clip(source, action, first, seed, frames=6):
    rng = np.random.default_rng(seed)
    return ScoredClip(
        source, action, np.arange(first, first + frames), rng.normal(500, 80, (frames, 17, 3)),
        rng.normal(0, 300, (frames, 17, 3)), rng.uniform(3, 5, frames),
    )  # fmt: skip


def test_motionbert_averages_windows_by_frame_and_leaves_wrong_truth_out():
    given = [
        clip("s_09_act_02_subact_01_ca_01", "Directions", 0, 1),
        clip("s_09_act_02_subact_01_ca_01", "Directions", 3, 2),  # frames 3, 4, 5 a second time
        clip("s_11_act_16_subact_02_ca_03", "WalkTogether", 50, 3),
        clip("s_09_act_05_subact_02_ca_02", "Greeting", 90, 4),
    ]
    frames = []
    for one in given[:3]:
        predicted = one.predicted * one.factor[:, None, None]
        frames.append(distances(predicted - predicted[:, :1], one.target - one.target[:, :1]))
    shared = (frames[0][3:] + frames[1][:3]) / 2
    directions = np.concatenate([frames[0][:3], shared, frames[1][3:]]).mean()
    table = protocols.human36m_motionbert(given)
    assert table.frames == 15 and set(table.rows) == {"Directions", "WalkTogether"}
    assert table.rows["Directions"]["mpjpe_mm"] == pytest.approx(directions, abs=1e-6)
    assert table.mean["mpjpe_mm"] == pytest.approx((directions + frames[2].mean()) / 2, abs=1e-6)
    predicted = given[2].predicted * given[2].factor[:, None, None]
    assert table.rows["WalkTogether"]["p_mpjpe_mm"] == pytest.approx(p_mpjpe(predicted, given[2].target), abs=1e-6)


def test_3dhp_scores_14_joints_of_valid_frames():
    rng = np.random.default_rng(0)
    given = []
    for name, frames in (("TS1", 9), ("TS6", 4)):
        target = poses(frames, frames, centre=3.0)
        predicted = target + rng.normal(0, 0.08, target.shape)
        given.append(Scored(name, "", "0", predicted, target, rng.random(frames) < 0.7))
    rows, weights = [], []
    for one in given:
        errors = np.linalg.norm(
            (one.predicted - one.predicted[:, [14]] - one.target + one.target[:, [14]])[one.valid], axis=-1
        )
        limbs = 1000 * errors[:, [*range(14)]]  # in the test set's order: all but pelvis, spine and head
        areas = [(limbs < threshold).mean() for threshold in range(0, 151, 5)]
        rows.append((100 * (limbs < 150).mean(), 100 * np.mean(areas), 1000 * errors.mean()))
        weights.append(one.valid.sum())
    table = protocols.mpi_inf_3dhp(given)
    assert table.frames == sum(weights) < 13
    keys = ("pck_percent", "auc_percent", "mpjpe_mm")
    assert [table.rows["TS1"][key] for key in keys] == pytest.approx(rows[0], abs=1e-6)
    assert [table.mean[key] for key in keys] == pytest.approx(np.average(rows, axis=0, weights=weights), abs=1e-6)


def test_mdvpose_means_over_windows_whatever_their_length():
    given = [sequence("train", "1", "0", 1, 9, valid=np.arange(9) < 4), sequence("train", "1", "1", 2, 9)]
    each = [
        distances(s.predicted - s.predicted[:, :1], s.target - s.target[:, :1])[:count].mean()
        for s, count in zip(given, (4, 9), strict=True)
    ]
    table = protocols.mdvpose(given)
    assert table.frames == 13 and table.mean["mpjpe_mm"] == pytest.approx(1000 * np.mean(each), abs=1e-6)


@pytest.mark.parametrize("name", ["human36m_videopose3d", "humaneva", "mpi_inf_3dhp", "mdvpose", "human36m_motionbert"])
def test_nothing_to_score_is_said(name):
    with pytest.raises(ValueError, match="nothing to score"):
        getattr(protocols, name)([])


def test_other_shapes_are_refused():
    wrong = Scored("S9", "Posing", "a", poses(0, 5), poses(1, 6))
    with pytest.raises(ValueError, match="S9/Posing/a"):
        protocols.human36m_videopose3d([wrong])


@pytest.mark.parametrize("name", ["human36m_videopose3d", "humaneva", "mpi_inf_3dhp", "mdvpose"])
def test_what_is_no_number_is_refused(name):
    given = sequence("S9", "Posing", "a", 1, 5)
    given.predicted[2, 3] = np.nan
    with pytest.raises(ValueError, match="S9/Posing/a: predicted joints that are no numbers"):
        getattr(protocols, name)([given])
