"""Frames per second that the studio paints: one actor, 1280x720, on the processor time and on the clock.

python -m benchmarks.studio_speed [SCENE]
"""

from __future__ import annotations

import sys
import time
from statistics import median

from studio.scenes import build


def measure(name: str, frames: int = 40, repeats: int = 5) -> tuple[float, float]:
    """Medians of frames per second: wall clock, and processor time of all threads."""
    wall, processor = [], []
    for _ in range(repeats):
        pictures = build(name, duration=(frames + 1) / 30).frames()
        next(pictures)  # the empty scene is painted once, with the first picture
        begin, busy = time.perf_counter(), time.process_time()
        count = sum(1 for _ in pictures)
        wall.append(count / (time.perf_counter() - begin))
        processor.append(count / (time.process_time() - busy))
    return median(wall), median(processor)


if __name__ == "__main__":
    scene = sys.argv[1] if len(sys.argv) > 1 else "walk"
    print("| scene | frames/s, clock | frames/s, processor time |\n|---|---|---|")
    print("| {} | {:.1f} | {:.1f} |".format(scene, *measure(scene)))
