"""Time of drawing K=256 candidate pools of N=100 regions: the same from a thousand images as from a hundred million.

Run: python benchmarks/pool.py [--runs 31]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from service.domain.pool import ImageGroup, Pool, Sampling

POOLS, SIZE = 256, 100
IMAGES = (10**3, 10**6, 10**8)
CELLS = (24, 128)  # CamVid's and Cityscapes' regions per image
TAKEN = (0, 20_000)
LIMIT = 1.5

Case = tuple[int, int, int]  # images, cells, taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=31, help="draws per case, the median of which is reported")
    runs = parser.parse_args().runs
    cases = [(images, cells, taken) for cells in CELLS for taken in TAKEN for images in IMAGES]
    held: list[Case] = []
    for case in cases:
        images, cells, taken = case
        if images * cells - taken >= POOLS * SIZE:
            held.append(case)
        else:
            left = max(0, images * cells - taken)
            print(f"left out: {images:,} images of {cells} regions, {taken:,} taken: {left:,} left of {POOLS * SIZE:,}")
    modes: tuple[Sampling, ...] = ("uniform", "images")
    for by in modes:
        print(f"\nby {by}, processor time, median of {runs} runs")
        report(times(held, by, runs))


def times(cases: list[Case], by: Sampling, runs: int) -> dict[Case, float]:
    """Median milliseconds of each case, of processor time in one thread (on an idle machine, the time that passes).

    The cases take turns, so that what else the machine does burdens all alike.
    """
    draws = {case: draw(*case, by) for case in cases}
    seconds: dict[Case, list[float]] = {case: [] for case in cases}
    for run in range(runs + 1):
        for case, sample in draws.items():
            start = time.process_time()
            sample()
            if run:  # the first warms up
                seconds[case].append(time.process_time() - start)
    return {case: 1000 * statistics.median(each) for case, each in seconds.items()}


def draw(images: int, cells: int, taken: int, by: Sampling) -> Callable[[], object]:
    """A function that draws once from a pool with that many regions taken, spread over all of it."""
    rng = np.random.default_rng(0)
    numbers = np.unique(rng.integers(images * cells, size=4 * taken))
    pool = Pool([ImageGroup(images=images, cells=cells)], taken=rng.permutation(numbers)[:taken])
    return lambda: pool.sample(pools=POOLS, size=SIZE, by=by, rng=rng)


def report(medians: dict[Case, float]) -> None:
    for (images, cells, taken), milliseconds in medians.items():
        print(f"{images:>12,} images of {cells:>3} regions, {taken:>6,} taken: {milliseconds:6.2f} ms")
    for cells in CELLS:
        for taken in TAKEN:
            alike = [value for case, value in medians.items() if case[1:] == (cells, taken)]
            ratio = max(alike) / min(alike)
            verdict = "within" if ratio <= LIMIT else "NOT within"
            print(f"  slowest / fastest, {cells:>3} regions, {taken:>6,} taken: {ratio:.2f}, {verdict} {LIMIT}")


if __name__ == "__main__":
    main()
