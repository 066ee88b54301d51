"""Owns what is remembered of a game: transitions, batches of them, and the replay buffer they are drawn from.

Shapes: B transitions, S state regions, F features of a state region, A features of a candidate, N candidates of a pool
(pools may differ: the shorter are padded and masked), U different states, T transitions stored, R rows of all pools.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

# Added to a TD error's size, so that a transition that is understood is still drawn now and then (Schaul et al. 2016).
LEAST_PRIORITY = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transition:
    """One region's part of a round; at an episode's last round there is no next state and no next pool.

    The buffer keeps a state once however many transitions hold it, so give a round's transitions the same tensor, and
    give the next round's the tensor that was the next state here.

    discount: what the next state's value counts, gamma^n after n rounds; None stands for the settings' gamma. The
    reward is then the discounted sum over those rounds.
    pool_NA, chosen: the pool that the action was picked from and its place there, for networks that value whole pools.
    """

    state_SF: Tensor
    action_A: Tensor
    reward: float
    next_state_SF: Tensor | None = None
    next_actions_NA: Tensor | None = None
    discount: float | None = None
    pool_NA: Tensor | None = None
    chosen: int = 0

    def __post_init__(self) -> None:
        if (self.next_state_SF is None) != (self.next_actions_NA is None):
            raise ValueError("A transition has both a next state and next actions, or neither.")
        if self.next_actions_NA is not None and len(self.next_actions_NA) == 0:
            raise ValueError("A pool without candidates has no value: make the transition a last one.")
        if not 0 <= self.chosen < (1 if self.pool_NA is None else len(self.pool_NA)):
            raise ValueError(f"Candidate {self.chosen} is not in the pool: give the pool that it was chosen from.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Transitions side by side. A last transition has a row of zeros and no candidate in `next_mask_BN`.

    discount_B is NaN where the settings' gamma applies. A transition without its own pool has no candidate in
    `pool_mask_BN`. weight_B are importance weights, at most 1. index_B are places in the buffer, -1 outside of one.
    """

    state_BSF: Tensor
    action_BA: Tensor
    reward_B: Tensor
    next_state_BSF: Tensor
    next_actions_BNA: Tensor
    next_mask_BN: Tensor
    discount_B: Tensor
    pool_BNA: Tensor
    pool_mask_BN: Tensor
    chosen_B: Tensor
    weight_B: Tensor
    index_B: Tensor

    @classmethod
    def of(
        cls, transitions: Sequence[Transition], *, weight_B: Tensor | None = None, index_B: Tensor | None = None
    ) -> "Batch":
        """Stack transitions; pools are padded to the longest, or to one candidate where there are none."""
        next_actions_BNA, next_mask_BN = _padded([_rows(t.next_actions_NA, t.action_A) for t in transitions])
        pool_BNA, pool_mask_BN = _padded([_rows(t.pool_NA, t.action_A) for t in transitions])
        next_states = [
            torch.zeros_like(t.state_SF) if t.next_state_SF is None else t.next_state_SF for t in transitions
        ]
        return cls(
            state_BSF=torch.stack([t.state_SF for t in transitions]),
            action_BA=torch.stack([t.action_A for t in transitions]),
            reward_B=torch.tensor([t.reward for t in transitions], dtype=torch.float32),
            next_state_BSF=torch.stack(next_states),
            next_actions_BNA=next_actions_BNA,
            next_mask_BN=next_mask_BN,
            discount_B=_discounts(transitions).float(),
            pool_BNA=pool_BNA,
            pool_mask_BN=pool_mask_BN,
            chosen_B=torch.tensor([t.chosen for t in transitions]),
            weight_B=torch.ones(len(transitions)) if weight_B is None else weight_B,
            index_B=torch.full((len(transitions),), -1) if index_B is None else index_B,
        )

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(**{name: getattr(self, name).to(device) for name in self.__slots__})


class ReplayBuffer:
    """The last `capacity` transitions: drawn uniformly, or with `alpha` above 0 by how much they surprised.

    Proportional prioritised replay (Schaul et al. 2016, section 3.3): a transition's chance is its priority to the power
    alpha, its priority the size of its last TD error; new ones get the largest priority so far. Priorities lie in a ring:
    a transition keeps its place until it makes room.
    """

    def __init__(self, capacity: int, alpha: float = 0.0) -> None:
        if capacity < 1:
            raise ValueError(f"A replay buffer holds at least 1 transition, not {capacity}.")
        if alpha < 0:
            raise ValueError(f"alpha is 0 for uniform draws or above 0, not {alpha}.")
        self.capacity, self.alpha = capacity, alpha
        self._transitions: deque[Transition] = deque(maxlen=capacity)
        self._priorities: NDArray[np.float64] = np.zeros(capacity)
        self._largest = 1.0
        self._oldest = 0  # the oldest transition's place in the ring

    def __len__(self) -> int:
        return len(self._transitions)

    def add(self, transitions: Iterable[Transition]) -> None:
        """Take in a round's transitions; the oldest make room."""
        for transition in transitions:
            place = (self._oldest + len(self)) % self.capacity
            if len(self) == self.capacity:
                self._oldest = (self._oldest + 1) % self.capacity
            self._transitions.append(transition)
            self._priorities[place] = self._largest

    def sample(self, size: int, rng: np.random.Generator, beta: float = 0.0) -> Batch:
        """Draw `size` transitions: different ones where draws are uniform, else perhaps some twice.

        `beta` is how far importance weights undo the unequal chances, 0 not at all, 1 wholly; the batch's largest is 1.
        Raises ValueError where fewer are stored.
        """
        if size > len(self):
            raise ValueError(f"The replay buffer holds {len(self)} transitions, not yet {size}.")
        if self.alpha == 0.0:
            numbers, weights = rng.choice(len(self), size, replace=False), np.ones(size)
        else:
            numbers, weights = self._drawn(size, rng, beta)
        return Batch.of(
            [self._transitions[number] for number in numbers],
            weight_B=torch.from_numpy(weights).float(),
            index_B=torch.from_numpy(self._places()[numbers]),
        )

    def update_priorities(self, index_B: Tensor, td_errors_B: Tensor) -> None:
        """Make the sizes of TD errors the priorities of a batch's transitions; draws are then by these.

        Call it before transitions are added: places in the ring are given anew. Raises ValueError for other places.
        """
        index, sizes = index_B.cpu().numpy(), td_errors_B.detach().cpu().double().abs().numpy()
        if not np.isin(index, self._places()).all():
            raise ValueError("A batch's transition is not in this buffer: give index_B of a batch that it sampled.")
        if not np.isfinite(sizes).all():
            raise ValueError("TD errors are not finite: the query network has diverged, try a smaller learning rate.")
        self._priorities[index] = sizes + LEAST_PRIORITY
        self._largest = max(self._largest, float(self._priorities[index].max(initial=0.0)))

    def _places(self) -> NDArray[np.int64]:
        """Places in the ring, oldest transition first."""
        return (self._oldest + np.arange(len(self))) % self.capacity

    def _drawn(self, size: int, rng: np.random.Generator, beta: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """One draw from each of `size` equal stretches of the summed chances, as Schaul et al. (2016) draw."""
        chances = self._priorities[self._places()] ** self.alpha
        sums = np.cumsum(chances)
        drawn = (np.arange(size) + rng.random(size)) * (sums[-1] / size)
        # Rounding may carry the last draw to the sum itself, past the last transition.
        numbers = np.minimum(np.searchsorted(sums, drawn, side="right"), len(self) - 1)
        weights = (len(self) * chances[numbers] / sums[-1]) ** -beta
        return numbers, weights / weights.max()

    def state_dict(self) -> dict[str, Tensor]:
        """Everything as tensors, oldest first, each state and each pool once; nothing for an empty buffer.

        Discounts, choices and priorities are there only where they are used.
        """
        if not self._transitions:
            return {}
        held = list(self._transitions)
        states, state_T, next_state_T = _each_once([t.state_SF for t in held], [t.next_state_SF for t in held])
        pools, pool_T, next_pool_T = _each_once([t.pool_NA for t in held], [t.next_actions_NA for t in held])
        return {
            "states_USF": torch.stack(states),
            "state_T": state_T,
            "next_state_T": next_state_T,
            "actions_TA": torch.stack([t.action_A for t in held]),
            "rewards_T": torch.tensor([t.reward for t in held], dtype=torch.float64),
            "pools_RA": torch.cat([held[0].action_A.new_zeros((0, len(held[0].action_A))), *pools]),
            "pool_count_U": torch.tensor([len(pool) for pool in pools], dtype=torch.int64),
            "pool_T": pool_T,
            "next_pool_T": next_pool_T,
            **self._options(held),
        }

    def _options(self, held: Sequence[Transition]) -> dict[str, Tensor]:
        options = {}
        if any(t.discount is not None for t in held):
            options["discounts_T"] = _discounts(held)
        if any(t.pool_NA is not None for t in held):
            options["chosen_T"] = torch.tensor([t.chosen for t in held])
        if self.alpha > 0:
            options["priorities_T"] = torch.from_numpy(self._priorities[self._places()])
            options["largest_priority"] = torch.tensor(self._largest, dtype=torch.float64)
        return options

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Replace what is held by what `state_dict` gave; of more than the capacity, the newest."""
        self._transitions.clear()
        self._oldest, self._largest = 0, float(state.get("largest_priority", torch.ones(())))
        self._priorities[:] = self._largest
        if not state:
            return
        self._transitions.extend(_transitions(state))
        if self.alpha > 0 and "priorities_T" in state:
            self._priorities[: len(self)] = state["priorities_T"].cpu().numpy()[-len(self) :]


def _transitions(state: Mapping[str, Tensor]) -> list[Transition]:
    """Undo ReplayBuffer.state_dict; options that are not there are left at a transition's defaults."""
    states = [state_SF.clone() for state_SF in state["states_USF"]]
    stored = range(len(state["state_T"]))
    pools = [pool.clone() for pool in torch.split(state["pools_RA"], state["pool_count_U"].tolist())]
    own, ahead = state["pool_T"].tolist(), state["next_pool_T"].tolist()
    discounts = state["discounts_T"].tolist() if "discounts_T" in state else [np.nan for _ in stored]
    chosen = state["chosen_T"].tolist() if "chosen_T" in state else [0 for _ in stored]
    now, then = state["state_T"].tolist(), state["next_state_T"].tolist()
    return [
        Transition(
            state_SF=states[now[t]],
            action_A=state["actions_TA"][t].clone(),
            reward=float(state["rewards_T"][t]),
            next_state_SF=None if then[t] < 0 else states[then[t]],
            next_actions_NA=None if ahead[t] < 0 else pools[ahead[t]],
            discount=None if np.isnan(discounts[t]) else discounts[t],
            pool_NA=None if own[t] < 0 else pools[own[t]],
            chosen=chosen[t],
        )
        for t in stored
    ]


def _each_once(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> tuple[list[Tensor], Tensor, Tensor]:
    """The different tensors of both, and the place of each of the first and of the second among them; -1 for none."""
    different = {id(each): each for each in (*first, *second) if each is not None}
    place = {key: number for number, key in enumerate(different)}
    places = [torch.tensor([place.get(id(each), -1) for each in some]) for some in (first, second)]
    return list(different.values()), places[0], places[1]


def _discounts(transitions: Sequence[Transition]) -> Tensor:
    return torch.tensor([np.nan if t.discount is None else t.discount for t in transitions], dtype=torch.float64)


def _rows(pool_NA: Tensor | None, action_A: Tensor) -> Tensor:
    return action_A.new_zeros((0, len(action_A))) if pool_NA is None else pool_NA


def _padded(pools: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Put pools side by side, zeros after the shorter, and tell what is a candidate: (B, N, A) and (B, N)."""
    longest = max(1, *(len(pool) for pool in pools))
    padded_BNA = pad_sequence([*pools, pools[0].new_zeros((longest, pools[0].shape[1]))], batch_first=True)[:-1]
    return padded_BNA, torch.arange(longest) < torch.tensor([[len(pool)] for pool in pools])
