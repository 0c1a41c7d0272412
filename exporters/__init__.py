"""Files and folders that other programs open. One module a format, found by name, with `write(scene, path)`."""

EXPORTERS = {
    "npz": "exporters.npz",
    "csv": "exporters.csv",
    "alphapose": "exporters.alphapose",
    "openpose": "exporters.openpose",
    "coco": "exporters.coco",
}
