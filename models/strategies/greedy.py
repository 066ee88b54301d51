"""Owns the strategies whose choices depend on each other: each is made knowing those before it.

Shape suffixes: M candidates, m those of one pool, L labelled regions, E channels of an embedding, C classes.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.inference import on_one_thread, spread
from models.strategies.contract import Candidates, Needs, Strategy, described

# Candidates and labelled regions whose distances are worked out at a time: few enough for a core's cache, enough to fill a GPU.
_TILE = {"cpu": (1024, 512)}
_TILE_ELSEWHERE = (4096, 4096)


class Game(Protocol):
    """What a choice is worth after the choices before it."""

    def worth(self) -> Tensor:
        """Return how good it would be to take each candidate now, (M,) float64."""

    def take(self, place: int) -> None:
        """Take a candidate."""


@on_one_thread()
def scores_of_turns(game: Game, candidates: Candidates) -> Tensor:
    """Play `game` and return scores, (M,) float64, by which exactly the candidates that it takes are chosen.

    With pools, each has its turn in the order in which they come: where one candidate is taken of each, scores are what each
    candidate was worth at its pool's turn. Without, and where several are, those that are taken score n, ... 2, 1 in the order of
    being taken, the others by what they are worth in the end, 0 at most. Of candidates that say how dear they are, e to the power
    of what they are worth, in deviations from the candidates' mean, is divided by the cost of a pixel.
    """
    turns, dear_M = candidates.turns(), candidates.dear_M

    def worth() -> Tensor:
        worth_M = game.worth()
        # A sum's own unit is any: an order is the same in each, what it weighs against a cost is not.
        return worth_M if dear_M is None else standard(worth_M) - dear_M.to(worth_M)

    at_turn_M = worth().clone()
    while len(open_m := turns.open):
        worth_M = worth()
        if candidates.pools_M is not None:
            members_M = (candidates.pools_M == candidates.pools_M[open_m[0]]).to(at_turn_M.device)
            at_turn_M = torch.where(members_M, worth_M, at_turn_M)
        place = int(open_m[worth_M[open_m.to(worth_M.device)].argmax()])
        turns.take(place)
        game.take(place)
    if candidates.pools_M is not None and candidates.cell == 1:
        return at_turn_M
    left_M = worth()
    scores_M = left_M - left_M.amax()
    scores_M[turns.chosen] = torch.arange(len(turns.chosen), 0, -1, dtype=scores_M.dtype, device=scores_M.device)
    return scores_M


class Cover:
    """k-centre: a candidate is worth its distance to the nearest centre, and what is taken becomes a centre.

    While there is no centre, candidates are worth the more the nearer they are to the mean of all.
    """

    def __init__(self, embeddings_ME: Tensor, centres_LE: Tensor) -> None:
        # Double precision, for the product's rounding would drown the distances between regions that look alike.
        places_ME, centres_LE = embeddings_ME.double(), centres_LE.double()
        # Both sides are moved to where they are around 0. A channel lies together: a turn takes a fifth of the time so.
        middle_E = (centres_LE if len(centres_LE) else places_ME).mean(0)
        self._places_EM = (places_ME - middle_E).T.contiguous()
        self._lengths_M = self._places_EM.square().sum(0)
        self._squares_M = self._to_nearest((centres_LE - middle_E).T) if len(centres_LE) else None

    @property
    def has_centre(self) -> bool:
        """Whether there is one yet."""
        return self._squares_M is not None

    def worth(self) -> Tensor:
        """Return distances to the nearest centre."""
        if self._squares_M is None:
            return -self._lengths_M.sqrt()
        return self._squares_M.sqrt()

    def take(self, place: int) -> None:
        """Make the candidate a centre."""
        squares_M = self._to_nearest(self._places_EM[:, place, None])
        self._squares_M = squares_M if self._squares_M is None else torch.minimum(self._squares_M, squares_M)

    def _to_nearest(self, centres_EL: Tensor) -> Tensor:
        """Return |x - c|^2 = |x|^2 - 2 x . c + |c|^2 of the nearest c, (M,)."""
        lengths_L = centres_EL.square().sum(0)
        if centres_EL.shape[1] == 1:
            squares_M = torch.addmv(self._lengths_M, self._places_EM.T, centres_EL[:, 0], alpha=-2)
            return squares_M.add_(lengths_L).clamp_min_(0)
        rows, columns = _TILE.get(centres_EL.device.type, _TILE_ELSEWHERE)

        def nearest(some_Em: Tensor) -> Tensor:
            """Return the least of |c|^2 - 2 x . c."""
            room = some_Em.new_empty(some_Em.shape[1] * columns)
            nearest_m = torch.full_like(some_Em[0], torch.inf)
            for start in range(0, len(lengths_L), columns):
                lengths_l = lengths_L[start : start + columns]
                less_own_ml = room[: len(nearest_m) * len(lengths_l)].view(len(nearest_m), len(lengths_l))
                torch.addmm(lengths_l, some_Em.T, centres_EL[:, start : start + columns], alpha=-2, out=less_own_ml)
                torch.minimum(nearest_m, less_own_ml.amin(1), out=nearest_m)
            return nearest_m

        tiles = torch.split(self._places_EM, rows, 1)
        nearest_M = torch.cat(spread(nearest, tiles, centres_EL.device))
        return (nearest_M + self._lengths_M).clamp_min(0)


class Apart:
    """A candidate is worth its score and its distance to the nearest centre, that in deviations from the candidates' mean.

    While there is no centre, the score alone counts.
    """

    def __init__(self, scores_M: Tensor, cover: Cover, weight: float = 1.0) -> None:
        """`weight`: what a deviation counts."""
        self._scores_M, self._cover, self._weight = scores_M.double(), cover, weight

    def worth(self) -> Tensor:
        """Return the sum of both."""
        if not self._cover.has_centre:
            return self._scores_M.clone()
        return self._scores_M + self._weight * standard(self._cover.worth())

    def take(self, place: int) -> None:
        """Make the candidate a centre."""
        self._cover.take(place)


def standard(values_M: Tensor) -> Tensor:
    """Return deviations from the mean, in standard deviations."""
    return (values_M - values_M.mean()) / values_M.std(correction=0).clamp_min(1e-12)


class Balance:
    """A candidate is worth the entropy, in nats, of the classes of all pixels that would be labelled with it.

    Classes that neither L nor the candidates have add nothing to it, and uniform over the others is the highest.
    """

    def __init__(self, truth_MC: Tensor, labelled_counts_C: Tensor) -> None:
        self._truth_MC, self._labelled_C = truth_MC.double(), labelled_counts_C.double()

    def worth(self) -> Tensor:
        """Return the entropy after each candidate; 0 where nothing would be labelled."""
        counts_MC = self._labelled_C + self._truth_MC
        shares_MC = counts_MC / counts_MC.sum(1, keepdim=True).clamp_min(1)
        return -torch.xlogy(shares_MC, shares_MC).sum(1)

    def take(self, place: int) -> None:
        """Count the candidate's pixels as labelled."""
        self._labelled_C = self._labelled_C + self._truth_MC[place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coreset(Needs):
    """Greedy k-centre on embeddings; the labelled regions are centres already (Sener & Savarese 2018, algorithm 1)."""

    name: str = "coreset"
    vectors: frozenset[str] = frozenset({"embedding"})
    needs_segmenter: bool = True
    needs_labelled: bool = True

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return scores_of_turns of Cover; it draws nothing."""
        embeddings_ME = described(candidates, self).vectors["embedding"]
        if candidates.labelled_embeddings_LE is None:
            raise ValueError(f"strategy {self.name!r} needs the labelled regions' embeddings")
        return scores_of_turns(Cover(embeddings_ME, candidates.labelled_embeddings_LE), candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class GreedyOracle(Needs):
    """Takes what makes the labelled classes most even, knowing the truth: a reference for simulations, no method."""

    name: str = "greedy-oracle"
    needs_truth: bool = True

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return scores_of_turns of Balance; it draws nothing."""
        if candidates.truth_MC is None:
            raise ValueError(f"strategy {self.name!r} needs the candidates' true class counts")
        if candidates.labelled_counts_C is None:
            raise ValueError(f"strategy {self.name!r} needs the labelled pixels of each class")
        return scores_of_turns(Balance(candidates.truth_MC, candidates.labelled_counts_C), candidates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverse(Needs):
    """Uncertain, and unlike what is labelled or chosen already in the round: a sum of both, each as deviations from its mean."""

    name: str = "diverse"
    weighs_cost: bool = True
    statistics: frozenset[str] = frozenset({"bvsb_mean"})
    vectors: frozenset[str] = frozenset({"embedding"})
    needs_segmenter: bool = True
    needs_labelled: bool = True

    def scores(self, candidates: Candidates, generator: torch.Generator) -> Tensor:
        """Return scores_of_turns of Apart; it draws nothing."""
        rows = described(candidates, self)
        if candidates.labelled_embeddings_LE is None:
            raise ValueError(f"strategy {self.name!r} needs the labelled regions' embeddings")
        cover = Cover(rows.vectors["embedding"], candidates.labelled_embeddings_LE)
        return scores_of_turns(Apart(standard(rows.statistics["bvsb_mean"].double()), cover), candidates)


OFFERED: tuple[Strategy, ...] = (Coreset(), Diverse())
REFERENCES: tuple[Strategy, ...] = (GreedyOracle(),)
