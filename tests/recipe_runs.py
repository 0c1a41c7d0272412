"""Runs of the papers' recipes that last seconds, and what they leave."""

import csv

import torch

from lifters.released import read_network
from training import motionbert, pstmo, rie, videopose3d_h36m, videopose3d_semi
from training.run import Run
from training.settings import changed

EPOCHS = ("epoch_windows=640", "batch=64")  # of ten steps
# Everyday runs: seconds. The first is the recipe, the second what its options are set to after `small`.
QUICK = {
    "rie": (rie, (*EPOCHS, "epochs=2,2,2", "channels=16", "latent=8", "hidden=32", "dropout=0.1")),
    "pstmo": (pstmo, (*EPOCHS, "epochs=2,2,2", "channels=16", "spatial=16", "dropout=0.1", "refine=yes")),
    "motionbert": (motionbert, ("frames=9", "stride=5", "depth=1", "channels=32", "heads=2", "batch=16",
                                "epoch_clips=160", "pretrain=yes", "finetune_epochs=2",
                                "pretrain_batch=16", "pretrain_epochs=2", "learning_rate=1e-3",
                                "pretrain_rate=1e-3", "decay=0.9", "warmup=0")),
    "videopose3d-h36m": (videopose3d_h36m, (*EPOCHS, "epochs=2", "channels=32", "dropout=0.1")),
    "videopose3d-semi": (videopose3d_semi, ("epoch_windows=64", "batch=16", "epochs=30", "decay=0.97", "warmup=1",
                                            "channels=32", "dropout=0.1")),
}  # fmt: skip
LAST = {"rie": rie.STAGES[-1], "pstmo": "refine", "motionbert": "finetune"} | dict.fromkeys(list(QUICK)[3:], "lifter")


def quick(name, data, out, *settings, seed=0, resume=False, **run):
    recipe, usual = QUICK[name]
    options = changed(recipe.small(recipe.Options(data, keypoints="gt")), (*usual, *settings))
    return recipe.train(options, Run(out, "cpu", seed=seed, resume=resume, log_every=5, **run))


def rows(out, stage):
    with (out / f"{stage}.csv").open() as file:
        return list(csv.DictReader(file))


def losses(out, stage):
    return [(row["step"], row["loss"]) for row in rows(out, stage)]


def same(one, other):
    first, second = read_network(one), read_network(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
