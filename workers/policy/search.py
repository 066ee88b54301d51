"""The trainer of policies with few numbers: a search by playing whole games, put away between any two of them, exactly.

What a policy is judged by is what it is for, the area under the curve; nothing has to be said of single regions. But one game
says little: where a policy wins or loses a point, most of it is chance. So nothing follows from any one of them. Policies are
drawn around the beginning in mirrored pairs, of which each plays one game, and how the area changes with each number is
estimated from all pairs at once, drawn towards 0 by as much as the pairs do not agree (ridge regression by its evidence, MacKay
1992). Where they tell nothing, what comes of it is the beginning. In some games players lie ten times as far apart as in others:
areas count in deviations of those who play the same one.

Shapes: P numbers of a policy, G generations, N players of each, M = N - 1 of them by a policy, X pairs.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from workers.chance import numpy_generator
from workers.policy.contest import Contest
from workers.policy.players import Numbers, Players, asking, take_up
from workers.policy.progress import Progress
from workers.policy.trials import UNHEARD, Trying

FORMAT = "search 2"
HEARD_EVERY = 1.0  # seconds, while others play
BEGINNING, RANDOM = 0, 1  # places in a generation
LEAST_GAIN = 0.5
"""Deviations that the beginning is taken to have over chance at least: a step is longer the less it has."""
MOST_GAIN = 10.0
"""Deviations that it is taken to have in one game at most: a game of which all policies make nearly the same does not decide."""
LONGEST = 3.0
"""Lengths of the beginning that a step is long at most."""
_LEAST_SPREAD = 0.1  # points
# How much more the slopes vary than the pairs' chance does, for each unit of the draws: none, and a grid.
_RATIOS = np.concatenate([[0.0], np.logspace(-5, 2, 141)])


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """games: in all, of whole generations. population: N, of which one is the beginning, one asks at random, and the others are
    pairs. deviation: of the draws.
    """

    games: int = 120
    population: int = 12
    deviation: float = 1.0

    @property
    def generations(self) -> int:
        """How many there are."""
        return max(1, self.games // self.population)

    @property
    def pairs(self) -> int:
        """How many a generation has."""
        return (self.population - 2) // 2


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
        self.beginning_P = parameters_to_vector(network.parameters()).detach().double().cpu().numpy().copy()
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
        """One game. Where `trying` raises, it is played again."""
        generation, place = divmod(len(self.areas), self.settings.population)
        area = self._area(self._drawn(generation), generation, place, trying)
        self.areas.append(area)
        trial = self._tried() if place == self.settings.population - 1 else None
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

    def _area(self, drawn_N: Sequence[Numbers | None], generation: int, place: int, trying: Trying) -> float:
        if self._players is None:
            contest = self.contests[generation % len(self.contests)]
            return contest.play(asking(self.network, drawn_N[place]), generation, trying.on_round).area
        if not self._underway:
            self._underway = [self._players.area(numbers_P, generation) for numbers_P in drawn_N[place:]]
        while not wait(self._underway[:1], timeout=HEARD_EVERY).done:
            trying.on_round()
        return self._underway.pop(0).result()

    def _drawn(self, generation: int) -> list[Numbers | None]:
        """Numbers of N policies: the beginning, none, which asks at random, and others, each with its mirror image later."""
        steps_nP = self._steps(generation)
        odd = [self.beginning_P] * (self.settings.population % 2)
        return [self.beginning_P, None, *(self.beginning_P + steps_nP), *(self.beginning_P - steps_nP), *odd]

    def _steps(self, generation: int) -> Numbers:
        rng = numpy_generator(self.seed, "search", generation)
        return np.asarray(self.settings.deviation * rng.standard_normal((self.settings.pairs, len(self.beginning_P))))

    def _tried(self) -> float:
        """Takes in the generation that ended; the mean of its policies but for the one that asks at random."""
        areas_N = np.array(self.areas[-self.settings.population :])
        self.trials.append(float(np.delete(areas_N, RANDOM).mean()))
        return self.trials[-1]

    def found(self) -> Numbers:
        """(P,): the beginning, moved by what the generations tell that have ended.

        What is chosen depends on the direction of the numbers alone. If a candidate is worth v z, z being its scores and v what
        they should count, whoever asks by w gains w v / |w| over chance. So steps s up and down from w differ by twice
        s v / sqrt(|w|^2 + |s|^2), the slope at w is the part of v beside w over |w|, and v lies along w + slope |w|^2 / gain.
        A step is LONGEST |w| long at most.
        """
        size, pairs, generations = self.settings.population, self.settings.pairs, len(self.trials)
        if generations == 0:
            return self.beginning_P
        areas_GN = in_deviations(np.array(self.areas[: generations * size]).reshape(generations, size))
        steps_XP = np.concatenate([self._steps(generation) for generation in range(generations)])
        halves_X = (areas_GN[:, 2 : 2 + pairs] - areas_GN[:, 2 + pairs : 2 + 2 * pairs]).ravel() / 2
        gains_G = (areas_GN[:, BEGINNING] - areas_GN[:, RANDOM])[areas_GN.any(1)].clip(-MOST_GAIN, MOST_GAIN)
        gain = max(LEAST_GAIN, float(gains_G.mean()) if len(gains_G) else 0.0)
        length = float(np.linalg.norm(self.beginning_P))
        shorter_X = np.hypot(1.0, np.linalg.norm(steps_XP, axis=1) / length)
        step_P = slope(steps_XP / shorter_X[:, None], halves_X) * length**2 / gain
        return self.beginning_P + step_P * min(1.0, LONGEST * length / max(float(np.linalg.norm(step_P)), 1e-12))

    def best_policy(self) -> nn.Module:
        """The network with the numbers that the search has come to, in evaluation mode."""
        take_up(self.network, self.found())
        return self.network.eval()

    def close(self) -> None:
        """End those that play side by side, if there are any."""
        if self._players is not None:
            self._players.dismiss()

    def summary(self) -> dict[str, Any]:
        """How the games went, for a checkpoint's description."""
        return {"returns": self.areas, "trials": self.trials}

    def tensors(self) -> dict[str, Tensor]:
        """What must be kept beside `meta`: nothing."""
        return {}

    def meta(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        return {"format": FORMAT, "areas": list(self.areas), "trials": list(self.trials)}

    def is_at(self, meta: Mapping[str, Any]) -> bool:
        """Whether the search is where it was when it gave `meta`."""
        return len(self.areas) == len(meta["areas"])

    def load(self, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `meta` gave."""
        self.areas, self.trials = list(meta["areas"]), list(meta["trials"])


def in_deviations(areas_GN: Numbers) -> Numbers:
    """(G, N): areas less the mean of the generation's policies, over their standard deviation; the random player is in neither.

    All 0 where they lie closer than a tenth of a point: such a game tells nothing.
    """
    policies_GM = np.delete(areas_GN, RANDOM, axis=1)
    spread_G1 = policies_GM.std(1, ddof=1, keepdims=True)
    ahead_GN = areas_GN - policies_GM.mean(1, keepdims=True)
    return np.asarray(np.divide(ahead_GN, spread_G1, out=np.zeros_like(ahead_GN), where=spread_G1 > _LEAST_SPREAD))


def slope(steps_XP: Numbers, halves_X: Numbers) -> Numbers:
    """(P,): how the area changes with each number, from half the difference of each pair that is a step up and a step down.

    Slopes and chance are taken for normal, all slopes with one variance, whose ratio to that of chance is the likeliest
    (MacKay 1992); a ratio of 0, and slopes of 0, where no other is likelier.
    """
    values_X, vectors_XX = np.linalg.eigh(steps_XP @ steps_XP.T)
    along_X = vectors_XX.T @ halves_X
    spread_RX = 1 + _RATIOS[:, None] * values_X.clip(min=0)
    chance_R = np.maximum((along_X**2 / spread_RX).mean(1), 1e-12)
    evidence_R = -len(halves_X) * np.log(chance_R) - np.log(spread_RX).sum(1)
    best = int(evidence_R.argmax())
    return np.asarray(_RATIOS[best] * steps_XP.T @ (vectors_XX @ (along_X / spread_RX[best])))
