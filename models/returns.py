"""Owns the returns of a game: how an episode's rounds become transitions whose rewards are sums over several rounds.

Shapes: S state regions, F features of a state region, N candidates of a pool, A features of a candidate, K pools.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torch import Tensor

from models.replay import Transition


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlayedRound:
    """A round whose rewards are known: state, K pools (N x A each; N may differ), the place chosen in each, and its reward."""

    state_SF: Tensor
    pools: tuple[Tensor, ...]
    chosen: tuple[int, ...]
    rewards: tuple[float, ...]


class NStep:
    """Turns an episode's rounds into transitions whose rewards are sums over `n` rounds (Sutton 1988).

    A round's transitions are there once the state `n` rounds ahead is: `arrive` at a state, play the round, `hold` it
    with its reward; `finish` at the episode's end gives the rest, without a next state. The k-th pool's transition looks
    at the k-th pool ahead, the last one where there are fewer. Of the rounds after its own a region is paid the mean reward.
    Put away between any two calls.
    """

    def __init__(self, n: int, gamma: float, *, keep_pools: bool = False) -> None:
        """`keep_pools`: transitions keep their own pools, for networks that value whole pools."""
        if n < 1:
            raise ValueError(f"A return sums the rewards of at least 1 round, not {n}.")
        self.n, self.gamma, self.keep_pools = n, gamma, keep_pools
        self._held: deque[PlayedRound] = deque()

    def arrive(self, state_SF: Tensor, pools: Sequence[Tensor]) -> list[Transition]:
        """The next round's state and pools are known: give the transitions that waited for them."""
        if len(self._held) < self.n:
            return []
        return self._oldest(state_SF, pools)

    def hold(self, played: PlayedRound) -> None:
        """Keep a round that was just played. Raises ValueError where the oldest has not been taken by `arrive`."""
        if len(self._held) == self.n:
            raise ValueError(f"{self.n} rounds are held already: arrive at the next state before holding another.")
        self._held.append(played)

    def finish(self) -> list[Transition]:
        """The episode is over: give what is held, oldest round first, and hold nothing."""
        return [transition for _ in range(len(self._held)) for transition in self._oldest(None, ())]

    def _oldest(self, state_SF: Tensor | None, ahead: Sequence[Tensor]) -> list[Transition]:
        later = sum(self.gamma**number * fmean(self._held[number].rewards) for number in range(1, len(self._held)))
        discount = self.gamma ** len(self._held) if len(self._held) > 1 and ahead else None
        oldest = self._held.popleft()
        return [
            Transition(
                state_SF=oldest.state_SF,
                action_A=pool_NA[chosen],
                reward=oldest.rewards[k] + later,
                next_state_SF=state_SF if ahead else None,
                next_actions_NA=ahead[min(k, len(ahead) - 1)] if ahead else None,
                discount=discount,
                pool_NA=pool_NA if self.keep_pools else None,
                chosen=chosen if self.keep_pools else 0,
            )
            for k, (pool_NA, chosen) in enumerate(zip(oldest.pools, oldest.chosen, strict=True))
        ]

    def state_dict(self) -> dict[str, Tensor]:
        """The states and pools held, by the round's number."""
        state = {f"{number}.state": played.state_SF for number, played in enumerate(self._held)}
        for number, played in enumerate(self._held):
            state |= {f"{number}.pool.{k}": pool_NA for k, pool_NA in enumerate(played.pools)}
        return state

    def meta(self) -> dict[str, Any]:
        """The numbers beside the tensors, for JSON."""
        return {"rounds": [{"chosen": list(held.chosen), "rewards": list(held.rewards)} for held in self._held]}

    def load_state_dict(self, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` and `meta` gave."""
        self._held = deque(
            PlayedRound(
                state_SF=state[f"{number}.state"],
                pools=tuple(state[f"{number}.pool.{k}"] for k in range(len(held["chosen"]))),
                chosen=tuple(held["chosen"]),
                rewards=tuple(held["rewards"]),
            )
            for number, held in enumerate(meta["rounds"])
        )
