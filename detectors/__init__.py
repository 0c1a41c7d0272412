"""Image to people with 2D keypoints. One class a detector, found by name, imported when it is chosen.

A detector class has
    name        as in the table
    packages    distributions that it needs beside the base install, and `install`, the line that installs them
    uses(...)   class method: names of weight cards (str) and files of the user's (Path) that its choices lead to;
                raises MissingError for --device cuda where none can be used, so before any weights are fetched
and is made with its choices: the parameters of its constructor, of which the command line gives those that it has
(`keypoints`, `model`, `detector_weights`, `device`). What is made has
    skeleton    name in pipeline.skeletons (of a detector that reads files: of the last clip)
    device      what it really runs on
    detect(clip, progress=None) -> list[Detections], one per frame of the clip
Those in `FROM_FILES` run no network but read `keypoints`; `place(clip)` tells from which file or folder, `digest(clip)`
what they would read there. Detectors that work person by person also have `poses(frames, boxes) -> list[Detections]`:
the pose in each of the boxes.
"""

DETECTORS = {
    "blazepose": "detectors.blazepose:BlazePose",
    "mediapipe": "detectors.mediapipe:MediaPipe",
    "mmpose": "detectors.mmpose:MMPose",
    "openpose": "detectors.openpose:OpenPose",
    "rtmpose": "detectors.rtmpose:RTMPose",
    "rtmo": "detectors.rtmo:RTMO",
    "alphapose": "detectors.alphapose:AlphaPose",
    "halpe": "detectors.alphapose:Halpe",
    "coco": "detectors.alphapose:Coco",
    "npz": "detectors.npz:Npz",
    "yolo": "detectors.yolo:YOLO",
    "torchvision": "detectors.torchvision:KeypointRCNN",
}
FROM_FILES = ("openpose", "alphapose", "halpe", "coco", "npz")
