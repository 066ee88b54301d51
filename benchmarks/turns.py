"""Time of choosing a round of regions of four sizes in turn, beside scipy's distances, which must choose the same.

What `coreset`, `diverse` and policies with regions in turn go by: distances of 20,400 candidates (240 cells, their quarters, the
quarters of those and once more), described by 64 channels each, to 8,000 labelled regions, and anew to each of 1,000 that are
chosen.

The plain implementation is what one writes first: scipy.spatial.distance.cdist to what is labelled, then to each that is chosen.

Run: python benchmarks/turns.py [--runs 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from models.features import RegionRows
from models.strategies import Candidates, build_strategy

CANDIDATES, LABELLED, CHANNELS, CHOSEN = 20_400, 8_000, 64, 1_000
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs of each, the medians of which count")
    runs = parser.parse_args().runs
    torch.set_num_threads(THREADS)
    generator = torch.Generator().manual_seed(0)
    # As hidden channels are: never negative, and spread over fewer directions than there are channels.
    directions = torch.randn(8, CHANNELS, generator=generator)
    places, labelled = (
        (torch.randn(count, 8, generator=generator) @ directions).relu() for count in (CANDIDATES, LABELLED)
    )
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(runs):
        ours, plain = (
            timed(seconds[name], partial(choose, places, labelled))
            for name, choose in (("ours", covered), ("plain", plainly))
        )
        assert ours == plain, "they chose other regions"
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    print(f"equal: {CHOSEN:,} choices; median of {runs} interleaved runs, {THREADS} threads")
    ratio = medians["plain"] / medians["ours"]
    print(f"  in turn: {medians['ours']:.2f} s, plain {medians['plain']:.2f} s: {ratio:.1f} times faster")


def timed(seconds: list[float], work: Callable[[], list[int]]) -> list[int]:
    start = time.perf_counter()
    result = work()
    seconds.append(time.perf_counter() - start)
    return result


def covered(places: Tensor, labelled: Tensor) -> list[int]:
    """The farthest each time, as the strategy does it; among regions that have no pixel in common."""
    rows = RegionRows(
        class_part_RC=places.new_zeros(len(places), 2),
        uncertainty_RU=places.new_zeros(len(places), 192),
        vectors={"embedding": places},
    )
    candidates = Candidates(count=len(places), rows=rows, labelled_embeddings_LE=labelled, wanted=CHOSEN)
    scores = build_strategy("coreset").scores(candidates, torch.Generator())
    return [int(place) for place in scores.topk(CHOSEN).indices]


def plainly(places: Tensor, labelled: Tensor) -> list[int]:
    """The same by scipy."""
    points = places.double().numpy()
    nearest: NDArray[np.float64] = cdist(points, labelled.double().numpy()).min(1)
    chosen: list[int] = []
    while len(chosen) < CHOSEN:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, cdist(points, points[chosen[-1:]])[:, 0])
    return chosen


if __name__ == "__main__":
    main()
