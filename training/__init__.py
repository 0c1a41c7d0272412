"""Data sets, recipes, metrics and evaluation. A recipe is one file with a `main`, found by name."""

PREPARED = {
    "human36m": "training.datasets.prepare_human36m:prepare",
    "mpi-inf-3dhp": "training.datasets.prepare_mpi_inf_3dhp:prepare",
    "ski-pose": "training.datasets.prepare_ski_pose:prepare",
}

RECIPES = {
    "videopose3d": "training.videopose3d:main",
    "videopose3d-h36m": "training.videopose3d_h36m:main",
    "videopose3d-semi": "training.videopose3d_semi:main",
    "rie": "training.rie:main",
    "pstmo": "training.pstmo:main",
    "motionbert": "training.motionbert:main",
}
