"""What a round is made of: its settings, the proposal, its result, and the choice among scored candidates."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit import TrainSettings
from models.refit import RefitSettings
from models.strategies.turns import Turns
from service.domain.costs import DrawingCost
from service.domain.pool import ImageGroup
from service.domain.regions import Box, Grid
from workers.datasets.base import ImageSource

# Shapes: K chosen regions, M candidates, N candidates of one pool, S regions of D_S, F state features, A action features,
# C classes.


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """What a round does; the defaults are the paper's for CamVid."""

    classes: int
    cell_height: int = 90
    cell_width: int = 80
    batch_size: int = 24
    levels: int = 1
    cost: DrawingCost | None = None  # of candidates of several sizes; none: their pixels
    pool_size: int = 10
    sampling: Literal["uniform", "images"] = "images"
    protocol: Literal["per-pool", "global"] = "per-pool"
    learning: Literal["pass", "refit"] = "pass"
    passes: int = 1
    train: TrainSettings = field(default_factory=TrainSettings)
    refit: RefitSettings = field(default_factory=RefitSettings)
    finer: bool = False  # whether a refitted head goes over to finer features where labels show that they are better

    def grid(self, size: tuple[int, int]) -> Grid:
        """The region grid of an image of (height, width)."""
        return Grid.over(*size, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedRegion:
    """A region that the strategy chose. `prediction` holds class indices where a segmenter has looked at it."""

    number: int
    image: int
    cell: int
    box: Box
    score: float
    share: float = 1.0  # its size in cells
    prediction: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Regions to label, and the state and action rows behind the choice (None where no policy looks at them).

    `candidates[k]` holds the numbers of the regions of the k-th candidate pool, `actions[k]` their (N, A) rows, `chosen[k]` the
    row picked from it. `class_shares_C`: of the candidates' pixels, those that each class is predicted for, where that is
    wished and the strategy looked at them.
    """

    round_number: int
    strategy: str
    regions: tuple[ProposedRegion, ...]
    candidates: tuple[NDArray[np.int64], ...] = ()
    class_shares_C: NDArray[np.float64] | None = None
    state_SF: Tensor | None = None
    actions: tuple[Tensor, ...] = ()
    chosen: tuple[int, ...] = ()
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """What a round's labels did. mIoU is measured on D_R, in [0, 1]; the reward in points of mIoU."""

    round_number: int
    miou_before: float | None
    miou_after: float | None
    reward: float | None
    fell: bool = False  # whether mIoU fell by more than its noise
    iou_per_class: NDArray[np.float64] | None
    class_counts: NDArray[np.int64]
    loss: float | None
    seconds: dict[str, float]
    said: str = ""  # of how it is learned from now on


def groups_of(source: ImageSource, settings: LoopSettings) -> list[ImageGroup]:
    """The source's images in runs of one size: what its pool is made of."""
    groups: list[tuple[tuple[int, int], int]] = []
    for number in range(len(source)):
        size = source.size(number)
        if groups and groups[-1][0] == size:
            groups[-1] = (size, groups[-1][1] + 1)
        else:
            groups.append((size, 1))
    return [group_of(count, settings.grid(size)) for size, count in groups]


def cells_in(sources: Sequence[ImageSource], settings: LoopSettings) -> float:
    """What images that are labelled as a whole hold, in cells."""
    groups = [group for source in sources for group in groups_of(source, replace(settings, levels=1))]
    return float(sum(group.images * group.cells for group in groups))


def group_of(images: int, grid: Grid) -> ImageGroup:
    """So many images that are divided like this."""
    return ImageGroup(images=images, cells=grid.cells.size, depths=tuple(grid.depths().tolist()))


def choose(
    scores_M: NDArray[np.float64],
    sizes: Sequence[int],
    protocol: Literal["per-pool", "global"],
    epsilon: float,
    rng: np.random.Generator,
    spans_M2: NDArray[np.int64] | None = None,
    cell: int = 1,
) -> NDArray[np.int64]:
    """Places in `scores_M` of the chosen candidates: the best of each pool (epsilon-greedy, each on its own), or the best K.

    Of regions of several sizes, given as `spans_M2` in units of which a cell has `cell`, as many of a pool as a cell has room
    for, or K cells have, none of which overlap. Equal scores: the first, and candidates come in random order.
    """
    if not len(scores_M):
        return np.zeros(0, np.int64)
    if protocol == "global" and spans_M2 is None:
        return np.argsort(-scores_M, kind="stable")[: len(sizes)]
    firsts = np.cumsum([0, *sizes[:-1]])
    if protocol == "per-pool":
        explore, random = rng.random(len(sizes)) < epsilon, rng.integers(sizes)
        if spans_M2 is None:
            ends = zip(firsts, sizes, strict=True)
            best = np.array([np.argmax(scores_M[first : first + size]) for first, size in ends])
            return np.asarray(firsts + np.where(explore, random, best), np.int64)
        chance_M = np.repeat(explore, sizes)
        scores_M = np.where(chance_M, rng.random(len(scores_M)), scores_M)
    pools_M = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    assert spans_M2 is not None
    turns = Turns(torch.from_numpy(spans_M2), cell, pools_M if protocol == "per-pool" else None, len(sizes))
    while len(open_m := turns.open.numpy()):
        turns.take(int(open_m[np.argmax(scores_M[open_m])]))
    return np.array(turns.chosen, np.int64)


@contextmanager
def timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    """Add to a phase the seconds that pass inside."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
