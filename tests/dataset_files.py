"""Small files in the exact layouts of the field's data sets, made of random poses."""

import json
import pickle

import numpy as np

from pipeline.skeletons import skeleton

H36M_CAMERAS = ("54138969", "55011271", "58860488", "60457274")
H36M_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
H36M_SUBJECTS = {"S1": {"Walking": 7, "Walking 1": 5}, "S9": {"Eating 2": 6, "Directions": 4}, "S11": {"Directions": 3}}
EVA_SUBJECTS = {
    "Train/S1": {"Walking 1 chunk0": 5, "Box 1 chunk2": 4},
    "Validate/S1": {"Jog 1 chunk0": 6, "Jog 1 chunk3": 3},
    "Validate/S2": {"Jog 1 chunk0": 4},
}


def rng_of(*name):
    return np.random.default_rng(list("/".join(map(str, name)).encode()))


def people(name, frames, joints, centre=(0.0, 0.0, 1.0)):
    """(frames,joints,3) float32 metres: points of a box of a person's size."""
    return (rng_of(name).uniform(-0.3, 0.3, (frames, joints, 3)) + centre).astype(np.float32)


def pixels(name, frames, joints, channels=2):
    return rng_of(name, "2d").uniform(100, 900, (frames, joints, channels)).astype(np.float32)


def camera_table(prefix, names, subjects, sizes, with_lens=True):
    """cameras.json's two tables; the cameras stand anywhere around the world's origin."""
    rng = rng_of(prefix, "cameras")
    lens = {
        "focal_length": lambda: rng.uniform(1100, 1200, 2).tolist(),
        "center": lambda: rng.uniform(500, 520, 2).tolist(),
        "radial_distortion": lambda: rng.uniform(-0.2, 0.2, 3).tolist(),
        "tangential_distortion": lambda: rng.uniform(-0.002, 0.002, 2).tolist(),
    }
    intrinsics = [
        {"id": name, "res_w": w, "res_h": h} | ({key: make() for key, make in lens.items()} if with_lens else {})
        for name, (w, h) in zip(names, sizes, strict=True)
    ]
    extrinsics = {}
    for subject in subjects:
        extrinsics[subject] = []
        for _ in names:
            q = rng.normal(size=4)
            place = {"orientation": (q / np.linalg.norm(q)).tolist(), "translation": rng.uniform(-5e3, 5e3, 3).tolist()}
            extrinsics[subject].append(place)
    return {f"{prefix}_intrinsics": intrinsics, f"{prefix}_extrinsics": extrinsics}


def object_array(value):
    array = np.empty((), dtype=object)
    array[()] = value
    return array


def metadata(layout):
    body = skeleton(layout)
    sides = [list(body.left), list(body.right)]
    return object_array({"layout_name": layout, "num_joints": len(body), "keypoints_symmetry": sides})


def write_human36m(folder, detectors=(("gt", "h36m-17", 2),), longer=2):
    """Three files of VideoPose3D's form; returns what they hold: 3D, 2D by detector, camera tables."""
    motions = {s: {a: people((s, a), n, 32) for a, n in actions.items()} for s, actions in H36M_SUBJECTS.items()}
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=object_array(motions))
    flat = {}
    for detector, layout, channels in detectors:
        joints = len(skeleton(layout))
        flat[detector] = {
            s: {a: [pixels((s, a, c), n + longer, joints, channels) for c in range(4)] for a, n in actions.items()}
            for s, actions in H36M_SUBJECTS.items()
        }
        np.savez_compressed(
            folder / f"data_2d_h36m_{detector}.npz",
            positions_2d=object_array(flat[detector]), metadata=metadata(layout),
        )  # fmt: skip
    cameras = camera_table("h36m", H36M_CAMERAS, H36M_SUBJECTS, H36M_SIZES)
    cameras["h36m_extrinsics"]["S2"] = [{}, {}, {}, {}]  # nobody knows where they stood
    (folder / "cameras.json").write_text(json.dumps(cameras))
    return motions, flat, cameras


def write_humaneva(folder, detector="detectron_pt_coco", layout="coco-17"):
    motions = {s: {a: people((s, a), n, 15) for a, n in actions.items()} for s, actions in EVA_SUBJECTS.items()}
    flat = {
        s: {a: [pixels((s, a, c), n, len(skeleton(layout))) for c in range(3)] for a, n in actions.items()}
        for s, actions in EVA_SUBJECTS.items()
    }
    np.savez_compressed(folder / "data_3d_humaneva15.npz", positions_3d=object_array(motions))
    name = f"data_2d_humaneva15_{detector}.npz"
    np.savez_compressed(folder / name, positions_2d=object_array(flat), metadata=metadata(layout))
    cameras = camera_table("humaneva", ("C1", "C2", "C3"), ("S1", "S2"), [(640, 480)] * 3, with_lens=False)
    (folder / "cameras.json").write_text(json.dumps(cameras))
    return motions, flat, cameras


def write_3dhp(folder):
    """Train and test file; 3D in millimetres."""

    def view(*name, frames):
        return {
            "data_2d": 2 * pixels(name, frames, 17),
            "data_3d": 1000 * people(name, frames, 17, centre=(0.2, 0.3, 3.5)),
        }

    train = {
        "S1 Seq1": [{str(c): view("S1", 1, c, frames=6) for c in (0, 1, 8)}, 25],
        "S1 Seq2": [{str(c): view("S1", 2, c, frames=5) for c in (0, 4)}, 50],
        "S3 Seq1": [{"7": view("S3", 1, 7, frames=4)}, 50],
    }
    test = {}
    for name, frames in (("TS1", 8), ("TS5", 6)):
        valid = rng_of(name).random((frames, 1)) < 0.7
        test[name] = view(name, frames=frames) | {"valid": valid.astype(np.uint8)}
    np.savez_compressed(folder / "data_train_3dhp.npz", data=object_array(train))
    np.savez_compressed(folder / "data_test_3dhp.npz", data=object_array(test))
    return train, test


def motionbert_part(sources):
    """Arrays over frames, as one half of the pickle; `sources` are (name, camera, action, frames)."""
    count = sum(frames for *_, frames in sources)
    rng = rng_of(sources[0][0])
    rows = [(name, camera, action) for name, camera, action, frames in sources for _ in range(frames)]
    image = rng.uniform(450, 550, (count, 17, 3)).astype(np.float32)
    factor = rng.uniform(3, 5, count).astype(np.float32)
    return {
        "joint_2d": pixels(sources[0][0], count, 17), "confidence": rng.random((count, 17)).astype(np.float32),
        "joint3d_image": image, "joints_2.5d_image": image * factor[:, None, None], "2.5d_factor": factor,
        "camera_name": [row[1] for row in rows], "action": [row[2] for row in rows], "source": [row[0] for row in rows],
    }  # fmt: skip


def write_motionbert(folder, protocol=4, test=(12, 7)):
    """Train and test of two videos each; `test`: frames of the latter."""
    path = folder / "h36m_sh_conf_cam_source_final.pkl"
    data = {
        "train": motionbert_part(
            [("s_01_act_02_subact_01_ca_01", "54138969", "Directions", 9),
             ("s_01_act_02_subact_01_ca_02", "55011271", "Directions", 9)]
        ),
        "test": motionbert_part(
            [("s_09_act_03_subact_02_ca_04", "60457274", "Discussion", test[0]),
             ("s_11_act_16_subact_01_ca_03", "58860488", "WalkTogether", test[1])]
        ),
    }  # fmt: skip
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path, data


def write_clips(folder, count=3, frames=243):
    folder.mkdir(parents=True)
    clips = []
    for i in range(count):
        rng = rng_of("clip", i)
        given = rng.uniform(-1, 1, (frames, 17, 3)).astype(np.float32) if i != 1 else None
        clips.append({"data_input": given, "data_label": rng.uniform(-1, 1, (frames, 17, 3)).astype(np.float32)})
        (folder / f"{i:08d}.pkl").write_bytes(pickle.dumps(clips[-1]))
    return clips


def ski_pose_rows(frames=5):
    """Rows of labels.h5 in no order, as the file may have them."""
    names = [(s, c, f) for s in (3, 4) for c in range(6) for f in range(frames)]
    names = rng_of("ski").permutation(names)
    rng = rng_of("ski", "rows")
    return {
        "3D": rng.normal(0, 0.15, (len(names), 51)), "2D": rng.random((len(names), 34)),
        "seq": names[:, 0].astype(float), "cam": names[:, 1].astype(float), "frame": names[:, 2].astype(float),
    }  # fmt: skip


def write_open_mocap(path, lengths=(6, 9), subjects=("cmu01", "cmu55")):
    from training.datasets.open_mocap import SHORT

    count = sum(lengths)
    rng = rng_of("open")
    np.savez(
        path, rel=rng.normal(0, 0.15, (count, 23, 3)).astype(np.float16),
        root=rng.normal(0, 2, (count, 3)).astype(np.float32),
        contacts=np.zeros((count, 4), np.uint8), start=np.cumsum((0, *lengths))[:-1], length=np.array(lengths),
        subject=np.array(subjects), joints=np.array(list(SHORT.values())), fps=30.0,
    )  # fmt: skip
    return path
