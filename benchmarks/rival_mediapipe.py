"""MediaPipe's own single-person loop, timed on request. Runs in an environment of its own (see speed.py).

Reads the name of a clip from stdin, decodes it and runs `solutions.pose` in video mode, prints the seconds it took.
"""

from __future__ import annotations

import sys
import time

import cv2
import mediapipe


def main() -> None:
    """One line in, one line out, until stdin closes."""
    for line in sys.stdin:
        with mediapipe.solutions.pose.Pose(model_complexity=1) as pose:
            _loop(pose, line.strip(), frames=1)  # loads the models
            begin = time.perf_counter()
            _loop(pose, line.strip(), frames=None)
            print(time.perf_counter() - begin, flush=True)


def _loop(pose: mediapipe.solutions.pose.Pose, path: str, frames: int | None) -> None:
    clip = cv2.VideoCapture(path)
    while frames is None or frames > 0:
        found, picture = clip.read()
        if not found:
            break
        pose.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        frames = frames - 1 if frames is not None else None


if __name__ == "__main__":
    main()
