"""Do two 2D poses look like the same person a moment later? LightTrack's Siamese graph convolution, forward in NumPy.

Ning and Huang, CVPRW 2020, section 3.3: 15 joints, normalised to their box, are the nodes of a graph. Two layers of
spatial graph convolution (Yan, Xiong and Lin, AAAI 2018: neighbours are told apart by whether they are as far from
the middle of the body, nearer or farther) and a linear layer make an embedding of the mean over the joints; poses whose
embeddings are near each other (Euclidean) are taken for the same person. A third input beside x and y tells which
joints were seen. Weights: `training/pose_similarity.py`.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import shortest_path

from pipeline.errors import MissingError
from pipeline.results import Array
from pipeline.skeletons import skeleton

WEIGHTS = "pose-similarity"
SAME_PERSON = 0.5  # distance of embeddings up to which two poses are taken for one person's
JOINTS = (
    "head_top", "nose", "neck", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
BONES = ((0, 1), (1, 2), (2, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8), (3, 9), (4, 10), (9, 10), (9, 11), (10, 12),
         (11, 13), (12, 14))  # fmt: skip
MIDDLE = JOINTS.index("neck")
LEAST = 4  # seen joints without which a pose is like none
LAYERS = 2


def nodes(keypoints: Array, scores: Array, name: str) -> Array:
    """The graph's nodes of poses of any skeleton: (P,J,2) px, (P,J) -> (P,15,3), see `normalised`.

    The neck is the middle of the shoulders; joints that the skeleton lacks count as not seen.
    """
    found, names = np.full((len(keypoints), len(JOINTS), 2), np.nan), skeleton(name).joints
    sure = np.where((scores > 0)[..., None], keypoints, np.nan)
    for k, joint in enumerate(JOINTS):
        if joint in names:
            found[:, k] = sure[:, names.index(joint)]
    found[:, MIDDLE] = sure[:, skeleton(name).index("left_shoulder", "right_shoulder")].mean(1)
    return normalised(found)


def normalised(points: Array) -> Array:
    """(P,15,2), NaN where not seen -> (P,15,3) float32: x and y from the middle of the box of the joints, in parts of
    its longer side, and 1; three zeros where not seen.
    """
    seen = np.isfinite(points).all(-1, keepdims=True)
    some = seen.any(1)
    low = np.where(some, np.where(seen, points, np.inf).min(1), 0)
    high = np.where(some, np.where(seen, points, -np.inf).max(1), 0)
    middle, side = (low + high) / 2, (high - low).max(-1, keepdims=True)
    place = np.where(seen, (points - middle[:, None]) / np.maximum(side, 1e-6)[:, None], 0)
    return np.concatenate([place, seen], axis=-1).astype(np.float32)


def partitions() -> Array:
    """(3,15,15) float32: what each joint (row) gathers of itself and those as far from the neck, nearer, farther."""
    linked = np.eye(len(JOINTS), dtype=bool)
    for a, b in BONES:
        linked[a, b] = linked[b, a] = True
    hops = shortest_path(linked, unweighted=True, indices=MIDDLE)
    near = np.sign(hops[None] - hops[:, None])  # of the neighbour (column) against the joint
    share = linked / linked.sum(1, keepdims=True)
    return np.stack([share * (near == side) for side in (0, -1, 1)]).astype(np.float32)


@dataclass(frozen=True)
class PoseSimilarity:
    """The trained network; `arrays` are those of the weights' file, see `training.pose_similarity`."""

    arrays: dict[str, Array]

    def embed(self, graphs: Array) -> Array:
        """(P,15,3) of `nodes` -> (P,E) embeddings; NaN where fewer than LEAST joints were seen."""
        x = graphs * self.arrays["scale"] + self.arrays["shift"]
        for layer in range(LAYERS):
            gathered = np.einsum("kvu,puc->pvkc", self.arrays[f"graph{layer}"], x, optimize=True)
            weights = self.arrays[f"weight{layer}"]
            out = gathered.reshape(*x.shape[:2], weights[..., 0].size) @ weights.reshape(-1, weights.shape[-1])
            out = out + self.arrays[f"bias{layer}"] + (x if x.shape[-1] == out.shape[-1] else 0)
            x = np.maximum(out, 0)
        seen = graphs[..., 2].sum(1) >= LEAST
        return np.where(seen[:, None], x.mean(1) @ self.arrays["head"], np.nan)


def apart(one: Array, other: Array) -> Array:
    """(A,E), (B,E) embeddings -> (A,B) Euclidean distances; infinite where one is unknown."""
    return np.nan_to_num(np.linalg.norm(one[:, None] - other[None], axis=-1), nan=np.inf)


def load(path: Path | None = None) -> PoseSimilarity:
    """The network with the weights of a file; None: the project's own.

    Raises:
        MissingError: no such weights, or a file that is none of them.
    """
    from checkpoints.store import find

    path = path or find(WEIGHTS)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files}
        PoseSimilarity(arrays).embed(np.zeros((1, len(JOINTS), 3), np.float32))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise MissingError(f"{path} holds no pose similarity", str(error), "train pose-similarity writes it") from error
    return PoseSimilarity(arrays)
