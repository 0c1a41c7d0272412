"""Small files in the exact layouts of the data sets' raw distributions, made of random poses."""

import numpy as np
from scipy.io import savemat

from tests.dataset_files import people, pixels, rng_of

HUMAN36M = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases", "Sitting", "SittingDown",
    "Smoking", "TakingPhoto", "Waiting", "Walking", "WalkingDog", "WalkTogether",
)  # fmt: skip
TAKES_3DHP = [(f"S{subject}", take) for subject in range(1, 9) for take in (1, 2)]
TESTS_3DHP = [f"TS{number}" for number in range(1, 7)]


def cell(arrays):
    """A column of MATLAB's cells."""
    column = np.empty((len(arrays), 1), object)
    for row, array in enumerate(arrays):
        column[row, 0] = array
    return column


def human36m_motion(subject, action, frames=3):
    """(frames,32,3) float32 mm in the world."""
    return (1000 * people((subject, action), frames, 32)).astype(np.float32)


def write_human36m(folder, form, subjects=HUMAN36M):
    """Thirty motions of each subject as `cdf.mat`, `h5` or `cdf`; returns them by subject and the file's action, mm."""
    motions = {}
    for subject in subjects:
        inside = "MyPoses/3D_positions" if form == "h5" else "MyPoseFeatures/D3_Positions"
        (folder / subject / inside).mkdir(parents=True)
        motions[subject] = {name: human36m_motion(subject, name) for a in ACTIONS for name in (a, f"{a} 1")}
        for name, motion in motions[subject].items():
            WRITERS[form](folder / subject / inside / f"{name}.{form}", motion)
    return motions


def _write_mat(path, motion):
    savemat(path, {"data": cell([motion.reshape(len(motion), 96)])})


def _write_h5(path, motion):
    import h5py

    with h5py.File(path, "w") as file:
        file["3D_positions"] = motion.transpose(1, 2, 0).reshape(96, -1)


def _write_cdf(path, motion):
    from cdflib.cdfwrite import CDF

    values = motion.reshape(1, -1, 96)
    file = CDF(str(path), cdf_spec={"Compressed": 6})
    spec = {"Variable": "Pose", "Data_Type": CDF.CDF_REAL4, "Num_Elements": 1, "Rec_Vary": True}
    file.write_var(spec | {"Var_Type": "zVariable", "Dim_Sizes": list(values.shape[1:])}, var_data=values)
    file.close()


WRITERS = {"cdf.mat": _write_mat, "h5": _write_h5, "cdf": _write_cdf}


def write_3dhp_train(folder, takes=TAKES_3DHP, frames=4):
    """annot.mat of each take: 14 cameras, 28 joints; returns 2D (frames,28,2) px and 3D (frames,28,3) mm of each."""
    made = {}
    for subject, take in takes:
        views = [
            (pixels((subject, take, c), frames, 28), 1000 * people((subject, take, c), frames, 28, (0.2, 0.3, 3.5)))
            for c in range(14)
        ]
        flat = [points.reshape(frames, 56).astype(float) for points, _ in views]
        space = [joints.reshape(frames, 84).astype(float) for _, joints in views]
        path = folder / subject / f"Seq{take}" / "annot.mat"
        path.parent.mkdir(parents=True)
        arrays = {"annot2": cell(flat), "univ_annot3": cell(space), "annot3": cell([1.1 * s for s in space])}
        arrays |= {"frames": np.arange(frames, dtype=np.uint16)[:, None], "cameras": np.arange(14, dtype=np.uint8)}
        savemat(path, arrays, do_compression=take == 1)
        made[subject, take] = views
    return made


def write_3dhp_test(folder, names=TESTS_3DHP, frames=5):
    """annot_data.mat of each sequence as MATLAB 7.3 writes it, axes reversed; returns 2D px, 3D mm, valid frames."""
    import h5py

    made = {}
    for name in names:
        points, joints = pixels((name,), frames, 17), 1000 * people((name,), frames, 17, (0.2, 0.3, 3.5))
        valid = rng_of(name).random(frames) < 0.7
        (folder / name).mkdir(parents=True)
        with h5py.File(folder / name / "annot_data.mat", "w", userblock_size=512) as file:
            file["annot2"], file["univ_annot3"] = points[:, None].astype(float), joints[:, None].astype(float)
            file["annot3"], file["valid_frame"] = 1.1 * joints[:, None], valid[:, None].astype(float)
            file["activity_annotation"] = np.ones((frames, 1))
        with (folder / name / "annot_data.mat").open("r+b") as file:  # before HDF5's own beginning
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
        made[name] = points, joints, valid
    return made


def write_ski_pose(path, rows):
    """labels.h5 with the cameras that the distribution has beside the rows."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    count = len(rows["seq"])
    with h5py.File(path, "w") as file:
        for key, values in rows.items():
            file[key] = values
        file["subj"], file["cam_position"] = np.ones(count), np.zeros((count, 3))
        file["cam_intrinsic"], file["R_cam_2_world"] = np.zeros((count, 3, 3)), np.tile(np.eye(3), (count, 1, 1))
