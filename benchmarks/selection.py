"""Time of one selection step at CamVid's evaluation size, beside a plain implementation of the same that it must equal.

From the logits of 22 images (11 classes, 360 x 480) to the state rows of 240 regions, all cells of 10 images, and the
action rows of 240 candidates among the 288 cells of the other 12, against 1,000 labelled regions.

The plain implementation is what one writes first: softmax and argmax in one pass over each image, entropy in another;
then for each region numpy.unique and torch's adaptive pooling; then for each candidate one call of scipy.stats.entropy
for all its pairs (one call a pair would be fifty times slower) and one of numpy.histogram.

Run: python benchmarks/selection.py [--runs 9]
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.features import action_rows, region_rows, state_rows
from models.similarity import BINS, EPSILON, bin_edges
from models.uncertainty import pixel_maps

CLASSES, HEIGHT, WIDTH = 11, 360, 480
CELL_HEIGHT, CELL_WIDTH = 90, 80
STATE_IMAGES, POOL_IMAGES = 10, 12
STATE_REGIONS = CANDIDATES = 240
LABELLED = 1_000
THREADS = 2
GOAL_IN_ALL, GOAL_FROM_MAPS = 6, 20

# The two round differently. Entropies are compared to 1e-5. A pixel whose two likeliest classes differ by less than
# rounding may change its class, and a divergence that lies that close to a bin's edge may change its bin.
ENTROPY_TOLERANCE = 1e-5
PIXELS_MOVED = 2
COUNTS_MOVED = 5

Rows = tuple[Tensor, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="interleaved runs of each, the medians of which count")
    runs = parser.parse_args().runs
    torch.set_num_threads(THREADS)
    logits, boxes, labelled = scene(torch.Generator().manual_seed(0))
    maps, plain = pixel_maps(logits, ("entropy", "classes")), plain_maps(logits)
    compare(rows(maps, boxes, labelled), plain_rows(*plain, boxes, labelled))
    report(
        interleaved(
            {
                "maps": lambda: pixel_maps(logits, ("entropy", "classes")),
                "plain maps": lambda: plain_maps(logits),
                "plain maps by max": lambda: plain_maps(logits, by_max=True),
                "rows": lambda: rows(maps, boxes, labelled),
                "plain rows": lambda: plain_rows(*plain, boxes, labelled),
            },
            runs,
        ),
        runs,
    )


def scene(generator: torch.Generator) -> tuple[Tensor, list[Tensor], Tensor]:
    """Logits in blobs of the size of things, upsampled four times as the segmenter's are; boxes; labelled regions."""
    coarse = torch.randn(STATE_IMAGES + POOL_IMAGES, CLASSES, 12, 16, generator=generator)
    fine = torch.randn(STATE_IMAGES + POOL_IMAGES, CLASSES, HEIGHT // 4, WIDTH // 4, generator=generator)
    small = 3 * F.interpolate(coarse, size=fine.shape[2:], mode="bilinear") + fine
    logits = F.interpolate(small, size=(HEIGHT, WIDTH), mode="bilinear")
    tops, lefts = range(0, HEIGHT, CELL_HEIGHT), range(0, WIDTH, CELL_WIDTH)
    cells = torch.tensor([(top, left, CELL_HEIGHT, CELL_WIDTH) for top in tops for left in lefts])
    drawn = torch.randperm(POOL_IMAGES * len(cells), generator=generator)[:CANDIDATES].sort().values
    candidates = [cells[drawn[drawn // len(cells) == image] % len(cells)] for image in range(POOL_IMAGES)]
    blobs = torch.rand(LABELLED, CLASSES, generator=generator).pow(8)
    return logits, [cells] * STATE_IMAGES + candidates, blobs / blobs.sum(1, keepdim=True)


def rows(maps: dict[str, Tensor], boxes: list[Tensor], labelled: Tensor) -> Rows:
    """State and action rows as the service and the simulation compute them."""
    regions = region_rows(maps, boxes, class_count=CLASSES)
    return state_rows(regions[:STATE_REGIONS]), action_rows(regions[STATE_REGIONS:], labelled)


def plain_maps(logits: Tensor, *, by_max: bool = False) -> tuple[Tensor, Tensor]:
    """Entropy and classes, an image at a time. Torch's max(1) finds the same classes much faster than its argmax(1)."""
    entropies, classes = [], []
    for image in logits.split(1):
        probabilities = image.softmax(1)
        classes.append(probabilities.max(1).indices if by_max else probabilities.argmax(1))
        entropies.append(-(probabilities * probabilities.clamp_min(1e-12).log()).sum(1) / math.log(CLASSES))
    return torch.cat(entropies), torch.cat(classes)


def plain_rows(entropy: Tensor, classes: Tensor, boxes: list[Tensor], labelled: Tensor) -> Rows:
    """State and action rows, region by region."""
    regions = [
        plain_region(
            entropy[image, top : top + height, left : left + width],
            classes[image, top : top + height, left : left + width],
        )
        for image, cells in enumerate(boxes)
        for top, left, height, width in cells.tolist()
    ]
    histograms = np.stack([histogram for histogram, _ in regions])
    table = torch.cat([torch.from_numpy(histograms).float(), torch.stack([pooled for _, pooled in regions])], 1)
    return table[:STATE_REGIONS], torch.cat(
        [table[STATE_REGIONS:], plain_similarity(histograms[STATE_REGIONS:], labelled)], 1
    )


def plain_region(entropy: Tensor, classes: Tensor) -> tuple[NDArray[np.float64], Tensor]:
    """The class part and the uncertainty part of one region."""
    present, counts = np.unique(classes.numpy(), return_counts=True)
    histogram = np.zeros(CLASSES)
    histogram[present] = counts / counts.sum()
    one = entropy[None, None]
    pools = (-F.adaptive_max_pool2d(-one, 8), F.adaptive_avg_pool2d(one, 8), F.adaptive_max_pool2d(one, 8))
    return histogram, torch.cat([pool.flatten() for pool in pools])


def plain_similarity(candidates: NDArray[np.float64], labelled: Tensor) -> Tensor:
    """Both similarity parts, candidate by candidate; scipy normalises what is smoothed."""
    smoothed, references = candidates + EPSILON, (labelled.double().numpy() + EPSILON).T
    edges = bin_edges().numpy()
    parts = []
    for number, candidate in enumerate(smoothed):
        to_labelled = scipy.stats.entropy(candidate[:, None], references)
        to_others = scipy.stats.entropy(candidate[:, None], np.delete(smoothed, number, axis=0).T)
        histograms = [np.histogram(each.clip(min=0), edges)[0] / len(each) for each in (to_labelled, to_others)]
        parts.append(np.concatenate(histograms))
    return torch.from_numpy(np.stack(parts)).float()


def compare(fast: Rows, plain: Rows) -> None:
    """Raise AssertionError unless both give the same rows, but for the stated rounding."""
    parts = CLASSES + 3 * 64
    pixels = counts = 0.0
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours[:, CLASSES:parts], theirs[:, CLASSES:parts], rtol=0, atol=ENTROPY_TOLERANCE)
        pixels = max(pixels, moved(ours[:, :CLASSES], theirs[:, :CLASSES], CELL_HEIGHT * CELL_WIDTH))
    for first, total in ((parts, LABELLED), (parts + BINS, CANDIDATES - 1)):
        counts = max(counts, moved(fast[1][:, first : first + BINS], plain[1][:, first : first + BINS], total))
    assert pixels <= PIXELS_MOVED, f"{pixels:.0f} pixels of a region changed class"
    assert counts <= COUNTS_MOVED, f"{counts:.0f} divergences of a candidate changed bin"
    print(
        f"equal: entropies to {ENTROPY_TOLERANCE:g}; counted otherwise are at most {pixels:.0f} of a region's"
        f" {CELL_HEIGHT * CELL_WIDTH:,} pixels and {counts:.0f} of a candidate's {LABELLED + CANDIDATES - 1:,} divergences"
    )


def moved(ours: Tensor, theirs: Tensor, total: int) -> float:
    """The largest number of things that one histogram, of `total` things, counts elsewhere than the other."""
    return round(float((ours - theirs).abs().sum(1).max()) * total / 2)


def interleaved(cases: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median seconds of each case; the cases take turns, so that a busy machine burdens all alike.

    Before each there is a pause, in which threads that the case before kept spinning fall asleep.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(runs + 1):
        for name, case in cases.items():
            time.sleep(0.03)
            start = time.perf_counter()
            case()
            if run:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def report(medians: dict[str, float], runs: int) -> None:
    print(f"median of {runs} interleaved runs, {THREADS} threads")
    ours, plain, tuned = (medians[name] for name in ("maps", "plain maps", "plain maps by max"))
    print(f"  entropy and class maps: {1000 * ours:6.1f} ms, plain {1000 * plain:7.1f} ms")
    parts = (("from the maps on", 0.0, 0.0, GOAL_FROM_MAPS), ("in all", ours, plain, GOAL_IN_ALL))
    for name, ours_before, plain_before, goal in parts:
        seconds, plain_seconds = ours_before + medians["rows"], plain_before + medians["plain rows"]
        ratio = plain_seconds / seconds
        print(
            f"  {name + ':':<23} {1000 * seconds:6.1f} ms, plain {1000 * plain_seconds:7.1f} ms: {ratio:4.1f} times faster,"
            f" the goal of {goal} is {'reached' if ratio >= goal else 'NOT reached'}"
        )
    ratio = (tuned + medians["plain rows"]) / (ours + medians["rows"])
    print(
        f"  beside a plain implementation that knows of max(1), {1000 * tuned:.1f} ms for its maps: {ratio:.1f} times in all"
    )


if __name__ == "__main__":
    main()
