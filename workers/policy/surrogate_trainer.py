"""Trains a policy on the surrogate game: thousands of rounds a minute's play, rewards against a twin, many updates."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.dqn import DQN, Batch, DQNSettings, NStep, PlayedRound, ReplayBuffer
from models.dqn import epsilon as epsilon_after
from models.strategies import build_strategy
from workers.chance import derived_seed, numpy_generator, torch_generator
from workers.files import StateStore
from workers.loop.round import choose
from workers.policy.surrogate import SurrogateEpisode, SurrogateGame, play
from workers.training.checkpoints import from_bytes, to_bytes

# The policy kept is the one that plays best without chance; it is tried on these games every so many episodes.
TRIALS = 3
EPISODES_PER_TRIAL = 20
# What is put away holds the replay buffers, some ten megabytes.
SAVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateSettings:
    """How a policy trains on the surrogate game (docs/method.md, 11)."""

    dqn: DQNSettings = field(default_factory=DQNSettings)
    episodes: int = 200
    budget: int = 240
    updates_per_round: int = 2
    twin: bool = True
    standardise: bool = True
    feature_dropout: float = 0.0
    feature_noise: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeReport:
    """After each episode: how it went. `area` is the mean mIoU over its rounds, in points; `trial` the greedy policy's."""

    episode: int
    area: float
    episode_return: float
    epsilon: float
    td_loss: float
    q_mean: float
    target_gap: float
    trial: float | None


class SurrogateTrainer:
    """Plays episodes and learns Q. Put away and continued between any two episodes, exactly."""

    def __init__(
        self,
        *,
        games: Sequence[SurrogateGame],
        network: nn.Module,
        settings: SurrogateSettings,
        seed: int,
        explorer: Callable[[int], nn.Module] | None = None,
    ) -> None:
        """Episodes go round the games; transitions of each are kept apart, for games may differ in their classes.

        `explorer` makes a network of weights drawn from a seed: with the chance epsilon a round is asked for by a new one,
        all regions alike, where otherwise each region is left to chance by itself. The reward is one for the round: what
        single regions bring is lost in it, what a way of asking brings is not.
        """
        self._explorer = explorer
        self.games, self.settings, self.seed = list(games), settings, seed
        self.dqn = DQN(network, settings.dqn)
        self._buffers = [ReplayBuffer(settings.dqn.capacity, settings.dqn.prioritised_alpha) for _ in games]
        self._strategy = build_strategy("learned", network)
        self.episode = self.rounds_done = 0
        self.areas: list[float] = []
        self.trials: list[float] = []
        self.best_trial = -np.inf
        self.best = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        self._reward_scale = _RunningDeviation()

    @property
    def done(self) -> bool:
        """Whether all episodes are played."""
        return self.episode >= self.settings.episodes

    def play_episode(self) -> EpisodeReport:
        """One episode with its updates, and now and then a trial of the greedy policy."""
        place = self.episode % len(self.games)
        game, buffer = self.games[place], self._buffers[place]
        seed = derived_seed(self.seed, "episode", self.episode) % 2**31
        episode = SurrogateEpisode(game, budget=self.settings.budget, seed=seed)
        returns = NStep(self.settings.dqn.n_step, self.settings.dqn.gamma, keep_pools=self.dqn.needs_pool)
        rewards, curve, updates = [], [], []
        epsilon = 0.0
        while not episode.over:
            epsilon = epsilon_after(self.rounds_done, self.settings.dqn)
            played, gain = self._round(episode, returns, buffer, epsilon)
            returns.hold(played)
            rewards.append(gain)
            curve.append(episode.miou)
            self.rounds_done += 1
            updates += self._learn(buffer)
        buffer.add(returns.finish())
        self.episode += 1
        self.areas.append(100 * float(np.mean(curve)))
        return EpisodeReport(
            episode=self.episode,
            area=self.areas[-1],
            episode_return=float(np.sum(rewards)),
            epsilon=epsilon,
            td_loss=_mean([update.loss for update in updates]),
            q_mean=_mean([update.q_mean for update in updates]),
            target_gap=_mean([update.target_gap for update in updates]),
            trial=self._try() if self.episode % EPISODES_PER_TRIAL == 0 or self.done else None,
        )

    def _round(
        self, episode: SurrogateEpisode, returns: NStep, buffer: ReplayBuffer, epsilon: float
    ) -> tuple[PlayedRound, float]:
        pools = episode.draw()
        candidates = episode.candidates(pools, self._strategy)
        assert candidates.state_SF is not None
        assert candidates.actions_MA is not None
        sizes = [len(pool) for pool in pools]
        by_pool = torch.split(candidates.actions_MA, sizes)
        buffer.add(returns.arrive(candidates.state_SF, by_pool))
        strategy, rng = self._strategy, numpy_generator(episode.seed, "epsilon", episode.round)
        if self._explorer is not None:
            if rng.random() < epsilon:
                strategy = build_strategy("learned", self._explorer(int(rng.integers(2**31))))
            epsilon = 0.0
        scores_M = strategy.scores(candidates, torch.Generator()).double().numpy()
        chosen = choose(scores_M, sizes, "per-pool", epsilon, rng)
        numbers = torch.from_numpy(np.concatenate(pools))
        twin = self._twin(episode, numbers, sizes) if self.settings.twin else None
        gain = episode.tell(numbers[torch.from_numpy(chosen)])
        reward = gain if twin is None else 100 * (episode.miou - twin)
        if self.settings.standardise:
            reward = self._reward_scale.divide(reward)
        places = tuple((chosen - np.cumsum([0, *sizes[:-1]])).tolist())
        return PlayedRound(state_SF=candidates.state_SF, pools=by_pool, chosen=places, reward=reward), gain

    def _twin(self, episode: SurrogateEpisode, numbers: Tensor, sizes: Sequence[int]) -> float:
        """mIoU after the same round with regions picked at random from the same pools, learned from in the same order."""
        rng = numpy_generator(episode.seed, "twin", episode.round)
        starts = np.cumsum([0, *sizes[:-1]])
        return episode.measured(episode.learned(numbers[torch.from_numpy(starts + rng.integers(sizes))]))

    def _learn(self, buffer: ReplayBuffer) -> list[Any]:
        dqn, updates = self.settings.dqn, []
        for number in range(self.settings.updates_per_round if len(buffer) >= dqn.batch else 0):
            rng = numpy_generator(self.seed, "replay", self.rounds_done, number)
            batch = buffer.sample(dqn.batch, rng, dqn.prioritised_beta if dqn.prioritised_alpha else 0.0)
            generator = torch_generator(self.seed, "perturb", self.rounds_done, number)
            updates.append(self.dqn.update(self._perturbed(batch, generator)))
            if dqn.prioritised_alpha:
                buffer.update_priorities(batch.index_B, updates[-1].td_error_B)
        if self.rounds_done % dqn.sync_every == 0:
            self.dqn.sync_target()
        return updates

    def _perturbed(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with noise on the actions taken and their pools, and some features hidden from all of them.

        D_T has few regions, met again and again: without this a policy learns them by heart.
        """
        dropout, noise = self.settings.feature_dropout, self.settings.feature_noise
        if not dropout and not noise:
            return batch
        kept_A = torch.rand(batch.action_BA.shape[1], generator=generator) >= dropout
        added_BA = noise * torch.randn(batch.action_BA.shape, generator=generator)
        added_BNA = noise * torch.randn(batch.pool_BNA.shape, generator=generator)
        return replace(
            batch, action_BA=batch.action_BA * kept_A + added_BA, pool_BNA=batch.pool_BNA * kept_A + added_BNA
        )

    def _try(self) -> float:
        """The mean area that the greedy policy reaches over fixed games; kept as the best where it is."""
        areas = [
            100 * float(np.mean(play(game, self._strategy, budget=self.settings.budget, seed=1_000_000 + trial)[1:]))
            for trial in range(TRIALS)
            for game in self.games
        ]
        self.trials.append(float(np.mean(areas)))
        if self.trials[-1] > self.best_trial:
            self.best_trial = self.trials[-1]
            self.best = {key: tensor.clone() for key, tensor in self.dqn.online.state_dict().items()}
        return self.trials[-1]

    def best_policy(self) -> nn.Module:
        """The network with the weights that did best in a trial, in evaluation mode."""
        self.dqn.online.load_state_dict(self.best)
        return self.dqn.online.eval()

    def tensors(self) -> dict[str, Tensor]:
        """What must be kept beside `meta`."""
        kept = {f"dqn.{key}": tensor for key, tensor in self.dqn.state_dict().items()}
        kept |= {f"best.{key}": tensor for key, tensor in self.best.items()}
        for place, buffer in enumerate(self._buffers):
            kept |= {f"buffer{place}.{key}": tensor for key, tensor in buffer.state_dict().items()}
        return kept

    def meta(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {
            "episode": self.episode,
            "rounds_done": self.rounds_done,
            "areas": self.areas,
            "trials": self.trials,
            "reward_scale": [self._reward_scale.count, self._reward_scale.squares],
        }

    def load(self, meta: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from what `meta` and `tensors` gave."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = tensor
        self.dqn.load_state_dict(parts["dqn"])
        self.best = parts["best"]
        for place, buffer in enumerate(self._buffers):
            buffer.load_state_dict(parts.get(f"buffer{place}", {}))
        self.episode, self.rounds_done = meta["episode"], meta["rounds_done"]
        self.areas, self.trials = list(meta["areas"]), list(meta["trials"])
        self.best_trial = max(self.trials, default=-np.inf)
        self._reward_scale.count, self._reward_scale.squares = meta["reward_scale"]


class _RunningDeviation:
    """Divides rewards by the root of their mean square so far: their size, whatever the data set, is about 1."""

    def __init__(self) -> None:
        self.count, self.squares = 0, 0.0

    def divide(self, reward: float) -> float:
        """Take a reward in and give it scaled."""
        self.count += 1
        self.squares += reward * reward
        return reward / max(1e-3, math.sqrt(self.squares / self.count))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def play_on(trainer: SurrogateTrainer, store: StateStore, report: Callable[[EpisodeReport], None]) -> None:
    """Play all episodes; put away every minute, and begun again where it was put away last."""
    saved = store.load()
    if saved is not None:
        checkpoint = from_bytes(saved)
        trainer.load(checkpoint.description["trainer"], checkpoint.extra)
    last_save = time.monotonic()
    while not trainer.done:
        report(trainer.play_episode())
        if time.monotonic() - last_save > SAVE_SECONDS:
            store.save(to_bytes({"trainer": trainer.meta()}, {}, trainer.tensors()))
            last_save = time.monotonic()
