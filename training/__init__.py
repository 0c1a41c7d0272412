"""Data sets, recipes, metrics and evaluation. A recipe is one file with a `main`, found by name."""

RECIPES = {
    "videopose3d": "training.videopose3d:main",
    "rie": "training.rie:main",
}
