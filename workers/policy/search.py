"""The trainer of policies with few numbers: a search by playing whole games, put away between any two of them, exactly.

Each generation draws policies around the best guess, has all play the same game, and moves the guess towards those that did
better (separable covariance matrix adaptation, Ros & Hansen 2008, with mirrored draws, Brockhoff et al. 2010). What a policy is
judged by is what it is for, the area under the curve; nothing has to be said of single regions.

Shapes: P numbers of a policy, N policies of a generation.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from models.strategies import build_strategy
from workers.chance import numpy_generator
from workers.policy.contest import Contest
from workers.policy.players import Players, take_up
from workers.policy.progress import Progress
from workers.policy.trials import UNHEARD, Trying

FORMAT = "search 1"
HEARD_EVERY = 1.0  # seconds, while others play


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """games: in all, of whole generations. population: N. deviation: of the first draws. adapt: what a generation counts in
    the variances.
    """

    games: int = 120
    population: int = 12
    deviation: float = 0.5
    adapt: float = 0.2

    @property
    def generations(self) -> int:
        """How many there are."""
        return max(1, self.games // self.population)


class Search:
    """Plays contests, one game a call, each generation in another of them."""

    def __init__(
        self,
        *,
        contests: Sequence[Contest],
        network: nn.Module,
        settings: SearchSettings,
        seed: int,
        players: Players | None = None,
    ) -> None:
        """Begins at the network's own numbers. With `players` the games of a generation are played side by side."""
        self.contests, self.network, self.settings, self.seed = list(contests), network, settings, seed
        self._players = players
        self._underway: list[Future[float]] = []  # games of this generation that have not been taken in
        self._strategy = build_strategy("learned", network)
        self.mean_P = parameters_to_vector(network.parameters()).detach().double().cpu().numpy().copy()
        self.variance_P = np.full_like(self.mean_P, settings.deviation**2)
        self.areas: list[float] = []  # of all games, in their order
        self.trials: list[float] = []  # means of the generations

    @property
    def episodes(self) -> int:
        """Games in all."""
        return self.settings.generations * self.settings.population

    @property
    def rounds_done(self) -> int:
        """Games that are played."""
        return len(self.areas)

    @property
    def done(self) -> bool:
        """Whether all games are played."""
        return self.rounds_done >= self.episodes

    @property
    def returns(self) -> list[float]:
        """Areas of the games, in points."""
        return self.areas

    @property
    def best_value(self) -> float:
        """The best mean of a generation."""
        return max(self.trials, default=-math.inf)

    def play_round(self, trying: Trying = UNHEARD) -> Progress:
        """One game; after the last of a generation the guess moves. Where `trying` raises, the game is played again."""
        generation, place = divmod(len(self.areas), self.settings.population)
        drawn_NP = self._drawn(generation)
        area = self._area(drawn_NP, generation, place, trying)
        self.areas.append(area)
        trial = self._move(drawn_NP) if place == self.settings.population - 1 else None
        return Progress(
            episode=len(self.areas) - 1,
            round_number=0,
            rounds_done=len(self.areas),
            done=len(self.areas) / self.episodes,
            epsilon=0.0,
            reward=0.0,
            miou=area / 100,
            loss=None,
            mean_q=None,
            target_gap=None,
            ended=(area, area),
            trial=trial,
        )

    def _area(self, drawn_NP: NDArray[np.float64], generation: int, place: int, trying: Trying) -> float:
        if self._players is None:
            take_up(self.network, drawn_NP[place])
            contest = self.contests[generation % len(self.contests)]
            return contest.play(self._strategy, generation, trying.on_round).area
        if not self._underway:
            self._underway = [self._players.area(numbers_P, generation) for numbers_P in drawn_NP[place:]]
        while not wait(self._underway[:1], timeout=HEARD_EVERY).done:
            trying.on_round()
        return self._underway.pop(0).result()

    def _drawn(self, generation: int) -> NDArray[np.float64]:
        """(N, P): a generation's policies, each beside its mirror image."""
        rng = numpy_generator(self.seed, "search", generation)
        half = rng.standard_normal((-(-self.settings.population // 2), len(self.mean_P)))
        steps_NP = np.concatenate([half, -half])[: self.settings.population]
        return np.asarray(self.mean_P + np.sqrt(self.variance_P) * steps_NP)

    def _move(self, drawn_NP: NDArray[np.float64]) -> float:
        """Towards the better half of a generation, the best most; the mean area."""
        areas_N = np.array(self.areas[-len(drawn_NP) :])
        parents = len(drawn_NP) // 2
        weights_n = math.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
        weights_n /= weights_n.sum()
        steps_nP = drawn_NP[np.argsort(-areas_N, kind="stable")[:parents]] - self.mean_P
        adapt = self.settings.adapt
        self.variance_P = (1 - adapt) * self.variance_P + adapt * (weights_n @ steps_nP**2)
        self.mean_P = self.mean_P + weights_n @ steps_nP
        self.trials.append(float(areas_N.mean()))
        return self.trials[-1]

    def best_policy(self) -> nn.Module:
        """The network with the numbers that the search has come to, in evaluation mode."""
        take_up(self.network, self.mean_P)
        return self.network.eval()

    def close(self) -> None:
        """End those that play side by side, if there are any."""
        if self._players is not None:
            self._players.dismiss()

    def summary(self) -> dict[str, Any]:
        """How the games went, for a checkpoint's description."""
        return {"returns": self.areas, "trials": self.trials}

    def tensors(self) -> dict[str, Tensor]:
        """What must be kept beside `meta`."""
        return {"mean": torch.from_numpy(self.mean_P), "variance": torch.from_numpy(self.variance_P)}

    def meta(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {"format": FORMAT, "areas": list(self.areas), "trials": list(self.trials)}

    def is_at(self, meta: Mapping[str, Any]) -> bool:
        """Whether the search is where it was when it gave `meta`."""
        return len(self.areas) == len(meta["areas"])

    def load(self, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `meta` and `tensors` gave."""
        self.areas, self.trials = list(meta["areas"]), list(meta["trials"])
        self.mean_P, self.variance_P = (tensors[key].double().cpu().numpy().copy() for key in ("mean", "variance"))
