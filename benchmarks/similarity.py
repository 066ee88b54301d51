"""Time and memory of kl_histogram at the size of one Cityscapes round: 25,600 candidates to each other, 19 classes.

Beside it: the bare matrix product it contains, in one piece (2.6 GB), and a loop of scipy.stats.entropy over the
candidates, one call for all pairs of each, measured at a smaller size and grown quadratically.

Run: python benchmarks/similarity.py [--runs 5] [--plain 1600]
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from models.similarity import BINS, EPSILON, bin_edges, kl_histogram

REGIONS, CLASSES = 25_600, 19
THREADS = 2
GOAL_SECONDS, GOAL_BYTES = 10, 2**30
COUNTS_MOVED = 0.002  # of a candidate's divergences, those so near an edge that float32 may put them beyond it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs, the median of which is reported")
    parser.add_argument("--plain", type=int, default=1_600, help="regions that the scipy loop compares with each other")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    regions = distributions(REGIONS, torch.Generator().manual_seed(0))
    seconds, extra = timed_with_memory(lambda: kl_histogram(regions, regions, leave_self_out=True), arguments.runs)
    verdict = "reached" if seconds < GOAL_SECONDS and extra < GOAL_BYTES else "NOT reached"
    print(
        f"{REGIONS:,} candidates to each other, {CLASSES} classes, {THREADS} threads, median of {arguments.runs} runs"
    )
    print(
        f"  kl_histogram:    {seconds:7.2f} s, {extra / 2**20:,.0f} MiB more at its peak:"
        f" the goal of {GOAL_SECONDS} s and {GOAL_BYTES / 2**20:,.0f} MiB is {verdict}"
    )
    product, _ = timed_with_memory(lambda: regions @ regions.T, min(arguments.runs, 3))
    print(f"  bare product:    {product:7.2f} s, in one piece of {4 * REGIONS**2 / 2**20:,.0f} MiB")
    some = regions[: arguments.plain]
    plain, _ = timed_with_memory(lambda: compare(kl_histogram(some, some), plain_histograms(some)), 1)
    grown = plain * (REGIONS / len(some)) ** 2
    print(
        f"  loop over scipy: {grown:7.0f} s, grown from {plain:.2f} s for {len(some):,}: {grown / seconds:,.0f} times slower"
    )


def distributions(count: int, generator: torch.Generator) -> Tensor:
    """Class histograms of regions, most of them made of a few classes; many classes are absent altogether."""
    shares = torch.rand(count, CLASSES, generator=generator).pow(12)
    pixels = (128 * 128 * shares / shares.sum(1, keepdim=True)).floor()
    return pixels / pixels.sum(1, keepdim=True)


def timed_with_memory(work: Callable[[], object], runs: int) -> tuple[float, int]:
    """Median seconds, and bytes by which the process's peak exceeds what it held before (at most that, on Linux)."""
    held = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held


def plain_histograms(regions: Tensor) -> Tensor:
    smoothed, edges = regions.double().numpy() + EPSILON, bin_edges().numpy()
    divergences = (scipy.stats.entropy(one[:, None], smoothed.T).clip(min=0) for one in smoothed)
    return torch.from_numpy(np.stack([np.histogram(each, edges)[0] / len(each) for each in divergences]))


def compare(ours: Tensor, plain: Tensor) -> None:
    """Raise AssertionError unless both put all but the stated share of a candidate's divergences into the same bins."""
    moved = float((ours - plain).abs().sum(1).max()) / 2
    assert ours.shape[1] == BINS
    assert moved <= COUNTS_MOVED, f"{moved:.2%} of a candidate's divergences changed bin"


if __name__ == "__main__":
    main()
