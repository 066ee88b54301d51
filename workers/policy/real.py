"""The game on D_T that trains a policy: rounds of ask, oracle and tell, and DQN updates from what they brought."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.dqn import DQN, DQNSettings, ReplayBuffer, Transition
from models.dqn import epsilon as epsilon_after
from models.query_network import QueryNetwork
from models.segmenter import Segmenter
from models.strategies import build_strategy
from service.domain.pool import Pool
from workers.chance import numpy_generator, torch_generator
from workers.datasets.base import ImageSource
from workers.loop import ActiveLearner
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings, Proposal, groups_of
from workers.training.convergence import device_of

# Returns of this many episodes are averaged to tell which policy is best: a single one is noisy.
RETURN_WINDOW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeSettings:
    """How the policy's game is played (docs/method.md, 7)."""

    loop: LoopSettings
    dqn: DQNSettings = field(default_factory=DQNSettings)
    episodes: int = 100
    budget: int = 480
    updates_per_round: int = 1

    @property
    def rounds(self) -> int:
        """Rounds of one episode."""
        return -(-self.budget // self.loop.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProgress:
    """After each round: where the training is, and how it goes."""

    episode: int
    round_number: int
    rounds_done: int
    rounds_total: int
    epsilon: float
    reward: float
    miou: float
    loss: float | None
    mean_q: float | None
    returns: tuple[float, ...]
    target_gap: float | None = None


class PolicyTrainer:
    """Plays episodes on D_T from theta_pre and learns Q. Put away and continued between any two rounds, exactly."""

    def __init__(
        self,
        *,
        start: Callable[[], Segmenter],
        images: ImageSource,
        state: ImageSource,
        reward: ImageSource,
        settings: EpisodeSettings,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        """`start` gives a fresh copy of theta_pre; `images` are D_T with their label maps."""
        self._start, self._images, self._state, self._reward = start, images, state, reward
        self.settings, self.seed = settings, seed
        regions = sum(group.images * group.cells for group in groups_of(state, settings.loop))
        online = QueryNetwork(settings.loop.classes, regions, generator=torch_generator(seed, "policy")).to(device)
        self.dqn = DQN(online, settings.dqn)
        self.buffer = ReplayBuffer(settings.dqn.capacity)
        self.best = {key: tensor.clone() for key, tensor in online.state_dict().items()}
        self.best_return = -np.inf
        self.returns: list[float] = []
        self.episode = self.round_number = self.rounds_done = 0
        self._episode_rewards: list[float] = []
        self._answers: list[Answer] = []
        self._pending: tuple[Proposal, float] | None = None
        self._active: ActiveLearner | None = None
        self._oracle = Oracle(images)

    @property
    def done(self) -> bool:
        """Whether all episodes are played."""
        return self.episode >= self.settings.episodes

    def best_policy(self) -> QueryNetwork:
        """The policy whose mean episode return was highest, in evaluation mode."""
        online = self.dqn.online
        policy = QueryNetwork(online.classes, online.state_regions).to(device_of(online))
        policy.load_state_dict(self.best)
        return policy.eval()

    def play_round(self) -> PolicyProgress:
        """One round of the current episode, with its DQN updates."""
        active = self._active or self._new_active()
        number = self.round_number
        left = self.settings.budget - active.labelled.regions
        epsilon = epsilon_after(self.rounds_done, self.settings.dqn)
        proposal = active.ask(
            min(left, self.settings.loop.batch_size), round_number=number, epsilon=epsilon, keep_rows=True
        )
        if self._pending is not None:
            self._remember(*self._pending, following=proposal)
        answers = self._oracle.answer(proposal)
        result = active.tell(answers, round_number=number)
        assert result.reward is not None
        assert result.miou_after is not None
        self._answers.extend(answers)
        self._pending = (proposal, result.reward)
        self._episode_rewards.append(result.reward)
        last = active.labelled.regions >= self.settings.budget or active.pool.left == 0
        if last:
            self._remember(*self._pending, following=None)
        loss, mean_q, target_gap = self._learn()
        self.round_number += 1
        self.rounds_done += 1
        if last:
            self._end_episode()
        return PolicyProgress(
            episode=self.episode - last,
            round_number=number,
            rounds_done=self.rounds_done,
            rounds_total=self.settings.episodes * self.settings.rounds,
            epsilon=epsilon,
            reward=result.reward,
            miou=result.miou_after,
            loss=loss,
            mean_q=mean_q,
            returns=tuple(self.returns),
            target_gap=target_gap,
        )

    def _new_active(self) -> ActiveLearner:
        """An episode's learner: theta_pre and nothing labelled."""
        self._active = ActiveLearner(
            segmenter=self._start(),
            strategy=build_strategy("learned", self.dqn.online),
            pool=Pool(groups_of(self._images, self.settings.loop)),
            labelled=LabelledSet(self.settings.loop.classes),
            images=self._images,
            state=self._state,
            reward=self._reward,
            settings=self.settings.loop,
            budget=self.settings.budget,
            seed=int(numpy_generator(self.seed, "episode", self.episode).integers(2**31)),
        )
        return self._active

    def _remember(self, proposal: Proposal, reward: float, *, following: Proposal | None) -> None:
        """The K transitions of a round, each with the next round's pool of the same place (its last one if it has fewer)."""
        assert proposal.state_SF is not None
        transitions = []
        for k, (actions, chosen) in enumerate(zip(proposal.actions, proposal.chosen, strict=True)):
            ahead = following.actions[min(k, len(following.actions) - 1)] if following and following.actions else None
            transitions.append(
                Transition(
                    state_SF=proposal.state_SF,
                    action_A=actions[chosen],
                    reward=reward,
                    next_state_SF=following.state_SF if following and ahead is not None else None,
                    next_actions_NA=ahead,
                )
            )
        self.buffer.add(transitions)

    def _learn(self) -> tuple[float | None, float | None, float | None]:
        losses, values, gaps = [], [], []
        for update in range(self.settings.updates_per_round if len(self.buffer) >= self.settings.dqn.batch else 0):
            rng = numpy_generator(self.seed, "replay", self.rounds_done, update)
            outcome = self.dqn.update(self.buffer.sample(self.settings.dqn.batch, rng))
            losses.append(outcome.loss)
            values.append(outcome.q_mean)
            gaps.append(outcome.target_gap)
        if (self.rounds_done + 1) % self.settings.dqn.sync_every == 0:
            self.dqn.sync_target()
        if not losses:
            return None, None, None
        return float(np.mean(losses)), float(np.mean(values)), float(np.mean(gaps))

    def _end_episode(self) -> None:
        self.returns.append(float(sum(self._episode_rewards)))
        recent = float(np.mean(self.returns[-RETURN_WINDOW:]))
        if recent >= self.best_return and len(self.returns) >= min(RETURN_WINDOW, self.settings.episodes):
            self.best_return = recent
            self.best = {key: tensor.clone() for key, tensor in self.dqn.online.state_dict().items()}
        self.episode += 1
        self.round_number, self._episode_rewards, self._answers = 0, [], []
        self._pending, self._active = None, None

    def tensors(self) -> dict[str, Tensor]:
        """Everything but numbers and names that put_away needs; see `meta`."""
        saved = {f"dqn.{key}": tensor for key, tensor in self.dqn.state_dict().items()}
        saved |= {f"buffer.{key}": tensor for key, tensor in self.buffer.state_dict().items()}
        saved |= {f"best.{key}": tensor for key, tensor in self.best.items()}
        if self._active is not None and self._pending is not None:
            saved |= {f"segmenter.{key}": tensor for key, tensor in self._active.segmenter.state_dict().items()}
            saved |= {f"momentum.{key}": tensor for key, tensor in self._active.learner.momentum.items()}
            proposal = self._pending[0]
            assert proposal.state_SF is not None
            saved |= {"pending.state": proposal.state_SF}
            saved |= {f"pending.actions.{k}": actions for k, actions in enumerate(proposal.actions)}
        return saved

    def meta(self) -> dict[str, Any]:
        """The numbers beside the tensors, for JSON."""
        meta: dict[str, Any] = {
            "episode": self.episode,
            "round_number": self.round_number,
            "rounds_done": self.rounds_done,
            "returns": self.returns,
            "best_return": None if np.isinf(self.best_return) else self.best_return,
            "episode_rewards": self._episode_rewards,
            "regions": [[answer.image, answer.cell] for answer in self._answers],
        }
        if self._pending is not None and self._active is not None:
            miou = self._active.learner.measured_miou()
            assert miou is not None
            meta["pending"] = {"chosen": self._pending[0].chosen, "reward": self._pending[1]}
            meta["miou"] = [miou[0], [None if np.isnan(value) else value for value in miou[1].tolist()]]
        return meta

    def load(self, meta: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Go on from where `meta` and `tensors` were taken."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = tensor.to(device_of(self.dqn.online))
        self.dqn.load_state_dict(parts["dqn"])
        self.buffer.load_state_dict(parts.get("buffer", {}))
        self.best = parts["best"]
        self.episode, self.round_number, self.rounds_done = meta["episode"], meta["round_number"], meta["rounds_done"]
        self.returns = list(meta["returns"])
        self.best_return = -np.inf if meta["best_return"] is None else meta["best_return"]
        self._episode_rewards = list(meta["episode_rewards"])
        if "pending" in meta:
            self._restore_episode(meta, parts)

    def _restore_episode(self, meta: dict[str, Any], parts: dict[str, dict[str, Tensor]]) -> None:
        active = self._new_active()
        active.segmenter.load_state_dict(parts["segmenter"])
        self._answers = self._oracle.answers_at(meta["regions"], self.settings.loop)
        active.restore(self._answers)
        mean, per_class = meta["miou"]
        miou = (float(mean), np.array([np.nan if value is None else value for value in per_class]))
        active.learner.resume(parts.get("momentum", {}), miou)
        pending = parts["pending"]
        actions = tuple(pending[f"actions.{k}"] for k in range(len(pending) - 1))
        proposal = Proposal(
            round_number=self.round_number - 1,
            strategy="learned",
            regions=(),
            state_SF=pending["state"],
            actions=actions,
            chosen=tuple(meta["pending"]["chosen"]),
            seconds={},
        )
        self._pending = (proposal, meta["pending"]["reward"])
