"""Games on a frozen encoder so small that a round takes hundredths of a second, and a strategy that asks for given places."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from models.frozen import FrozenSegmenter
from models.refit import RefitSettings
from models.strategies import Candidates
from models.strategies.contract import Needs
from tests.workers.conftest import Rectangles
from workers.datasets.forwarding import SomeClasses
from workers.loop.round import LoopSettings
from workers.policy.contest import Contest
from workers.policy.labelling import LabellingGame, Place
from workers.training.building import Architecture, fresh_segmenter, with_fresh_head

POOL, STATE, REWARD = Rectangles(4, 1), Rectangles(2, 2), Rectangles(3, 3)
POOL_REGIONS = 4 * 12
BUDGET = 10  # rounds of 4, 4 and 2 regions
QUICK = RefitSettings(first_steps=4, steps=2, batch=2, window=8, warm_up=1)


def frozen_loop(**chosen: Any) -> LoopSettings:
    """Four pools of three candidates; cells of 16 x 16 pixels; a head that is refitted in a few steps."""
    shape = {"classes": 3, "cell_height": 16, "cell_width": 16, "batch_size": 4, "pool_size": 3}
    return LoopSettings(**{**shape, "learning": "refit", "refit": QUICK, **chosen})


@cache
def _eye_and_projection() -> FrozenSegmenter:
    shape = Architecture(name="efficientnet-lite0", frozen=True, width=4, dropout=0.2)
    made = fresh_segmenter(shape, 3, [POOL], 2, "cpu")
    assert isinstance(made, FrozenSegmenter)
    return made


def frozen_segmenter(classes: int = 3) -> FrozenSegmenter:
    """A pretrained encoder under a fresh head, the same every time."""
    return with_fresh_head(_eye_and_projection(), 2, classes)


def frozen_place(kept: Sequence[int] = (0, 1, 2), known: bool = False) -> Place:
    """Rectangles, or those of some of their classes; with `known`, D_S is learned from as a whole."""
    images, state, reward = (SomeClasses(source, kept) for source in (POOL, STATE, REWARD))
    return Place(
        images=images,
        state=state,
        reward=reward,
        start=lambda: frozen_segmenter(len(kept)),
        known=(state,) if known else (),
    )


def frozen_halves(kept: Sequence[int] = (0, 1, 2), *, seed: int = 11, **loop: Any) -> Contest:
    """Games on halves of the rectangles, every second one with nothing known at its beginning."""
    place = frozen_place(kept, known=True)
    blank = replace(place, known=())
    settings = frozen_loop(classes=len(kept), **loop)
    return Contest(place=place, blank=blank, blank_share=0.5, settings=settings, budget=BUDGET, seed=seed)


def frozen_game(
    kept: Sequence[int] = (0, 1, 2),
    *,
    seed: int = 11,
    twin: bool = True,
    influence: bool = False,
    trials: int = 1,
    halves: bool = False,
    **loop: Any,
) -> LabellingGame:
    """A game on rectangles; `loop` goes over the settings of its rounds."""
    place, settings = frozen_place(kept), frozen_loop(classes=len(kept), **loop)
    return LabellingGame(
        place,
        settings,
        budget=BUDGET,
        seed=seed,
        twin=twin,
        influence=influence,
        trials=trials,
        halves=frozen_halves(kept, seed=seed, **loop).begin if halves else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced(Needs):
    """Asks for these places of the pools, whatever is there."""

    places: tuple[int, ...]
    name: str = "forced"

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """1 for the places, 0 for all others."""
        assert candidates.pools_M is not None
        scores_M = torch.zeros(candidates.count)
        for pool, place in enumerate(self.places[: int(candidates.pools_M.max()) + 1]):
            scores_M[(candidates.pools_M == pool).nonzero()[place]] = 1
        return scores_M
