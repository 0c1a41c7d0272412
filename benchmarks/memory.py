"""Peak resident memory of a whole run for clips of 1 and 20 minutes.

    python -m benchmarks.memory

The clips repeat the packets of one lap of a studio scene (a person walks a round, 640x360, 30 frames/s), so nothing is
encoded for them; each run is a process of its own and writes everything that a run writes by default.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from studio.scenes import build
from studio.write import write

ROOT = Path(__file__).parent.parent
LAP_S = 205 / 30  # the scene `walk`: a circle of 1.25 m radius at 1.15 m/s


def main() -> None:
    """Make the clips, run them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 20.0])
    minutes = parser.parse_args().minutes
    print("| minutes | frames | peak memory MB | ratio |\n|---|---|---|---|")
    first = 0.0
    with tempfile.TemporaryDirectory(prefix="videopose-memory-") as scratch:
        scene = Path(scratch) / "scene.mp4"
        write(build("walk", size=(640, 360), duration=LAP_S, fps=30.0), scene)
        for length in minutes:
            clip = Path(scratch) / f"clip{length:g}.mp4"
            frames = repeat(scene, clip, length * 60)
            peak = peak_memory([sys.executable, str(ROOT / "videopose.py"), str(clip), "--out", scratch, "-q"])
            first = first or peak
            print(f"| {length:g} | {frames} | {peak:.0f} | {peak / first:.2f} |", flush=True)


def repeat(source: Path, target: Path, seconds: float) -> int:
    """Write the packets of `source` again and again until `seconds` are full. Returns the number of frames."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        stream = given.streams.video[0]
        out = made.add_stream_from_template(stream)
        length, offset, count = stream.duration, 0, 0
        while offset * stream.time_base < seconds:
            given.seek(0, stream=stream)
            for packet in given.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, out
                made.mux(packet)
                count += 1
            offset += length
    return count


def peak_memory(command: list[str]) -> float:
    """Run a command and return the peak resident memory of the largest child so far, in MB. Ends where none tells."""
    try:
        import resource
    except ImportError as error:
        raise SystemExit(
            "error: this system does not tell how much memory a process used; run it on Linux or macOS"
        ) from error
    subprocess.run(command, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


if __name__ == "__main__":
    main()
