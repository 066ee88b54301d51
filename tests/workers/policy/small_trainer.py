"""A trainer on games whose rounds take hundredths of a second, and what plays them."""

from collections.abc import Sequence
from typing import Any

import torch

from models.dqn import DQNSettings
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from tests.workers.games import frozen_game
from workers.policy.memories import LiveRound
from workers.policy.progress import Progress
from workers.policy.trainer import Trainer, TrainerSettings
from workers.training.checkpoints import Policy

DQN = DQNSettings(
    capacity=60,
    batch=6,
    gamma=0.9,
    n_step=2,
    sync_every=3,
    optimizer="adamw",
    prioritised_alpha=0.6,
    epsilon_rounds=5.0,
)


def trainer(
    games: int = 1,
    dqn: DQNSettings = DQN,
    *,
    seed: int = 11,
    twin: bool = True,
    explorer: Any = None,
    network: Policy | None = None,
    halves: bool = False,
    live: Sequence[LiveRound] = (),
    **chosen: Any,
) -> Trainer:
    """One that plays on rectangles, and on those of two classes too."""
    settings = TrainerSettings(**{"dqn": dqn, "episodes": 6, "updates_per_round": 2, "standardise": True, **chosen})
    both = [
        frozen_game(kept, seed=seed, twin=twin, influence=chosen.get("influence", 0.0) > 0, halves=halves)
        for kept in ((0, 1, 2), (2, 0))
    ]
    network = network or drawn_network(4)
    return Trainer(games=both[:games], network=network, settings=settings, seed=seed, explorer=explorer, live=live)


def drawn_network(seed: int) -> RegionwiseNetwork:
    return RegionwiseNetwork(RegionwiseSettings(width=8), torch.Generator().manual_seed(seed))


def play_episode(alone: Trainer) -> Progress:
    """All rounds of an episode; what the last one brought."""
    before = alone.episode
    while alone.episode == before:
        progress = alone.play_round()
    return progress
