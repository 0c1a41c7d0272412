"""Data sets, recipes, metrics and evaluation. A recipe is one file with `main` and `Options`."""

PREPARED = {
    "human36m": "training.datasets.prepare_human36m:prepare",
    "mpi-inf-3dhp": "training.datasets.prepare_mpi_inf_3dhp:prepare",
    "ski-pose": "training.datasets.prepare_ski_pose:prepare",
}

RECIPES = {
    "videopose3d": "training.videopose3d",
    "videopose3d-h36m": "training.videopose3d_h36m",
    "videopose3d-semi": "training.videopose3d_semi",
    "rie": "training.rie",
    "pstmo": "training.pstmo",
    "motionbert": "training.motionbert",
    "mdvpose": "training.mdvpose",
    "pose-similarity": "training.pose_similarity",
}
