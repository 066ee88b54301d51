"""The surrogate game as a Game: rewards may be differences to a twin that asked at random, and policies can be tried."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.strategies import Strategy
from workers.chance import derived_seed, numpy_generator
from workers.loop.round import choose
from workers.policy.game import Asked, Told
from workers.policy.linear_head import Head
from workers.policy.surrogate import SurrogateEpisode, SurrogateGame, play

# A policy is tried on these games, whatever episode it has come to.
TRIALS = 3
_FIRST_TRIAL = 1_000_000


class SurrogatePlay:
    """Episodes of one surrogate game."""

    learns_within_rounds = False

    def __init__(self, game: SurrogateGame, *, budget: int, seed: int, twin: bool = True) -> None:
        """`twin`: a round's reward is what it gained over the same round with regions picked at random."""
        self.game, self.budget, self._seed, self._twin = game, budget, seed, twin
        self.trials = TRIALS
        self._numbers: NDArray[np.int64] = np.zeros(0, np.int64)
        self._sizes: list[int] = []
        self._chosen: NDArray[np.int64] = np.zeros(0, np.int64)

    def begin(self, episode: int) -> None:
        """Begin an episode from the source's head with nothing labelled."""
        seed = derived_seed(self._seed, "episode", episode) % 2**31
        self.played = SurrogateEpisode(self.game, budget=self.budget, seed=seed)

    @property
    def rounds(self) -> int:
        """Rounds of one episode."""
        return -(-self.budget // self.game.settings.batch_size)

    @property
    def seed_of_episode(self) -> int:
        """From which the chance of the episode's rounds follows."""
        return self.played.seed

    @property
    def round(self) -> int:
        """Number of the next round."""
        return self.played.round

    @property
    def miou(self) -> float:
        """Of the head, on the points that reward."""
        return self.played.miou

    @property
    def over(self) -> bool:
        """Whether the budget is spent or nothing is left to ask for."""
        return self.played.over

    def ask(self, strategy: Strategy, epsilon: float) -> Asked:
        """Choose from the episode's candidate pools."""
        pools = self.played.draw()
        candidates = self.played.candidates(pools, strategy)
        if candidates.state_SF is None or candidates.actions_MA is None:
            raise ValueError(f"Strategy {strategy.name!r} looks at no state: a game trains one that acts by a policy.")
        self._numbers, self._sizes = np.concatenate(pools), [len(pool) for pool in pools]
        rng = numpy_generator(self.played.seed, "epsilon", self.played.round)
        scores_M = strategy.scores(candidates, torch.Generator()).double().numpy()
        self._chosen = choose(scores_M, self._sizes, "per-pool", epsilon, rng)
        return Asked(
            state_SF=candidates.state_SF,
            pools=torch.split(candidates.actions_MA, self._sizes),
            chosen=tuple((self._chosen - self._starts).tolist()),
        )

    def tell(self) -> Told:
        """Label the round's regions; the head learns from all that is labelled."""
        twin = self._miou_of_twin() if self._twin else None
        gain = self.played.tell(torch.from_numpy(self._numbers[self._chosen]))
        return Told(reward=gain if twin is None else 100 * (self.played.miou - twin), gain=gain)

    def _miou_of_twin(self) -> float:
        """mIoU after the same round with regions picked at random from the same pools, learned from in the same order."""
        rng = numpy_generator(self.played.seed, "twin", self.played.round)
        picked = self._numbers[self._starts + rng.integers(self._sizes)]
        return self.played.measured(self.played.learned(torch.from_numpy(picked)))

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *self._sizes[:-1]])

    def trial(self, strategy: Strategy, number: int) -> float:
        """The mean mIoU, in points, over the rounds of a game that the strategy plays without chance."""
        curve = play(self.game, strategy, budget=self.budget, seed=_FIRST_TRIAL + number)
        return 100 * float(np.mean(curve[1:]))

    def meta(self) -> dict[str, Any]:
        """The round."""
        return {"round": self.played.round}

    def tensors(self) -> dict[str, Tensor]:
        """What is labelled, and the head."""
        head = self.played.head
        return {"labelled": self.played.labelled, "weight": head.weight_CE, "bias": head.bias_C}

    def load(self, episode: int, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on with an episode from what `meta` and `tensors` gave."""
        self.begin(episode)
        self.played.go_on(Head(tensors["weight"], tensors["bias"]), tensors["labelled"], meta["round"])
