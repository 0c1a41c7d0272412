"""Files that other programs open. One module a format, found by name, with `write(scene, path)`."""

EXPORTERS = {"npz": "exporters.npz", "csv": "exporters.csv"}
