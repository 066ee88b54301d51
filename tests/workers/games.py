"""Surrogate games so small that an episode takes milliseconds."""

from functools import cache
from typing import Any

import torch

from models.fit import TrainSettings
from models.segmenter import Segmenter, build
from tests.workers.conftest import Rectangles
from workers.loop.round import LoopSettings
from workers.policy.frozen import FrozenRegions, freeze
from workers.policy.surrogate import SurrogateGame

POOL, STATE, REWARD = Rectangles(4, 1), Rectangles(2, 2), Rectangles(3, 3)
POOL_REGIONS = 4 * 12


def tiny_settings(**chosen: Any) -> LoopSettings:
    """Four pools of three candidates; cells of 16 x 16 pixels."""
    shape = {"classes": 3, "cell_height": 16, "cell_width": 16, "batch_size": 4, "pool_size": 3}
    return LoopSettings(**{**shape, "train": TrainSettings(), **chosen})


@cache
def tiny_segmenter() -> Segmenter:
    """Three classes, weights as they are drawn."""
    return build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(2)).eval()


@cache
def frozen_splits() -> tuple[FrozenRegions, FrozenRegions, FrozenRegions]:
    """The pool, D_S and D_R."""
    pool, state, reward = (freeze(tiny_segmenter(), source, tiny_settings()) for source in (POOL, STATE, REWARD))
    return pool, state, reward


def tiny_game(settings: LoopSettings | None = None, **chosen: Any) -> SurrogateGame:
    """A game on rectangles; `chosen` are a game's further arguments, or other splits."""
    pool, state, reward = frozen_splits()
    splits = {"pool": pool, "state": state, "reward": reward}
    return SurrogateGame(**{**splits, "segmenter": tiny_segmenter(), "settings": settings or tiny_settings(), **chosen})
