"""Games that a way of asking is judged in: some drives are asked for, mIoU is measured on others, drawn anew each time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.strategies import Strategy
from workers.chance import numpy_generator
from workers.datasets.base import ImageSource, Joined, Subset
from workers.loop.round import LoopSettings, cells_in
from workers.policy.labelling import Episode, Place

# D_T and D_R are cut into so many runs of neighbours, of which half are asked for: neighbours are often of one drive.
RUNS = 8
# Of the other half so many images at most, evenly spaced.
MEASURED = 48
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What a game went through: what was labelled, in cells, where mIoU was measured, and that mIoU in points."""

    cells: tuple[float, ...]
    mious: tuple[float, ...]

    @property
    def area(self) -> float:
        """The mean mIoU."""
        return float(np.mean(self.mious))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Games on the halves of a place's images.

    blank: the same with nothing known at the beginning, where a share of the games is played. budget: B, in regions.
    """

    place: Place
    blank: Place
    blank_share: float
    settings: LoopSettings
    budget: int
    seed: int

    def begin(self, number: int) -> Episode:
        """The game of this number, the same whoever plays it: its halves, whether anything is known, and its chance."""
        rng = numpy_generator(self.seed, "contest", number)
        place = self.blank if is_blank(number, self.blank_share) else self.place
        return Episode(halves(place, rng), self.settings, budget=self.budget, seed=int(rng.integers(2**31)))

    def play(self, strategy: Strategy, number: int, on_round: Callable[[], None] = lambda: None) -> Curve:
        """What the strategy reaches in the game of this number.

        mIoU is measured after one round, two, four, and so on, and at the end: its mean is the area over the logarithm of what
        is labelled. `on_round` is called before each round, and may raise to end the game.
        """
        game = self.begin(number)
        cells, mious = list[float](), list[float]()
        mark = float(self.settings.batch_size)
        while not game.over:
            on_round()
            game.ask(strategy, 0.0)
            game.tell(measured=False)
            if game.labelled.cells >= mark or game.over:
                cells.append(game.labelled.cells)
                mious.append(100 * game.miou)
                mark *= 2
        return Curve(cells=tuple(cells), mious=tuple(mious))


def is_blank(number: int, share: float) -> bool:
    """Whether the game of a number is among the share that begins with nothing known.

    Those are evenly spread over the numbers, rather than drawn, since there may be as few as ten; and in no rhythm, since games
    go round contests.
    """
    return (number + 1) * _GOLDEN % 1 < share


def smallest_half(place: Place, settings: LoopSettings) -> int:
    """How many cells there are to ask for at least, whichever half it is."""
    joined = Joined([place.images, place.reward])
    sizes = sorted(cells_in([_some(joined, run)], settings) for run in _runs(joined))
    return int(sum(sizes[: -(-len(sizes) // 2)]))


def halves(place: Place, rng: np.random.Generator) -> Place:
    """The place with half of the images of D_T and D_R to ask for, and those of the other half to measure on."""
    joined = Joined([place.images, place.reward])
    runs = _runs(joined)
    order = rng.permutation(len(runs))
    asked, measured = (np.sort(np.concatenate([runs[run] for run in part])) for part in np.array_split(order, 2))
    return replace(place, images=_some(joined, asked), reward=_some(joined, _spaced(measured, MEASURED)))


def _runs(joined: Joined) -> list[np.ndarray]:
    return np.array_split(np.arange(len(joined)), min(RUNS, len(joined)))


def _some(source: ImageSource, numbers: np.ndarray) -> Subset:
    return Subset(source, numbers.tolist())


def _spaced(numbers: np.ndarray, most: int) -> np.ndarray:
    return numbers if len(numbers) <= most else numbers[np.arange(most) * len(numbers) // most]
