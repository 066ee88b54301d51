"""How the query network learns: transitions, the replay buffer, and batch-mode DQN with a target network.

Shapes: B transitions, S state regions, F features of a state region, A features of a candidate, N candidates of a pool
(pools may differ: the shorter are padded and masked), U different states, T transitions stored, R rows of all pools.
"""

import copy
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from models.query_network import QueryNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNSettings:
    """Defaults for CamVid. `double`: which network picks the next action and which values it.

    "standard": online picks, target values (van Hasselt et al. 2016). "paper": target picks, online values, as Casanova
    et al. (2020) word it. The learning rate stays what it is.
    """

    capacity: int = 600  # transitions, one for each region asked for
    batch: int = 16
    gamma: float = 0.999
    sync_every: int = 5  # rounds between copies of the online network to the target network
    lr: float = 1e-3
    momentum: float = 0.95
    weight_decay: float = 1e-3
    loss: Literal["huber", "squared"] = "huber"
    double: Literal["standard", "paper"] = "standard"
    epsilon_floor: float = 0.05
    epsilon_span: float = 0.85
    epsilon_rounds: float = 10.0


def epsilon(rounds: int, settings: DQNSettings) -> float:
    """The chance of a random pick after `rounds` rounds over all episodes."""
    return settings.epsilon_floor + settings.epsilon_span * math.exp(-rounds / settings.epsilon_rounds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transition:
    """One region's part of a round; at an episode's last round there is no next state and no next pool.

    The buffer keeps a state once however many transitions hold it, so give a round's transitions the same tensor, and
    give the next round's the tensor that was the next state here.
    """

    state_SF: Tensor
    action_A: Tensor
    reward: float
    next_state_SF: Tensor | None = None
    next_actions_NA: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.next_state_SF is None) != (self.next_actions_NA is None):
            raise ValueError("A transition has both a next state and next actions, or neither.")
        if self.next_actions_NA is not None and len(self.next_actions_NA) == 0:
            raise ValueError("A pool without candidates has no value: make the transition a last one.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Transitions side by side. A last transition has a row of zeros and no candidate in `next_mask_BN`."""

    state_BSF: Tensor
    action_BA: Tensor
    reward_B: Tensor
    next_state_BSF: Tensor
    next_actions_BNA: Tensor
    next_mask_BN: Tensor

    @classmethod
    def of(cls, transitions: Sequence[Transition]) -> "Batch":
        """Stack transitions; pools are padded to the longest, or to one candidate where all are last ones."""
        none = transitions[0].action_A.new_zeros((0, len(transitions[0].action_A)))
        pools = [none if t.next_actions_NA is None else t.next_actions_NA for t in transitions]
        longest = max(1, *(len(pool) for pool in pools))
        next_actions_BNA = pad_sequence([*pools, none.new_zeros((longest, none.shape[1]))], batch_first=True)[:-1]
        next_states = [
            torch.zeros_like(t.state_SF) if t.next_state_SF is None else t.next_state_SF for t in transitions
        ]
        return cls(
            state_BSF=torch.stack([t.state_SF for t in transitions]),
            action_BA=torch.stack([t.action_A for t in transitions]),
            reward_B=torch.tensor([t.reward for t in transitions], dtype=torch.float32),
            next_state_BSF=torch.stack(next_states),
            next_actions_BNA=next_actions_BNA,
            next_mask_BN=torch.arange(longest) < torch.tensor([[len(pool)] for pool in pools]),
        )

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(**{name: getattr(self, name).to(device) for name in self.__slots__})


class ReplayBuffer:
    """The last `capacity` transitions; sampled uniformly without replacement."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"A replay buffer holds at least 1 transition, not {capacity}.")
        self._transitions: deque[Transition] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._transitions)

    def add(self, transitions: Iterable[Transition]) -> None:
        """Take in a round's transitions; the oldest make room."""
        self._transitions.extend(transitions)

    def sample(self, size: int, rng: np.random.Generator) -> Batch:
        """`size` different transitions. Raises ValueError where fewer are stored."""
        if size > len(self):
            raise ValueError(f"The replay buffer holds {len(self)} transitions, not yet {size}.")
        return Batch.of([self._transitions[number] for number in rng.choice(len(self), size, replace=False)])

    def state_dict(self) -> dict[str, Tensor]:
        """Everything as tensors, oldest first, each state once; nothing for an empty buffer."""
        if not self._transitions:
            return {}
        held = list(self._transitions)
        states = {id(state): state for t in held for state in (t.state_SF, t.next_state_SF) if state is not None}
        place = {key: number for number, key in enumerate(states)}
        pools = [
            t.action_A.new_zeros((0, len(t.action_A))) if t.next_actions_NA is None else t.next_actions_NA for t in held
        ]
        return {
            "states_USF": torch.stack(list(states.values())),
            "state_T": torch.tensor([place[id(t.state_SF)] for t in held]),
            "next_state_T": torch.tensor([-1 if t.next_state_SF is None else place[id(t.next_state_SF)] for t in held]),
            "actions_TA": torch.stack([t.action_A for t in held]),
            "rewards_T": torch.tensor([t.reward for t in held], dtype=torch.float64),
            "next_actions_RA": torch.cat(pools),
            "next_count_T": torch.tensor([len(pool) for pool in pools]),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Replace what is held by what `state_dict` gave; of more than the capacity, the newest."""
        self._transitions.clear()
        if not state:
            return
        states = [state_SF.clone() for state_SF in state["states_USF"]]
        pools = torch.split(state["next_actions_RA"], state["next_count_T"].tolist())
        for number, (now, then) in enumerate(
            zip(state["state_T"].tolist(), state["next_state_T"].tolist(), strict=True)
        ):
            self._transitions.append(
                Transition(
                    state_SF=states[now],
                    action_A=state["actions_TA"][number].clone(),
                    reward=float(state["rewards_T"][number]),
                    next_state_SF=None if then < 0 else states[then],
                    next_actions_NA=None if then < 0 else pools[number].clone(),
                )
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one step reports: the TD loss, and the mean Q of the actions taken, both before the step."""

    loss: float
    q_mean: float


class DQN:
    """Online and target network and the optimizer. The target moves only by `sync_target`, buffers and all.

    Outside `update`'s own forward pass both networks are in eval mode: what BatchNorm learned decides, never what else
    happens to be in a batch.
    """

    def __init__(self, online: QueryNetwork, settings: DQNSettings) -> None:
        self.online = online.eval()
        self.settings = settings
        self.target = copy.deepcopy(online).eval().requires_grad_(False)
        self.optimizer = torch.optim.SGD(
            online.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )

    def update(self, batch: Batch) -> Update:
        """One step towards the TD targets. Raises ValueError for a single transition, which has no batch statistics."""
        if len(batch.reward_B) < 2:
            raise ValueError("A batch of 1 transition has no statistics for BatchNorm: at least 2 are needed.")
        batch = batch.to(next(self.online.parameters()).device)
        target_B = self.td_targets(batch)
        self.online.train()
        q_B = self.online(batch.state_BSF, batch.action_BA[:, None]).squeeze(1)
        self.online.eval()
        loss = F.huber_loss(q_B, target_B) if self.settings.loss == "huber" else F.mse_loss(q_B, target_B)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return Update(loss=float(loss.detach()), q_mean=float(q_B.detach().mean()))

    @torch.no_grad()
    def td_targets(self, batch: Batch) -> Tensor:
        """y = r + gamma Q_values(s', argmax_a Q_picks(s', a)) for each transition; y = r for a last one.

        Which of the two networks picks and which values is `settings.double`; both are in eval mode.
        """
        target_B = batch.reward_B.clone()
        goes_on_B = batch.next_mask_BN.any(dim=1)
        if not bool(goes_on_B.any()):
            return target_B
        state_BSF, actions_BNA = batch.next_state_BSF[goes_on_B], batch.next_actions_BNA[goes_on_B]
        online_BN, target_BN = self.online(state_BSF, actions_BNA), self.target(state_BSF, actions_BNA)
        picks_BN, values_BN = (online_BN, target_BN) if self.settings.double == "standard" else (target_BN, online_BN)
        best_B1 = picks_BN.masked_fill(~batch.next_mask_BN[goes_on_B], -math.inf).argmax(dim=1, keepdim=True)
        target_B[goes_on_B] += self.settings.gamma * values_BN.gather(1, best_B1).squeeze(1)
        return target_B

    def sync_target(self) -> None:
        """Copy parameters and BatchNorm's statistics from the online to the target network."""
        self.target.load_state_dict(self.online.state_dict())

    def state_dict(self) -> dict[str, Tensor]:
        """Both networks and the optimizer's momentum as named tensors."""
        state = {f"online.{key}": value for key, value in self.online.state_dict().items()}
        state |= {f"target.{key}": value for key, value in self.target.state_dict().items()}
        for name, parameter in self.online.named_parameters():
            if parameter in self.optimizer.state:
                state[f"momentum.{name}"] = self.optimizer.state[parameter]["momentum_buffer"]
        return {key: value.detach().clone() for key, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave. Raises RuntimeError where a tensor lacks or does not fit."""
        self.online.load_state_dict(_under("online.", state))
        self.target.load_state_dict(_under("target.", state))
        momentum = _under("momentum.", state)
        self.optimizer.state.clear()
        for name, parameter in self.online.named_parameters():
            if name in momentum:
                self.optimizer.state[parameter] = {"momentum_buffer": momentum[name].to(parameter.device, copy=True)}


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
