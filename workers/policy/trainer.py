"""The trainer of policies: a DQN that learns from any Game, put away between any two rounds or games of a trial, exactly."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.dqn import DQN, Batch, DQNSettings, NStep, PlayedRound, ReplayBuffer, Update
from models.dqn import epsilon as epsilon_after
from models.strategies import Strategy, build_strategy
from workers.chance import numpy_generator, torch_generator
from workers.policy.game import Game
from workers.policy.memories import LiveRound, rows_of, transitions
from workers.policy.progress import Progress
from workers.policy.rewards import Rewards
from workers.policy.teaching import teachers
from workers.policy.trials import UNHEARD, Trying, play_trial
from workers.training.convergence import device_of

# Returns of this many episodes are averaged to tell which policy is best where none can be tried: one alone is noisy.
RETURN_WINDOW = 3
EPISODES_PER_TRIAL = 20
# Of what is put away; another version's is not gone on with.
FORMAT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSettings:
    """How a policy learns from its games (docs/method.md, 7, and docs/regionwise-policy.md).

    standardise: rewards are divided by the root of their mean square so far. influence: what a region's own influence counts in
    its reward. feature_dropout, feature_noise: in updates,
    the chance that a feature is hidden, and the deviation of what is added to features. imitate: in so many episodes, the first,
    rounds are asked for by whichever of some teachers helps most, and the network learns to choose like it too.
    """

    dqn: DQNSettings = field(default_factory=DQNSettings)
    episodes: int = 100
    updates_per_round: int = 1
    standardise: bool = False
    influence: float = 0.0
    feature_dropout: float = 0.0
    feature_noise: float = 0.0
    imitate: int = 0


class Trainer:
    """Plays episodes and learns Q. Episodes go round the games, whose transitions are kept apart: classes may differ."""

    def __init__(
        self,
        *,
        games: Sequence[Game],
        network: nn.Module,
        settings: TrainerSettings,
        seed: int,
        explorer: Callable[[int], nn.Module] | None = None,
        live: Sequence[LiveRound] = (),
    ) -> None:
        """`live`: rounds of a campaign, remembered among those of the first game once the policy plays by itself. `explorer`
        makes a network of weights drawn from a seed: with the chance epsilon a round is asked for by a new one, all regions
        alike, where otherwise each region is left to chance by itself. The reward is one for the round: what single regions
        bring is lost in it, what a way of asking brings is not.
        """
        self.games, self.settings, self.seed, self._explorer = list(games), settings, seed, explorer
        self.dqn = DQN(network, settings.dqn)
        self.buffers = [ReplayBuffer(settings.dqn.capacity, settings.dqn.prioritised_alpha) for _ in games]
        self._strategy = build_strategy("learned", network)
        self.episode = self.round_number = self.rounds_done = 0
        self.returns: list[float] = []
        self.areas: list[float] = []
        self.trials: list[float] = []
        self.best, self.best_value = self._weights(), -math.inf
        self._live = live
        self._rewards = Rewards(standardise=settings.standardise, influence=settings.influence)
        self._held = self._new_returns()
        self._gains: list[float] = []
        self._curve: list[float] = []
        # While a policy is tried: the round before, which is not told of yet, and what was reached in games of the trial.
        self._pending: Progress | None = None
        self._tried: list[float] = []

    @property
    def episodes(self) -> int:
        """Episodes in all."""
        return self.settings.episodes

    @property
    def done(self) -> bool:
        """Whether all episodes are played, and the policy is tried."""
        return self._played_all and self._pending is None

    @property
    def _played_all(self) -> bool:
        return self.episode >= self.settings.episodes

    def play_round(self, trying: Trying = UNHEARD) -> Progress:
        """One round of the current episode with its updates; at the episode's end perhaps a trial of the policy.

        Where `trying` ends the trial by raising, the next call goes on with it.
        """
        progress = self._pending or self._play()
        if self._pending is not None or (progress.ended is not None and self._trial_due):
            self._pending = progress
            progress = replace(progress, trial=self._try(trying))
            self._pending = None
        return progress

    def _play(self) -> Progress:
        place = self.episode % len(self.games)
        game, buffer = self.games[place], self.buffers[place]
        if self.round_number == 0:
            game.begin(self.episode)
        epsilon = epsilon_after(self.rounds_done, self.settings.dqn)
        shown = self.episode < self.settings.imitate
        if shown:
            epsilon, asked = 0.0, game.show(self._strategy, teachers(device_of(self.dqn.online)))
        else:
            asked = game.ask(*self._exploring(game, epsilon))
        if (self.episode, self.round_number) == (self.settings.imitate, 0):  # not before: what is shown is imitated
            rows = rows_of(self.dqn.online)
            self.buffers[0].add(transitions(self._live, asked, rows, self._new_returns, self._rewards.of_live))
        buffer.add(self._held.arrive(asked.state_SF, asked.pools))
        told = game.tell()
        rewards = self._rewards.of(told, len(asked.chosen))
        self._held.hold(PlayedRound(state_SF=asked.state_SF, pools=asked.pools, chosen=asked.chosen, rewards=rewards))
        self._gains.append(told.gain)
        self._curve.append(game.miou)
        episode, number, over = self.episode, self.round_number, game.over
        if over:
            buffer.add(self._held.finish())
        self.round_number, self.rounds_done = number + 1, self.rounds_done + 1
        updates = self.learn(buffer, self.rounds_done - 1, imitate=float(shown))
        ended = self._end_episode() if over else None
        return Progress(
            episode=episode,
            round_number=number,
            rounds_done=self.rounds_done,
            done=(self.episode + min(1.0, self.round_number / game.rounds)) / self.settings.episodes,
            epsilon=epsilon,
            reward=told.gain,
            miou=game.miou,
            loss=_mean([update.loss for update in updates]),
            mean_q=_mean([update.q_mean for update in updates]),
            target_gap=_mean([update.target_gap for update in updates]),
            ended=ended,
            trial=None,
        )

    def _exploring(self, game: Game, epsilon: float) -> tuple[Strategy, float]:
        """Who asks for the round, and with which chance each region is left to chance by itself."""
        if self._explorer is None:
            return self._strategy, epsilon
        rng = numpy_generator(game.seed_of_episode, "epsilon", game.round)
        if rng.random() < epsilon:
            return build_strategy("learned", self._explorer(int(rng.integers(2**31)))), 0.0
        return self._strategy, 0.0

    def learn(self, buffer: ReplayBuffer, number: int, *, imitate: float = 0.0) -> list[Update]:
        """The updates of a round, drawn by its number, and now and then a new target network."""
        dqn, updates = self.settings.dqn, []
        for update in range(self.settings.updates_per_round if len(buffer) >= dqn.batch else 0):
            rng = numpy_generator(self.seed, "replay", number, update)
            batch = buffer.sample(dqn.batch, rng, dqn.prioritised_beta if dqn.prioritised_alpha else 0.0)
            generator = torch_generator(self.seed, "perturb", number, update)
            updates.append(self.dqn.update(self._perturbed(batch, generator), imitate=imitate))
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
        kept_A, added_BA, added_BNA = (each.to(batch.action_BA.device) for each in (kept_A, added_BA, added_BNA))
        return replace(
            batch, action_BA=batch.action_BA * kept_A + added_BA, pool_BNA=batch.pool_BNA * kept_A + added_BNA
        )

    def _end_episode(self) -> tuple[float, float]:
        self.returns.append(float(sum(self._gains)))
        self.areas.append(100 * float(np.mean(self._curve)))
        self.episode, self.round_number = self.episode + 1, 0
        self._held, self._gains, self._curve = self._new_returns(), [], []
        if not self._can_try:
            enough = len(self.returns) >= min(RETURN_WINDOW, self.settings.episodes)
            recent = float(np.mean(self.returns[-RETURN_WINDOW:]))
            self._keep_if_best(recent if enough else -math.inf, or_as_good=True)
        return self.returns[-1], self.areas[-1]

    @property
    def _trial_due(self) -> bool:
        return self._can_try and (self.episode % EPISODES_PER_TRIAL == 0 or self._played_all)

    def _try(self, trying: Trying) -> float:
        """The mean area that the policy reaches without chance over fixed games; kept as the best where it is."""
        self.trials.append(play_trial(self.games, self._strategy, self._tried, trying))
        self._tried = []
        self._keep_if_best(self.trials[-1], or_as_good=False)
        return self.trials[-1]

    def _keep_if_best(self, value: float, *, or_as_good: bool) -> None:
        if value > self.best_value or (or_as_good and math.isfinite(value) and value == self.best_value):
            self.best, self.best_value = self._weights(), value

    @property
    def _can_try(self) -> bool:
        return self.games[0].trials > 0

    def best_policy(self) -> nn.Module:
        """The network with the weights that did best, in evaluation mode: in a trial, or by the mean of the last returns."""
        self.dqn.online.load_state_dict(self.best)
        return self.dqn.online.eval()

    def summary(self) -> dict[str, Any]:
        """How the episodes went, for a checkpoint's description."""
        if self._can_try:
            return {"returns": self.areas, "trials": self.trials}
        return {"returns": self.returns, "best_mean_return": self.best_value}

    def _weights(self) -> dict[str, Tensor]:
        return {key: tensor.clone() for key, tensor in self.dqn.online.state_dict().items()}

    def _new_returns(self) -> NStep:
        keep_pools = self.dqn.needs_pool or self.settings.imitate > 0
        return NStep(self.settings.dqn.n_step, self.settings.dqn.gamma, keep_pools=keep_pools)

    def tensors(self) -> dict[str, Tensor]:
        """What must be kept beside `meta`."""
        parts: dict[str, Mapping[str, Tensor]] = {"dqn": self.dqn.state_dict(), "best": self.best}
        parts |= {f"buffer{place}": buffer.state_dict() for place, buffer in enumerate(self.buffers)}
        if self.round_number:
            parts |= {"held": self._held.state_dict(), "game": self.games[self.episode % len(self.games)].tensors()}
        return {f"{part}.{key}": tensor for part, tensors in parts.items() for key, tensor in tensors.items()}

    def meta(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        best = self.best_value if math.isfinite(self.best_value) else None
        meta = {"format": FORMAT, **numbers, "best_value": best, "rewards": self._rewards.meta()}
        if self.round_number:
            meta |= {"held": self._held.meta(), "gains": self._gains, "curve": self._curve}
            meta |= {"game": self.games[self.episode % len(self.games)].meta()}
        if self._pending is not None:
            meta |= {"pending": asdict(self._pending), "tried": list(self._tried)}
        return meta

    def is_at(self, meta: Mapping[str, Any]) -> bool:
        """Whether the training is where it was when it gave `meta`."""
        tried = len(self._tried) if self._pending else None
        return (self.rounds_done, tried) == (meta["rounds_done"], len(meta["tried"]) if "pending" in meta else None)

    def load(self, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `meta` and `tensors` gave."""
        device = device_of(self.dqn.online)
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = tensor.to(device)
        self.dqn.load_state_dict(parts["dqn"])
        for place, buffer in enumerate(self.buffers):
            buffer.load_state_dict(parts.get(f"buffer{place}", {}))
        for name in _NUMBERS:
            setattr(self, name, meta[name])
        self.best, self.best_value = parts["best"], -math.inf if meta["best_value"] is None else meta["best_value"]
        self._rewards.load(meta["rewards"])
        self._held, self._gains, self._curve = self._new_returns(), [], []
        pending, self._tried = meta.get("pending"), list(meta.get("tried", ()))
        self._pending = None if pending is None else Progress(**{**pending, "ended": tuple(pending["ended"])})
        if self.round_number:
            self._held.load_state_dict(parts.get("held", {}), meta["held"])
            self._gains, self._curve = list(meta["gains"]), list(meta["curve"])
            game = self.games[self.episode % len(self.games)]
            game.load(self.episode, meta["game"], parts.get("game", {}))


_NUMBERS = ("episode", "round_number", "rounds_done", "returns", "areas", "trials")


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
