"""How well does LightTrack's pose similarity tell whether two poses are one person's? Prints a table in Markdown.

    python -m benchmarks.pose_similarity [--data ../shared/data] [--weights FILE --card CARD]

Pairs of poses of people never trained on, before random virtual cameras, with a detector's errors: of one person some
time apart, and of two people before the same camera. Beside the network: the mean distance of the normalised joints
that both poses show. AUC is the chance that a pair of one person is nearer than one of two; accuracy is the mean over
both kinds at the tracker's distance of 0.5, for the joints at the distance where it is best on these very pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Generator

from checkpoints.card import write_accuracy
from pipeline.results import Array
from trackers.pose_similarity import SAME_PERSON, PoseSimilarity, load
from training.mocap import load_mocap
from training.pose_pairs import GROUP, PosePairs

GAPS = ((0.0, 1.0), (0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.0))  # s
CAMERAS = 1500
NOTE = "Pairs of poses of test subjects never trained on: one person up to 1 s apart, and two people (%)."


def main(given: Sequence[str] | None = None) -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--weights", type=Path, help="a file that training wrote; by default the tracker's own")
    parser.add_argument("--card", type=Path, help="the card of these weights, which gets the figures")
    arguments = parser.parse_args(given)
    network, mocap = load(arguments.weights), load_mocap(arguments.data / "mocap" / "open_mocap.npz", test=True)
    print("| time between, s | AUC | accuracy | missed | taken for one | AUC, joints | accuracy, joints |")
    print("|---|---|---|---|---|---|---|")
    for number, gap in enumerate(GAPS):
        pairs = PosePairs(mocap, 1.0, Generator().manual_seed(number)).pairs(CAMERAS, gap)
        figures = scores(network, *(part.numpy() for part in pairs))
        print(f"| {gap[0]:g} to {gap[1]:g} | " + " | ".join(f"{value:.1f}" for value in figures.values()) + " |")
        if arguments.card and not number:
            write_accuracy(arguments.card, NOTE, figures)


def scores(network: PoseSimilarity, first: Array, second: Array) -> dict[str, float]:
    """In % by name, of pairs (B,15,3) as `PosePairs` draws them."""
    learnt, plain = [], []
    for row in range(0, len(first), GROUP):
        one, other = first[row : row + GROUP], second[row : row + GROUP]
        learnt.append(np.linalg.norm(network.embed(one)[:, None] - network.embed(other)[None], axis=-1))
        plain.append(joints_apart(one, other))
    same, different = parted(np.stack(learnt))
    missed, taken = np.mean(same > SAME_PERSON), np.mean(different <= SAME_PERSON)
    found = {"auc": auc(same, different), "accuracy": 1 - (missed + taken) / 2, "missed": missed, "taken": taken}
    same, different = parted(np.stack(plain))
    limits = np.quantile(same, np.linspace(0, 1, 501))
    right = [(np.mean(same <= limit) + np.mean(different > limit)) / 2 for limit in limits]
    found |= {"auc_joints": auc(same, different), "accuracy_joints": max(right)}
    return {f"{name}_percent": 100 * float(value) for name, value in found.items()}


def joints_apart(one: Array, other: Array) -> Array:
    """(A,15,3), (B,15,3) -> (A,B): mean distance of the joints that both show."""
    seen = one[:, None, :, 2] * other[None, :, :, 2]
    gap = np.linalg.norm(one[:, None, :, :2] - other[None, :, :, :2], axis=-1)
    return np.where(seen.any(-1), (gap * seen).sum(-1) / np.maximum(seen.sum(-1), 1), np.nan)


def parted(distances: Array) -> tuple[Array, Array]:
    """(C,P,P) -> those of one person, those of two; without poses that show too little."""
    own = np.broadcast_to(np.eye(distances.shape[-1], dtype=bool), distances.shape)
    same, different = distances[own], distances[~own]
    return same[np.isfinite(same)], different[np.isfinite(different)]


def auc(same: Array, different: Array) -> float:
    """The chance that one of the first is smaller than one of the second."""
    return float(np.mean(np.searchsorted(np.sort(same), different, side="left")) / len(same))


if __name__ == "__main__":
    main()
