"""Time of drawing one synthetic street scene at 480 x 360 on one core, image and label map together.

Run: python benchmarks/streets.py [--scenes 100] [--runs 3]
"""

import argparse
import statistics
import time

from workers.datasets.streets import STYLES, Streets

LIMIT = 30.0  # milliseconds an image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=100, help="scenes of each style")
    parser.add_argument("--runs", type=int, default=3, help="turns, the fastest of which counts for each scene")
    arguments = parser.parse_args()
    for style in STYLES:
        start = time.perf_counter()
        draw(style, 24)  # the first scenes of a process grow the trees and textures that all share
        warm = time.perf_counter() - start
        turns = [draw(style, arguments.scenes) for _ in range(arguments.runs)]
        best = [1000 * min(times) for times in zip(*turns, strict=True)]
        mean, middle = statistics.mean(best), statistics.median(best)
        verdict = "within" if mean <= LIMIT else "NOT within"
        print(
            f"{style:>5}: mean {mean:.1f}, median {middle:.1f}, slowest {max(best):.1f} ms a scene, "
            f"{verdict} {LIMIT:.0f}; first 24 scenes {warm:.2f} s"
        )


def draw(style: str, scenes: int) -> list[float]:
    """Seconds of processor time for each scene, so that a busy machine counts less."""
    streets, seconds = Streets(scenes, 0, 360, 480, style), []
    for number in range(scenes):
        start = time.process_time()
        streets.image(number)
        seconds.append(time.process_time() - start)
    return seconds


if __name__ == "__main__":
    main()
