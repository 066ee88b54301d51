"""Whom a policy may learn from before it plays: the best fixed scores, and the sum that a search begins at."""

from functools import cache

import torch

from models.blend import Blend
from models.strategies import Strategy, build_strategy

TEACHERS = ("entropy", "bvsb", "class-balanced", "diverse")


@cache
def teachers(device: torch.device) -> tuple[Strategy, ...]:
    """Ways of asking of which in a state at hand one or the other helps more (IALE, Loeffler & Mutschler 2023)."""
    return (*(build_strategy(name) for name in TEACHERS), build_strategy("learned", Blend().to(device).eval()))
