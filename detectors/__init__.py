"""Image to people with 2D keypoints. One class a detector, found by name, imported when it is chosen.

A detector has `name`, `skeleton`, `weights` (names of cards), `device` (what it really runs on) and
`detect(clip, progress=None) -> list[Detections]`, one per frame. Its options are its constructor's parameters.
"""

DETECTORS = {"blazepose": "detectors.blazepose:BlazePose", "openpose": "detectors.openpose:OpenPose"}
FROM_FILES = ("openpose",)  # made as `...(keypoints=...)`; `digest(clip)` tells what they would read
