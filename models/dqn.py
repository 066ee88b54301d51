"""How a network learns to value candidates: batch-mode DQN with a target network.

Shapes: B transitions, S state regions, F features of a state region, A features of a candidate, N candidates of a pool
(pools may differ: the shorter are padded and masked).
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from models.replay import Batch, ReplayBuffer, Transition
from models.returns import NStep, PlayedRound

__all__ = ["DQN", "Batch", "DQNSettings", "NStep", "PlayedRound", "ReplayBuffer", "Transition", "Update", "epsilon"]

Network = TypeVar("Network", bound=nn.Module)

CHOICE_SCALE = 0.1
"""By how much Q differs in a pool: what one region adds to a round's reward, of which the size is about 1, is little."""

# What an optimizer knows of a parameter: the name it is put away under, and torch's.
_MOMENTS = {
    "sgd": {"momentum": "momentum_buffer"},
    "adamw": {"step": "step", "moment": "exp_avg", "square": "exp_avg_sq"},
}


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
    momentum: float = 0.95  # of sgd
    weight_decay: float = 1e-3
    loss: Literal["huber", "squared"] = "huber"
    double: Literal["standard", "paper"] = "standard"
    epsilon_floor: float = 0.05
    epsilon_span: float = 0.85
    epsilon_rounds: float = 10.0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    clip: float | None = None  # largest norm of the gradient of all weights together
    n_step: int = 1  # rounds of reward that a target sums before it trusts the target network
    prioritised_alpha: float = 0.0  # 0: replay draws uniformly
    prioritised_beta: float = 0.4  # how far importance weights undo prioritised draws

    def __post_init__(self) -> None:
        if self.optimizer not in _MOMENTS:
            raise ValueError(f"There is no optimizer {self.optimizer!r}: choose among {', '.join(_MOMENTS)}.")
        if self.clip is not None and self.clip <= 0:
            raise ValueError(f"Gradients are clipped at a norm above 0, not {self.clip}: None leaves them as they are.")


def epsilon(rounds: int, settings: DQNSettings) -> float:
    """The chance of a random pick after `rounds` rounds over all episodes."""
    return settings.epsilon_floor + settings.epsilon_span * math.exp(-rounds / settings.epsilon_rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one step reports, all from before the step.

    loss: the TD loss, weighed where replay is prioritised, without what is imitated. q_mean: the mean Q of the actions taken.
    target_gap: how far the two networks are apart, the mean of |Q_online - Q_target| over those actions. td_error_B: target
    minus Q.
    """

    loss: float
    q_mean: float
    target_gap: float
    td_error_B: Tensor = field(compare=False)


class DQN(Generic[Network]):
    """Online and target network and the optimizer. The target moves only by `sync_target`, buffers and all.

    A network is called with states (B, S, F) and candidates (B, N, A) and returns Q, (B, N). One whose `needs_pool` is
    true values a candidate among its pool, and is given whole pools and their mask (B, N) as a third argument.

    Outside `update`'s own forward pass both networks are in eval mode: what BatchNorm learned decides, never what else
    happens to be in a batch.
    """

    def __init__(self, online: Network, settings: DQNSettings) -> None:
        self.online: Network = online.eval()
        self.settings = settings
        self.target: Network = copy.deepcopy(online).eval().requires_grad_(False)
        self.optimizer = _optimizer(online, settings)
        self.needs_pool = bool(getattr(online, "needs_pool", False))
        self._needs_two = any(isinstance(module, _BatchNorm) for module in online.modules())

    def update(self, batch: Batch, *, imitate: float = 0.0) -> Update:
        """One step towards the TD targets, and with `imitate` towards choosing as the batch's transitions did.

        That is DQN from demonstrations (Hester et al. 2018), with the cross-entropy of the choice for its margin.

        Raises:
            ValueError: a single transition, which has no batch statistics, where the network has BatchNorm; or
                transitions without their pools where the network values whole pools.
        """
        if self._needs_two and len(batch.reward_B) < 2:
            raise ValueError("A batch of 1 transition has no statistics for BatchNorm: at least 2 are needed.")
        if (self.needs_pool or imitate) and not bool(batch.pool_mask_BN.any(dim=1).all()):
            raise ValueError("Whole pools are valued here: give every transition its pool_NA.")
        batch = batch.to(next(self.online.parameters()).device)
        target_B = self.td_targets(batch)
        self.online.train()
        q_B = self._taken(self.online, batch)
        loss = self._loss(q_B, target_B, batch.weight_B)
        whole = loss + imitate * self._unlike(batch) if imitate else loss
        self.online.eval()
        self.optimizer.zero_grad()
        whole.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.online.parameters(), self.settings.clip)
        with torch.no_grad():
            gap = (q_B - self._taken(self.target, batch)).abs().mean()
        self.optimizer.step()
        q_B = q_B.detach()
        return Update(
            loss=float(loss.detach()), q_mean=float(q_B.mean()), target_gap=float(gap), td_error_B=target_B - q_B
        )

    def _loss(self, q_B: Tensor, target_B: Tensor, weight_B: Tensor) -> Tensor:
        loss_of = F.huber_loss if self.settings.loss == "huber" else F.mse_loss
        if self.settings.prioritised_alpha == 0.0:
            return loss_of(q_B, target_B)
        return (weight_B * loss_of(q_B, target_B, reduction="none")).mean()

    def _unlike(self, batch: Batch) -> Tensor:
        """The mean cross-entropy of the choices, had they been made by chances that follow from Q."""
        q_BN = self._values(self.online, batch.state_BSF, batch.pool_BNA, batch.pool_mask_BN)
        return F.cross_entropy((q_BN / CHOICE_SCALE).masked_fill(~batch.pool_mask_BN, -math.inf), batch.chosen_B)

    def _taken(self, network: Network, batch: Batch) -> Tensor:
        """Q of the actions taken, (B,)."""
        if not self.needs_pool:
            alone_B: Tensor = network(batch.state_BSF, batch.action_BA[:, None]).squeeze(1)
            return alone_B
        q_BN = self._values(network, batch.state_BSF, batch.pool_BNA, batch.pool_mask_BN)
        return q_BN.gather(1, batch.chosen_B[:, None]).squeeze(1)

    def _values(self, network: Network, state_BSF: Tensor, actions_BNA: Tensor, mask_BN: Tensor) -> Tensor:
        q_BN: Tensor = network(state_BSF, actions_BNA, mask_BN) if self.needs_pool else network(state_BSF, actions_BNA)
        return q_BN

    @torch.no_grad()
    def td_targets(self, batch: Batch) -> Tensor:
        """y = r + gamma^n Q_values(s', argmax_a Q_picks(s', a)) for each transition; y = r for a last one.

        Which of the two networks picks and which values is `settings.double`; both are in eval mode.
        """
        target_B = batch.reward_B.clone()
        goes_on_B = batch.next_mask_BN.any(dim=1)
        if not bool(goes_on_B.any()):
            return target_B
        mask_BN = batch.next_mask_BN[goes_on_B]
        inputs = batch.next_state_BSF[goes_on_B], batch.next_actions_BNA[goes_on_B], mask_BN
        online_BN, target_BN = self._values(self.online, *inputs), self._values(self.target, *inputs)
        picks_BN, values_BN = (online_BN, target_BN) if self.settings.double == "standard" else (target_BN, online_BN)
        best_B1 = picks_BN.masked_fill(~mask_BN, -math.inf).argmax(dim=1, keepdim=True)
        discount_B = batch.discount_B[goes_on_B].nan_to_num(nan=self.settings.gamma)
        target_B[goes_on_B] += discount_B * values_BN.gather(1, best_B1).squeeze(1)
        return target_B

    def sync_target(self) -> None:
        """Copy parameters and BatchNorm's statistics from the online to the target network."""
        self.target.load_state_dict(self.online.state_dict())

    def state_dict(self) -> dict[str, Tensor]:
        """Both networks and the optimizer's moments as named tensors."""
        state = {f"online.{key}": value for key, value in self.online.state_dict().items()}
        state |= {f"target.{key}": value for key, value in self.target.state_dict().items()}
        for name, parameter in self.online.named_parameters():
            known = self.optimizer.state.get(parameter, {})
            for ours, theirs in _MOMENTS[self.settings.optimizer].items():
                if known.get(theirs) is not None:
                    state[f"{ours}.{name}"] = known[theirs]
        return {key: value.detach().clone() for key, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave. Raises RuntimeError where a tensor lacks or does not fit."""
        self.online.load_state_dict(_under("online.", state))
        self.target.load_state_dict(_under("target.", state))
        self.optimizer.state.clear()
        for name, parameter in self.online.named_parameters():
            known = {
                # The count of steps stays in main memory, where AdamW wants it.
                theirs: state[f"{ours}.{name}"].to("cpu" if ours == "step" else parameter.device, copy=True)
                for ours, theirs in _MOMENTS[self.settings.optimizer].items()
                if f"{ours}.{name}" in state
            }
            if known:
                self.optimizer.state[parameter] = known


def _optimizer(network: nn.Module, settings: DQNSettings) -> torch.optim.Optimizer:
    lr, weight_decay = settings.lr, settings.weight_decay
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=weight_decay)
    return torch.optim.SGD(network.parameters(), lr=lr, momentum=settings.momentum, weight_decay=weight_decay)


def _under(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
