"""The detector `yolo` without Ultralytics: pictures, decoding, the way through a clip, what is kept of a network."""

import numpy as np
import pytest
import torch
import yolo_models as models
from boards_seen import film
from clips import turned

from detectors import yolo_network
from detectors.yolo import YOLO
from detectors.yolo_decode import Head, anchors, decode
from detectors.yolo_picture import Letterbox
from pipeline.clip import open_clip

V8 = Head((8, 16, 32), 16, 0, 1, 640, single=False, doubled=True)
V26 = Head((8, 16, 32), 1, 0, 1, 640, single=False, doubled=False)


@pytest.fixture
def marked(monkeypatch, tmp_path):
    """A file that opens as a network which takes white squares for people; where it is kept; all openings."""
    return models.prepare(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        path, _, _ = models.prepare(patch, tmp_path_factory.mktemp("marked"))
        return YOLO(detector_weights=path, device="cpu", threads=2)


# ---- the picture


@pytest.mark.parametrize(
    ("frame", "scaled", "corner", "size"),
    [
        ((640, 384), (640, 384), (0, 0), (640, 384)),
        ((1280, 720), (640, 360), (0, 12), (640, 384)),
        ((333, 187), (640, 359), (0, 12), (640, 384)),  # 25 rows of grey: 12 above, 13 below
        ((1080, 1920), (360, 640), (12, 0), (384, 640)),
        ((641, 5), (640, 5), (0, 13), (640, 32)),
        ((5000, 1), (640, 1), (0, 15), (640, 32)),
        ((77, 77), (640, 640), (0, 0), (640, 640)),
    ],
)
def test_frames_are_fitted_into_the_smallest_rectangle(frame, scaled, corner, size):
    box = Letterbox.of(frame, 640, 32)
    assert (box.scaled, box.corner, box.size) == (scaled, corner, size)
    picture = box(np.zeros((frame[1], frame[0], 3), np.uint8))
    assert picture.shape == (size[1], size[0], 3)
    grey = np.argwhere((picture == 114).all(axis=2))
    black = np.argwhere((picture == 0).all(axis=2))
    assert len(grey) + len(black) == size[0] * size[1]
    assert (black.min(axis=0)[::-1] == corner).all()
    assert (black.max(axis=0)[::-1] == np.array(corner) + scaled - 1).all()


@pytest.mark.parametrize("frame", [(333, 187), (1281, 719), (401, 923), (1920, 1080)])
def test_the_way_back_is_where_the_pixels_come_from(frame):
    x, y = np.meshgrid(*(np.arange(side, dtype=float) for side in frame))
    at = np.array([0.37 * frame[0] + 0.3, 0.61 * frame[1] - 0.2])
    spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (max(frame) / 60) ** 2)) * 255
    box = Letterbox.of(frame, 640, 32)
    seen = box(np.repeat(spot[..., None], 3, axis=2).astype(np.float32))[..., 0].astype(float)
    seen[(seen == 114) | (seen < 1)] = 0
    rows, columns = np.indices(seen.shape)
    centre = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
    assert box.to_frame(centre) == pytest.approx(at, abs=0.02)


# ---- decoding


def raw_of(head, size, people, seed=0):
    """Outputs in which exactly these people are: (level, column, row, logit, box, keypoints, their logits)."""
    random = np.random.default_rng(seed)
    count = len(anchors(size, head.strides)[0])
    distances = random.normal(size=(4 * head.bins, count))
    logits = random.normal(-30, 1, (head.classes, count))
    points = random.normal(size=(51, count))
    starts = np.cumsum([0, *((size[0] // s) * (size[1] // s) for s in head.strides)])
    for level, column, row, logit, box, places, sure in people:
        stride = head.strides[level]
        at = starts[level] + row * (size[0] // stride) + column
        centre = np.array([column, row]) + 0.5
        sides = np.concatenate([centre - np.divide(box[:2], stride), np.divide(box[2:], stride) - centre])
        if head.bins == 1:
            distances[:, at] = sides
        else:  # two bins beside each other share the mass, whose mean is the distance
            bins = np.full((4, head.bins), -80.0)
            low = np.floor(sides).astype(int)
            bins[np.arange(4), low] = np.log(np.maximum(1 - (sides - low), 1e-30))
            bins[np.arange(4), low + 1] = np.log(np.maximum(sides - low, 1e-30))
            distances[:, at] = bins.ravel()
        relative = places / stride - centre
        relative = (relative + 0.5) / 2 if head.doubled else relative
        points[:, at] = np.concatenate([relative, sure[:, None]], axis=1).ravel()
        logits[head.person, at] = logit
    return tuple(part.astype(np.float32) for part in (distances, logits, points))


def someone(random, head, size):
    level = int(random.integers(len(head.strides)))
    stride = head.strides[level]
    column, row = (int(random.integers(side // stride)) for side in size)
    centre = (np.array([column, row]) + 0.5) * stride
    box = np.concatenate([centre - random.uniform(0, 14.5, 2) * stride, centre + random.uniform(0.1, 14.5, 2) * stride])
    return level, column, row, random.uniform(0, 4), box, random.uniform(-30, 700, (17, 2)), random.normal(0, 3, 17)


@pytest.mark.parametrize("head", [V8, V26])
@pytest.mark.parametrize("seed", range(20))
def test_decoding_is_exact(seed, head):
    random = np.random.default_rng(seed)
    size = tuple((random.integers(1, 21, 2) * 32).tolist())
    person = someone(random, head, size)
    boxes, box_scores, points, scores = decode(raw_of(head, size, [person], seed), head, size, 0.25, 0.7, 300)
    assert boxes == pytest.approx(person[4][None], abs=1e-3)
    assert points == pytest.approx(person[5][None], abs=1e-3)
    assert box_scores == pytest.approx([1 / (1 + np.exp(-person[3]))], abs=1e-6)
    assert scores == pytest.approx(1 / (1 + np.exp(-person[6][None])), abs=1e-6)


def test_nobody_is_no_person_of_nothing():
    for head in (V8, V26):
        boxes, box_scores, points, scores = decode(raw_of(head, (64, 96), []), head, (64, 96), 0.25, 0.7, 300)
        assert (boxes.shape, box_scores.shape, points.shape, scores.shape) == ((0, 4), (0,), (0, 17, 2), (0, 17))


def several(overlaps, head=V8):
    """People of falling score, all in cells of their own; each box covers that share of the first one's."""
    points, sure = np.full((17, 2), 50.0), np.zeros(17)
    people = []
    for number, share in enumerate(overlaps):
        box = np.array([100.0, 60, 100 + 160 * share, 220])
        people.append((1, 6, 8 + number, 3 - 0.1 * number, box, points + number, sure))
    return raw_of(head, (320, 320), people)


def test_of_boxes_that_cover_each_other_the_surest_stays():
    found = decode(several([1, 0.71, 0.69, 0.3]), V8, (320, 320), 0.25, 0.7, 300)
    assert found[2][:, 0, 0] == pytest.approx([50, 52, 53], abs=1e-3)
    assert (np.diff(found[1]) < 0).all()
    found = decode(several([1, 0.71, 0.69, 0.3]), V8, (320, 320), 0.25, 0.7, 2)
    assert found[2][:, 0, 0] == pytest.approx([50, 52], abs=1e-3)


def test_a_head_of_one_box_a_person_is_not_suppressed():
    head = Head(V26.strides, 1, 0, 1, 640, single=True, doubled=False)
    assert len(decode(several([1, 0.99, 0.98, 0.3], head), head, (320, 320), 0.25, 0.7, 300)[0]) == 4
    assert decode(several([1, 0.99], head), head, (320, 320), 0.25, 0.7, 1)[2][:, 0, 0] == pytest.approx([50], abs=1e-3)


def test_other_classes_are_no_people():
    head = Head(V8.strides, 16, 1, 3, 640, single=False, doubled=True)
    random = np.random.default_rng(3)
    people = [someone(random, head, (320, 320)) for _ in range(1)]
    distances, logits, points = raw_of(head, (320, 320), people)
    assert len(decode((distances, logits, points), head, (320, 320), 0.25, 0.7, 300)[0]) == 1
    logits[2] = logits[1] + 1
    assert len(decode((distances, logits, points), head, (320, 320), 0.25, 0.7, 300)[0]) == 0


# ---- through a clip


def white_cells(frame, cells, size=640):
    """Frames of that (width, height) with a white square where a cell of the network's picture is."""
    box = Letterbox.of(frame, size, 32)
    frames = []
    for cell in cells:
        corners = np.array([cell, np.add(cell, 1)]) * 32 - 0.5
        scale = np.array(frame) / box.scaled
        (left, top), (right, bottom) = np.round((corners - box.corner + 0.5) * scale).astype(int)
        frames.append(np.zeros((frame[1], frame[0], 3), np.uint8))
        frames[-1][top:bottom, left:right] = 255
    return frames


def expected(frame, cell):
    """Box and keypoints px in the frame, worked out by hand for the sizes that are used here."""
    ratio = 640 / max(frame)
    scaled = np.round(np.array(frame) * ratio)
    grey = (-scaled) % 32
    corner = np.ceil(grey / 2 - 0.6)
    box, points = models.truth(cell)
    return [(part.reshape(-1, 2) - corner + 0.5) * (np.array(frame) / scaled) - 0.5 for part in (box, points)]


CELLS = [(5, 5), (6, 5), (7, 5), (8, 5), (9, 5), (10, 6), (11, 6)]


def check(found, frame, cells):
    assert [len(people) for people in found] == [1] * len(cells)
    for people, cell in zip(found, cells, strict=True):
        box, points = expected(frame, cell)
        assert people.keypoints[0] == pytest.approx(points, abs=1e-3)
        assert people.boxes[0].reshape(2, 2) == pytest.approx(box, abs=1e-3)
        assert people.scores[0] == pytest.approx(np.full(17, models.SURE), abs=1e-5)
        assert people.skeleton == "coco-17"
        assert 0.9 < people.box_scores[0] <= 1


@pytest.mark.parametrize("frame", [(640, 384), (1280, 720), (1281, 719), (333, 187), (961, 961)])
def test_people_are_found_where_they_are(detector, frame):
    check(list(detector.look(frame, white_cells(frame, CELLS))), frame, CELLS)


def test_of_black_frames_nothing_comes(detector):
    found = list(detector.look((320, 200), [np.zeros((200, 320, 3), np.uint8)] * 3))
    assert [len(people) for people in found] == [0, 0, 0]
    assert found[0].keypoints.shape == (0, 17, 2)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_films_of_turned_cameras(detector, tmp_path, degrees):
    upright = (720, 1280) if degrees in (90, 270) else (1280, 720)
    cells = [(column, row + 6) for column, row in CELLS] if degrees in (90, 270) else CELLS
    turns = {0: 0, 90: 1, 180: 2, 270: 3}[degrees]
    stored = [np.ascontiguousarray(np.rot90(frame, turns)) for frame in white_cells(upright, cells)]
    path = turned(film(tmp_path / "a.mp4", stored), degrees)
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height) == upright
        told = []
        found = detector.detect(clip, told.append)
    check(found, upright, cells)
    assert told == list(range(1, len(cells) + 1))


def test_pytorch_gives_the_same(marked):
    frames = white_cells((1281, 719), CELLS * 3)
    pictures = [Letterbox.of((1281, 719), 640, 32)(frame) for frame in frames]
    ours = yolo_network.OnOpenVINO(marked[0], 2)
    one = [[part.copy() for part in raw] for raw in ours.run(pictures)]
    two = list(yolo_network.OnTorch(marked[0], torch.device("cpu")).run(pictures))
    assert len(one) == len(two) == len(frames)
    for a, b in zip(one, two, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, atol=1e-4)


# ---- what is kept


def test_a_network_is_translated_once(marked):
    path, kept, opened = marked
    detectors = [YOLO(detector_weights=path, device="cpu") for _ in range(2)]
    assert len(opened) == 1
    frames = white_cells((640, 384), CELLS)
    first, second = (list(detector.look((640, 384), frames)) for detector in detectors)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    assert sorted(file.name for file in next(kept.iterdir()).iterdir()) == ["head.json", "network.bin", "network.xml"]
    path.write_bytes(b"another model")
    YOLO(detector_weights=path, device="cpu")
    assert len(opened) == 2


DAMAGES = [("network.bin", "cut"), ("network.xml", "changed"), ("head.json", "cut"), ("network.bin", "gone")]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_translation_is_made_anew(marked, name, damage):
    path, kept, opened = marked
    yolo_network.translated(path)
    file = next(kept.iterdir()) / name
    data = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(data[: len(data) // 2] if damage == "cut" else data[:-3] + b"!!!")
    yolo_network.translated(path)
    assert len(opened) == 2
    yolo_network.translated(path)
    assert len(opened) == 2


def test_where_nothing_can_be_kept_it_works_all_the_same(marked, caplog):
    path, kept, _ = marked
    kept.parent.mkdir()
    kept.write_text("a file in the folder's place")
    detector = YOLO(detector_weights=path, device="cpu")
    check(list(detector.look((640, 384), white_cells((640, 384), CELLS))), (640, 384), CELLS)
    assert "cannot keep" in caplog.text
