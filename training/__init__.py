"""Data sets, recipes, metrics and evaluation. A recipe is one file with a `main`, found by name."""

RECIPES = {
    "videopose3d": "training.videopose3d:main",
    "videopose3d-h36m": "training.videopose3d_h36m:main",
    "videopose3d-semi": "training.videopose3d_semi:main",
    "rie": "training.rie:main",
    "pstmo": "training.pstmo:main",
    "motionbert": "training.motionbert:main",
}
