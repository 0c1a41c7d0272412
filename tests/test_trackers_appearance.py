"""The tracker with appearances: chains that slide from one person to another, long absences, people in uniform."""

from dataclasses import replace

import numpy as np
import people
import pytest
from test_trackers_offline import SIZE, crossing, people_at, switches, track

from trackers.cutting import Piece, healed, rejoined
from trackers.linking import link
from trackers.pool import gather

PARTS = 12
SLIDE, LOST, FOUND = 60, 40, 80


def dressed(detections, truth, clothes, seed=0, noise=0.02):
    """The detections with appearances: what each person wears, a little different in each frame."""
    rng = np.random.default_rng(seed)
    out = []
    for frame, persons in zip(detections, truth, strict=True):
        shade = np.abs(clothes[persons] + noise * rng.normal(size=(len(persons), PARTS)))
        out.append(replace(frame, appearance=(shade / shade.sum(1, keepdims=True)).astype(np.float32)))
    return out


def clothes(kinds):
    """(P,12): persons of one kind are dressed alike."""
    colour = np.random.default_rng(7).dirichlet(np.full(PARTS, 0.3), 1 + max(kinds))
    return colour[list(kinds)]


def meeting(seed=0):
    """Two who come near each other and part again; detections and the person in each."""
    times = np.arange(120) / 30

    def walk(side):
        return lambda t: np.stack([-1 + 0.5 * t + side * (0.02 + 0.5 * np.abs(t - 2)), 5 + 0.05 * side + 0 * t], -1)

    joints = np.stack([people.walker(walk(side), times)[0] for side in (-1, 1)])
    return *people_at(joints, seed, missed=0, wrong_hint=False), times


def chosen(frame, persons, keep, hints):
    """Only some persons of a frame, with these following ids."""
    here = np.isin(persons, keep)
    rows = {k: v[here] for k, v in vars(frame).items() if isinstance(v, np.ndarray)}
    rows["following"] = np.array([hints[p] for p in persons[here]], np.int32)
    return replace(frame, **rows), persons[here]


def sliding():
    """One hides behind the other, then the other way round, and the detector slides along from one to the other."""
    detections, truth, times = meeting()
    for t in range(len(times)):
        if t < SLIDE:
            keep, hints = ([0, 1], {0: 5, 1: 6}) if t < LOST else ([0], {0: 5})
        else:
            keep, hints = ([0, 1], {0: 7, 1: 5}) if t >= FOUND else ([1], {1: 5})
        detections[t], truth[t] = chosen(detections[t], truth[t], keep, hints)
    return detections, truth, times


def test_a_chain_that_slides_onto_another_person_is_cut_by_the_look():
    detections, truth, times = sliding()
    tracks = track(dressed(detections, truth, clothes([0, 1])), times)
    assert len(tracks) == 2
    assert switches(tracks, detections, truth) == 0


def test_without_looks_the_slide_goes_unseen():
    detections, truth, times = sliding()
    assert switches(track(detections, times), detections, truth) > 0


@pytest.mark.parametrize("kinds, expected", [([0, 1], 2), ([0, 0], 3)])
def test_a_long_absence_is_bridged_only_where_the_look_tells_who_came_back(kinds, expected):
    times = np.arange(240) / 30
    still = lambda x: lambda t: np.stack([x + 0.05 * t, 5 + 0 * t], -1)  # noqa: E731
    joints = np.stack([people.walker(still(x), times)[0] for x in (-1.2, 1.0)])
    detections, truth = people_at(joints, 0, missed=0, wrong_hint=False)
    for t in range(70, 170):
        detections[t], truth[t] = chosen(detections[t], truth[t], [1], {1: 1})
    assert len(track(dressed(detections, truth, clothes(kinds)), times, max_gap_s=2.5)) == expected


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_uniforms_do_no_harm(noise):
    """People dressed alike are followed as if there were no appearance at all."""
    joints, times = crossing(1)
    detections, truth = people_at(joints, 1)
    alike = dressed(detections, truth, clothes([0, 0, 0, 0]), noise=noise)
    tracks = track(alike, times)
    assert len(tracks) == 4 and switches(tracks, alike, truth) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_looks_keep_everybody_apart_who_crosses(seed):
    joints, times = crossing(seed)
    detections, truth = people_at(joints, seed)
    tracks = track(dressed(detections, truth, clothes([0, 1, 2, 3])), times)
    assert len(tracks) == 4 and switches(tracks, detections, truth) == 0


def test_poses_while_a_chain_slides_are_of_nobody():
    detections, truth, times = sliding()
    tracks = track(dressed(detections, truth, clothes([0, 1])), times)
    seen = {int(frame) for t in tracks for frame in t.frames[t.observed]}
    assert set(range(len(times))) - seen == {SLIDE - 2, SLIDE - 1, SLIDE, SLIDE + 1}


def test_somebody_who_steps_into_another_light_keeps_every_frame():
    times = np.arange(120) / 30
    joints = np.stack([people.walker(lambda t, x=x: np.stack([x + 0.1 * t, 5 + 0 * t], -1), times)[0] for x in (-1, 1)])
    detections, truth = people_at(joints, 0, missed=0, wrong_hint=False)
    lit = dressed(detections, truth, clothes([0, 1]))
    shade = [0.6 * clothes([0, 1])[0] + 0.4 * clothes([0, 1, 2])[2], clothes([0, 1])[1]]
    lit[SLIDE:] = dressed(detections[SLIDE:], truth[SLIDE:], np.array(shade))
    tracks = track(lit, times)
    assert len(tracks) == 2
    assert all(t.observed.all() and len(t) == len(times) for t in tracks)


@pytest.mark.parametrize("fps", [0.5, 1, 2, 5])
@pytest.mark.parametrize("frames", [2, 10])
@pytest.mark.parametrize("apart", [0.6, 1.0, 2.0])
def test_slow_and_short_clips_keep_every_frame(fps, frames, apart):
    """One frame may last a second: it is no moment that says nothing."""
    times = np.arange(frames) / fps
    still = lambda x: lambda t: np.stack([x + 0 * t, 5 + 0 * t], -1)  # noqa: E731
    joints = np.stack([people.walker(still(x), times)[0] for x in (-apart / 2, apart / 2)])
    detections, truth = people_at(joints, 0, missed=0, wrong_hint=False)
    tracks = track(dressed(detections, truth, clothes([0, 1])), times)
    assert sorted(int(t.observed.sum()) for t in tracks) == [frames, frames]


def test_healing_takes_nothing_from_another_track():
    times = np.arange(60) / 120
    joints = people.walker(lambda t: np.stack([0 * t, 5 + 0 * t], -1), times)[0][None]
    pool = gather(people_at(joints, 0, missed=0, wrong_hint=False)[0], times)
    tracklets = link(pool, times)
    rows = np.arange(60)
    outer, inner = np.delete(rows, np.arange(20, 32)), np.arange(22, 30)
    whole = healed(pool, [Piece(r, np.ones(len(r), bool)) for r in (outer, inner)], tracklets)
    assert [sorted(piece.rows) for piece in whole] == [sorted({*rows} - {*inner}), [*inner]]
    assert all(len(piece.rows) == len(piece.clean) for piece in whole)


def in_parts(*frames, x=0.0):
    """Somebody alone for 60 frames, linked throughout, as pieces of these frames, a row each."""
    times = np.arange(60) / 30
    joints = people.walker(lambda t: np.stack([x + 0 * t, 5 + 0 * t], -1), times)[0][None]
    pool = gather(people_at(joints, 0, missed=0, wrong_hint=False)[0], times)
    pieces = [Piece(np.array(rows), np.ones(len(rows), bool)) for rows in frames]
    return pool, pieces, link(pool, times)


def rows_of(pieces):
    return [piece.rows.tolist() for piece in pieces]


BEFORE, AFTER = [*range(20)], [*range(23, 60)]


def test_who_is_hidden_in_part_stays_one_person():
    """A cut at a change of look, of which nobody else took either side."""
    pool, pieces, tracklets = in_parts(BEFORE, AFTER)
    assert rows_of(rejoined(pool, pieces, tracklets, SIZE)) == [BEFORE + AFTER]


def test_a_side_that_another_piece_took_stays_with_it():
    onward, other = [*BEFORE, *range(45, 60)], [*range(23, 45)]
    pool, pieces, tracklets = in_parts(onward, other)
    assert rows_of(rejoined(pool, pieces, tracklets, SIZE)) == [onward, other]


@pytest.mark.parametrize("why", ["a long gap", "somebody near", "the rim of the picture"])
def test_a_cut_that_may_be_an_exchange_stays(why):
    late = [*range(29, 60)] if why == "a long gap" else AFTER
    pool, pieces, tracklets = in_parts(BEFORE, late)
    if why == "somebody near":
        tracklets[0].rival[21] = 0.5
    size = (int(pool.centre[0, 0] + 0.5 * pool.size[0]), SIZE[1]) if why == "the rim of the picture" else SIZE
    assert rows_of(rejoined(pool, pieces, tracklets, size)) == [BEFORE, late]
