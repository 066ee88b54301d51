"""What a policy's trainer knows of a game: episodes of rounds, each asked for by a strategy and paid with a reward.

Shapes: S state regions, F features of a state region, N candidates of a pool, A features of a candidate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from models.strategies import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a round looked like: the state, its candidate pools (N x A each), and the place chosen in each."""

    state_SF: Tensor
    pools: tuple[Tensor, ...]
    chosen: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a round brought. `gain` is that of mIoU, `reward` what a policy is paid for the round; both in points of mIoU.

    influences: of each region, in the round's order, what its own labels do to soft mIoU, in any unit; empty where it is not
    wanted.
    """

    reward: float
    gain: float
    influences: tuple[float, ...] = ()


class Game(Protocol):
    """A labelling game. One episode at a time goes on; its chance follows from the game's seed and the episode's number."""

    @property
    def rounds(self) -> int:
        """Rounds of an episode, at most."""

    @property
    def trials(self) -> int:
        """How many games a policy can be tried on; 0 where games are too dear for that."""

    @property
    def seed_of_episode(self) -> int:
        """From which the chance of the episode's rounds follows."""

    @property
    def round(self) -> int:
        """Number of the round that is asked for next, from 0."""

    @property
    def miou(self) -> float:
        """What is reached now, in [0, 1]."""

    @property
    def over(self) -> bool:
        """Whether the episode's budget is spent, or nothing is left to ask for."""

    def begin(self, episode: int) -> None:
        """Begin an episode: f as it was before any label, and nothing labelled."""

    def ask(self, strategy: Strategy, epsilon: float) -> Asked:
        """Choose the round's regions by a strategy that acts by a policy, each at random with the chance epsilon."""

    def show(self, strategy: Strategy, teachers: Sequence[Strategy]) -> Asked:
        """Choose the round's regions as one of the teachers does, the one that helps most; as the strategy sees them."""

    def tell(self) -> Told:
        """Label what was asked for, and learn from it."""

    def trial(self, strategy: Strategy, number: int, on_round: Callable[[], None] = lambda: None) -> float:
        """The mean mIoU, in points, over the rounds of one of the trials, asked for by the strategy without chance.

        `on_round` is called before each, and may raise to end it.
        """

    def meta(self) -> dict[str, Any]:
        """The numbers of the episode between two rounds, for JSON."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensors beside them."""

    def load(self, episode: int, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on with an episode from what `meta` and `tensors` gave."""
