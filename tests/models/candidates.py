"""Candidates in numbers for any strategy: only what it declares that it needs."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.features import STATISTICS, RegionRows
from models.query_network import QueryNetwork
from models.strategies import Candidates, Strategy, build_strategy
from workers.loop.round import choose

CLASSES, STATE_REGIONS = 5, 6
WIDTHS = {"class_mass": CLASSES, "embedding": 4, "influence": 2}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def policy() -> QueryNetwork:
    return QueryNetwork(CLASSES, STATE_REGIONS, generator=seeded(1)).train()


def built(name: str) -> Strategy:
    return build_strategy(name, policy() if name == "learned" else None)


def described(
    count: int,
    *,
    statistics: frozenset[str] = frozenset(STATISTICS),
    vectors: frozenset[str] = frozenset(),
    seed: int = 0,
) -> RegionRows:
    generator = seeded(seed)
    classes = torch.rand(count, CLASSES, generator=generator).pow(4)
    return RegionRows(
        class_part_RC=classes / classes.sum(1, keepdim=True),
        uncertainty_RU=torch.rand(count, 192, generator=generator),
        statistics={name: torch.rand(count, generator=generator) for name in sorted(statistics)},
        vectors={name: torch.rand(count, WIDTHS[name], generator=generator) for name in sorted(vectors)},
    )


def candidates_for(strategy: Strategy, count: int, *, seed: int = 0) -> Candidates:
    """Only what the strategy declares that it needs."""
    generator, rows = seeded(seed + 1), None
    if strategy.needs_segmenter:
        rows = described(count, statistics=strategy.statistics, vectors=strategy.vectors, seed=seed)
    known = Candidates(count=count, rows=rows, wanted=min(3, count))
    if strategy.needs_truth:
        counts = torch.randint(0, 500, (count + 1, CLASSES), generator=generator)
        known = replace(known, truth_MC=counts[1:], labelled_counts_C=counts[0])
    if strategy.needs_gains:
        known = replace(known, gains_M=torch.randn(count, generator=generator, dtype=torch.float64))
    if strategy.needs_labelled:
        known = replace(known, labelled_embeddings_LE=torch.rand(7, WIDTHS["embedding"], generator=generator))
    if not strategy.needs_policy:
        return known
    return replace(
        known,
        actions_MA=torch.rand(count, CLASSES + 192 + 64, generator=generator),
        state_SF=torch.rand(STATE_REGIONS, CLASSES + 192, generator=generator),
    )


def chosen(scores: Tensor, candidates: Candidates) -> list[int]:
    """What is taken by these scores, as the loop takes it."""
    rng = np.random.default_rng(0)
    if candidates.pools_M is None:
        return list(choose(scores.numpy(), [1] * candidates.wanted, "global", 0.0, rng))
    return list(choose(scores.numpy(), torch.bincount(candidates.pools_M).tolist(), "per-pool", 0.0, rng))


def pools_of(*sizes: int) -> Tensor:
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
