"""Released checkpoints: every form they come in, what does not fit, and files that must not be opened."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from published import entries, made_up
from safetensors.torch import save_file

from lifters.networks.rie import ENCODERS, RIE
from lifters.networks.videopose3d import TemporalModel
from lifters.released import load_into, read_network, read_state
from lifters.variants import recognise
from pipeline.errors import InputError, MissingError


class OldRandomState:
    """Pickles as numpy.random.RandomState did until NumPy 1.16, when VideoPose3D's files were made."""

    def __reduce__(self):
        return vars(np.random)["__RandomState_ctor"], (), ("MT19937", np.arange(624, dtype=np.uint32), 3, 0, 0.0)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


def small(joints: int = 17, **options) -> TemporalModel:
    torch.manual_seed(1)
    net = TemporalModel(17, 2, joints, (3, 3), 8, **options)
    net(torch.rand(4, 9, 17, 2))  # the running statistics are a network's own too
    return net


def same(state, other) -> bool:
    return list(state) == list(other) and all(torch.equal(state[name], other[name]) for name in state)


def trained(net: torch.nn.Module, **more) -> dict:
    """What the authors of VideoPose3D and RIE save."""
    optimiser = torch.optim.Adam(net.parameters(), amsgrad=True)
    net(torch.rand(4, 9, 17, 2))[0].sum().backward()
    optimiser.step()
    return {
        "epoch": 80,
        "lr": np.float64(1e-3),
        "optimizer": optimiser.state_dict(),
        "model_pos": net.state_dict(),
        **more,
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("random", [OldRandomState(), np.random.RandomState(1234), None])
def test_videopose3d_files(tmp_path, zipped, random):
    net, path = small(), tmp_path / "epoch_80.bin"
    torch.save(trained(net, random_state=random, model_traj=None), path, _use_new_zipfile_serialization=zipped)
    states = read_state(path)
    assert list(states) == ["model_pos"] and same(states["model_pos"], net.state_dict())
    other = small()
    torch.nn.init.zeros_(other.shrink.weight)
    load_into(other, read_network(path), path)
    assert same(other.state_dict(), net.state_dict())


def test_names_of_other_numpy_versions(tmp_path):
    """The same file under NumPy 1's module names."""
    path = tmp_path / "a.bin"
    torch.save(trained(small(), random_state=np.random.RandomState(0)), path, _use_new_zipfile_serialization=False)
    renamed = path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert renamed != path.read_bytes()
    path.write_bytes(renamed)
    assert list(read_state(path)) == ["model_pos"]


def test_trajectory_model_beside_the_pose_model(tmp_path):
    net, trajectory, path = small(), small(1), tmp_path / "a.bin"
    torch.save(trained(net, model_traj=trajectory.state_dict(), random_state_semi=None), path)
    assert same(read_network(path), net.state_dict())
    assert same(read_network(path, "model_traj"), trajectory.state_dict())
    with pytest.raises(InputError, match=r"no model_refine in .*\n.*model_pos, model_traj"):
        read_network(path, "model_refine")


@pytest.mark.parametrize("wrapped", [None, "model_pos", "model", "state_dict", "weights"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_wrapped_and_from_several_gpus(tmp_path, wrapped, prefix):
    state, path = small().state_dict(), tmp_path / "a.pth"
    kept = {prefix + name: value for name, value in state.items()}
    torch.save({wrapped: kept, "min_loss": 37.2} if wrapped else kept, path)
    assert same(read_network(path), state)


def test_a_prefix_that_only_some_names_have_stays(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pth")
    assert list(read_network(tmp_path / "a.pth")) == ["module.a", "b"]


def test_safetensors_and_16_bits(tmp_path):
    net, path = small(), tmp_path / "a.safetensors"
    save_file({name: v.half() if v.ndim > 1 else v for name, v in net.state_dict().items()}, path)
    other = small()
    load_into(other, read_network(path), path)
    assert other.shrink.weight.dtype == torch.float32
    assert torch.equal(other.shrink.weight, net.shrink.weight.half().float())


def test_shipped_weights_are_recognised():
    from checkpoints.card import card
    from checkpoints.store import ROOT

    facts = card("videopose3d-open").details
    found = recognise(read_network(ROOT / "checkpoints" / facts["safetensors_file"]))
    assert found.network == "videopose3d-open" and found.facts == {key: facts[key] for key in ("features", "summary")}


def test_files_from_before_batches_were_counted(tmp_path):
    net, path = small(), tmp_path / "old.bin"
    torch.save({n: v for n, v in net.state_dict().items() if not n.endswith("tracked")}, path)
    other = small()
    load_into(other, read_network(path), path)
    assert torch.equal(other.layers_bn[1].running_var, net.layers_bn[1].running_var)


def test_stage_two_takes_the_encoders_of_stage_one(tmp_path):
    torch.manual_seed(0)
    first, second = (RIE(stage, 4, (3,), 8, hidden=8) for stage in (1, 2))
    before, path = {n: v.clone() for n, v in second.state_dict().items()}, tmp_path / "stage_1_epoch_80.bin"
    torch.save({"model_pos": first.state_dict()}, path)
    load_into(second, read_network(path), path, ENCODERS)
    for name, value in second.state_dict().items():
        taken = first.state_dict()[name] if name.startswith(ENCODERS) else before[name]
        assert torch.equal(value, taken), name
    with pytest.raises(InputError, match=r"missing: FuseBlocks.*\n.*RIE \(stage 1, latent 4"):
        load_into(second, read_network(path), path)
    with pytest.raises(InputError, match="no part"):
        load_into(second, read_network(path), path, ("Nobody.",))


def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path):
    net, path = small(), tmp_path / "a.bin"
    before = {name: value.clone() for name, value in net.state_dict().items()}
    other = TemporalModel(17, 2, 15, (3, 3, 3), 8).state_dict()
    del other["expand_bn.weight"]
    with pytest.raises(InputError) as failed:
        load_into(net, other, path)
    what, why, hint = str(failed.value).splitlines()
    assert what == f"{path} does not fit the network"
    assert "1 missing: expand_bn.weight; " in why and "12 unexpected: layers_conv.2.weight, " in why
    assert "and 9 more" in why and "2 of another shape: shrink.weight (45,8,1) for (51,8,1), shrink.bias" in why
    assert "VideoPose3D (widths 3,3,3, frames 27, channels 8, numbers in 34, numbers out 45, joints out 15" in hint
    assert "not to be seen: causal" in hint
    assert same(net.state_dict(), before)
    with pytest.raises(InputError, match="no known network"):
        load_into(net, {"conv1.weight": torch.ones(3)}, path)


@pytest.mark.parametrize(
    ("file", "network", "title", "facts"),
    [
        ("vp3d_3_3_3_3_3", "videopose3d", "VideoPose3D", {"widths": (3,) * 5, "frames": 243, "joints_out": 17}),
        ("vp3d_he_17_15", "videopose3d", "VideoPose3D", {"frames": 27, "numbers_in": 34, "joints_out": 15}),
        ("vp3d_traj", "videopose3d", "VideoPose3D's trajectory model", {"joints_out": 1, "channels": 1024}),
        ("rie_lfd256_stage1", "rie", "RIE", {"stage": "1", "latent": 256, "frames": 243, "channels": 256}),
        ("rie_lfd512_stage3", "rie", "RIE", {"stage": "2 or 3", "latent": 512, "widths": (3,) * 5}),
        ("pstmo_L3_f81", "pstmo", "P-STMO-S", {"layers": 3, "frames": 81, "sequence_head": True, "joints_out": 17}),
        ("pstmo_L4_f243", "pstmo", "P-STMO", {"layers": 4, "frames": 243, "aggregator_layers": 5}),
        ("pstmo_mae_L3_f243", "pstmo-masked", "P-STMO's stage I", {"layers": 3, "decoder_layers": 2, "frames": 243}),
        ("pstmo_refine", "pstmo-refine", "P-STMO's refine module", {"joints": 17, "hidden": 1024}),
        ("mb_full", "motionbert", "MotionBERT, full", {"channels": 512, "mlp_ratio": 2, "depth": 5, "frames": 243}),
        ("mb_lite", "motionbert", "MotionBERT Lite", {"channels": 256, "mlp_ratio": 4, "joints": 17}),
    ],
)
def test_published_networks_are_recognised(file, network, title, facts):
    state = {name: torch.empty(()).expand(shape) for name, shape in entries(file)}
    found = recognise(state)
    assert found.network == network and found.title.startswith(title)
    assert {name: found.facts[name] for name in facts} == facts
    assert len(str(found)) < 300
    if file.startswith("pstmo_L3"):
        without = {name: value for name, value in state.items() if not name.startswith("fcn_1.")}
        assert recognise(without).facts["sequence_head"] is False


def test_names_alone_are_not_recognised():
    assert recognise({}) is None
    assert recognise({"joints_embed.weight": torch.ones(3)}) is None
    assert recognise({name: torch.ones(()) for name, _ in entries("mb_lite")}) is None


@pytest.mark.parametrize("form", ["zip", "old", "raw 0", "raw 2", "raw 4", "in a state", "behind numpy"])
@pytest.mark.parametrize("call", ["system", "eval"])
def test_hostile_files_are_refused_and_not_run(tmp_path, form, call):
    mark, path = tmp_path / "was_run", tmp_path / "epoch_80.bin"
    code = f"open({str(mark)!r}, 'w')"
    hostile = Hostile(os.system, f"touch {mark}") if call == "system" else Hostile(eval, code)
    good = small().state_dict()
    if form.startswith("raw"):
        path.write_bytes(pickle.dumps(hostile, int(form[-1])))
    elif form == "in a state":
        torch.save({"model_pos": {**good, "more": hostile}}, path)
    elif form == "behind numpy":
        torch.save({"model_pos": good, "random_state": [np.random.RandomState(0), hostile]}, path)
    else:
        torch.save({"model_pos": good, "x": hostile}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError) as failed:
        read_state(path)
    assert not mark.exists()
    text = str(failed.value)
    assert str(path) in text and len(text.splitlines()) == 3
    if not form.startswith("raw"):
        assert text.startswith("refused to open") and (call in text) and "nothing was run" in text
    # The file does what it was made for, where pickles are run.
    if form == "raw 2":
        pickle.loads(path.read_bytes())
        assert mark.exists()


def test_numpy_in_a_file_is_not_built(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    torch.save(trained(small(), random_state=np.random.RandomState(0)), path)
    allowed = torch.serialization.get_safe_globals()
    monkeypatch.setattr("numpy.random._pickle.__randomstate_ctor", None)
    monkeypatch.setattr("numpy._core.multiarray._reconstruct", None)
    assert list(read_state(path)) == ["model_pos"]
    assert set(torch.serialization.get_safe_globals()) == set(allowed)
    with pytest.raises(pickle.UnpicklingError, match="numpy"):
        torch.load(path, weights_only=True)


def saved(content: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"text")
    return buffer.getvalue()


STATE = {"model_pos": {"weight": torch.arange(1000.0)}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html>\n<html>", "begins with '<!DOCTYPE html>'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "begins with 'version https://git-lfs"),
        (b"\n\n", "begins with ''"),
        (b"\xff\xd8\xff\xe0", "is no file of PyTorch"),
        (zip_of("readme.txt", "a/b.csv"), "a zip of something else"),
        (zip_of("archive/data.pkl"), "a zip of something else"),
        (zip_of("archive/data.pkl", "archive/version"), "damaged or not whole"),
        (zip_of("archive/data.pkl", "archive/version", "archive/constants.pkl"), "TorchScript"),
        (saved(STATE)[:3000], "cut short"),
        *((saved(STATE, zipped=False)[:size], "damaged or not whole") for size in (1, 10, 60, 3000)),
        (pickle.dumps({"a": 1}, 2), "damaged or not whole"),
        ((1000).to_bytes(8, "little") + b'{"a":', "not whole"),
        (saved([torch.ones(2)]), "no state dict of tensors, only: list"),
        (saved(torch.ones(2)), "only: Tensor"),
        (saved({}), "only: dict"),
        (saved({"epoch": 3, "model_traj": None}), "only: epoch, model_traj"),
        (saved({"model_pos": {"a": torch.ones(2).to_sparse()}}), "only: model_pos"),
        (saved({"model_pos": {"a": np.ones(2)}}), "only: model_pos"),
        (saved(small()), "asks for lifters.networks.videopose3d.TemporalModel"),
    ],
)
def test_what_is_no_checkpoint_says_so(tmp_path, content, why):
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(InputError) as failed:
        read_state(path)
    assert why in str(failed.value) and str(path) in str(failed.value)
    assert len(str(failed.value).splitlines()) == 3 and failed.value.exit_code == 3


@pytest.mark.parametrize("zipped", [True, False])
def test_cut_anywhere(tmp_path, zipped):
    path, whole = tmp_path / "weights.bin", saved(STATE, zipped)
    for size in (*range(0, 400, 7), *range(400, len(whole), 211), len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=str(path)):
            read_state(path)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.bin", tmp_path):
        with pytest.raises(MissingError, match="no such file"):
            read_state(path)


def test_full_size_file(tmp_path):
    """Names and shapes as published, from several GPUs, into our own network."""
    path = tmp_path / "gt_pretrained.bin"
    state = {name: made_up(name, shape).float() for name, shape in entries("vp3d_3_3_3")}
    state = {n: v.long() if n.endswith("tracked") else v for n, v in state.items()}
    torch.save({"model_pos": {f"module.{n}": v for n, v in state.items()}}, path)
    net = TemporalModel(17, 2, 17)
    load_into(net, read_network(path), path)
    assert same(net.state_dict(), state)
