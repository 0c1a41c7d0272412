"""OpenVINO computes what PyTorch computes, in float32, for any batch and track."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from published import filled, inputs

from lifters.networks.compiled import Compiled
from lifters.networks.motionbert import DSTformer
from lifters.networks.pstmo import PSTMO
from lifters.networks.rie import RIE


def pstmo():
    return filled(PSTMO(2, (3, 3), channels=16, hidden=32, heads=4))


def test_pstmo_tracks():
    network = pstmo()
    windows, clips = Compiled(network, "lift_windows"), Compiled(network, "lift_clips")
    for frames, batch in ((1, 16), (40, 16), (23, 3)):
        track = inputs(2, frames, 17, 2)
        lifted = network.lift(track, batch=batch, run=windows)
        assert lifted.dtype == torch.float64
        assert (lifted - network.lift(track)).abs().max() < 1e-4
        assert (network.lift_fast(track, run=clips) - network.lift_fast(track)).abs().max() < 1e-4


def test_rie_tracks():
    network, track = filled(RIE(3, 8, (3, 3, 3), 16, hidden=24)), inputs(2, 50, 17, 2)
    with torch.no_grad():
        lifted = network.forward_sequence(track, 7, run=Compiled(network, "lift_windows"))
        assert (lifted - network.forward_sequence(track)).abs().max() < 1e-4


def test_dstformer_tracks_of_several_lengths():
    network = filled(DSTformer(16, 2, depth=1, heads=4, representation=24, frames=18))
    compiled = Compiled(network)
    for frames in (50, 7, 18):
        track = inputs(1, frames, 17, 3)
        assert (network.lift(track, True, run=compiled) - network.lift(track, True)).abs().max() < 1e-4


def test_it_has_the_weights_of_its_time_and_leaves_the_network_alone():
    network, track = pstmo(), inputs(1, 9, 17, 2)
    run = Compiled(network, "lift_clips")
    before = run(track)
    with torch.no_grad():
        network.fcn_1[1].bias += 1.0
    assert torch.equal(run(track), before)
    assert (Compiled(network, "lift_clips")(track) - before - 1).abs().max() < 1e-4
    assert next(network.parameters()).dtype == torch.float64
    with pytest.raises(RuntimeError, match="evaluation"):
        Compiled(network.train())


def test_openvino_is_imported_when_it_is_chosen():
    code = "import sys, lifters.networks.pstmo, lifters.networks.rie, lifters.networks.motionbert as m; "
    code += "m.DSTformer(8, 1, 1, 1, 8, 3); print('openvino' in sys.modules)"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
