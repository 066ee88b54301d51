"""What live rounds looked like to the policy that asked for them: kept as bytes, and remembered by whoever learns from them.

Shapes: S state regions, F features of a state region, N candidates of a pool, A features of a candidate, L live rounds.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from torch import nn

from models.dqn import NStep, PlayedRound, Transition
from models.observation import PAPER
from workers.loop.round import Proposal
from workers.policy.game import Asked
from workers.training.checkpoints import from_bytes, to_bytes

FEWEST = 3
"""Rounds that a trend is drawn through; fewer say nothing."""
_NOTHING = 1e-9  # points: rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRound:
    """A round of a project: its number, the gain of mIoU that it brought, in points, and what was seen of it.

    rows: how that was looked at, see `rows_of`.
    """

    number: int
    gain: float
    rows: str
    asked: Asked


def kind_of(policy: nn.Module) -> str:
    """A short name of that, for the key of what is kept."""
    return type(getattr(policy, "view", PAPER)).__name__.removesuffix("View").lower()


def rows_of(policy: nn.Module) -> str:
    """How a policy looks at a round, in words that are the same for policies that look alike."""
    view = getattr(policy, "view", PAPER)
    settings = getattr(view, "settings", None)
    told = {name: True for name in ("in_turn", "covers") if getattr(policy, name, False)}
    return json.dumps([type(view).__name__, told if settings is None else asdict(settings)])


def kept(policy: nn.Module, proposal: Proposal) -> bytes | None:
    """What a policy saw of a round, to be kept; None where regions were not chosen one of each pool."""
    if proposal.state_SF is None or not proposal.actions:
        return None
    tensors = {"state": proposal.state_SF, **{f"pool.{k}": pool for k, pool in enumerate(proposal.actions)}}
    return to_bytes({"kind": "round", "rows": rows_of(policy), "chosen": list(proposal.chosen)}, {}, tensors)


def remembered(data: bytes, *, number: int, gain: float) -> LiveRound:
    """The inverse of `kept`. Raises CheckpointError."""
    saved = from_bytes(data)
    chosen = tuple(saved.description["chosen"])
    asked = Asked(
        state_SF=saved.extra["state"], pools=tuple(saved.extra[f"pool.{k}"] for k in range(len(chosen))), chosen=chosen
    )
    return LiveRound(number=number, gain=gain, rows=saved.description["rows"], asked=asked)


def transitions(
    live: Sequence[LiveRound],
    like: Asked,
    rows: str,
    returns: Callable[[], NStep],
    paid: Callable[[float, int], tuple[float, ...]],
) -> list[Transition]:
    """Transitions of those live rounds that were looked at as `like` is, a round of a game.

    A round that others asked for ends a run of them: of those before it the last, whose next state is not known, are left out.
    paid: what each of so many regions is paid for a reward, which is the gain over those of rounds at that stage, by the size of
    all of these. None of fewer than FEWEST rounds.
    """
    alike = [each for each in live if each.rows == rows and _shapes(each.asked) == _shapes(like)]
    if len(alike) < FEWEST:
        return []
    found: list[Transition] = []
    held, last = returns(), None
    for each, reward in zip(alike, over_trend([each.gain for each in alike]), strict=True):
        if last is not None and each.number != last + 1:
            held = returns()
        device = like.state_SF.device
        state, pools = each.asked.state_SF.to(device), tuple(pool.to(device) for pool in each.asked.pools)
        found += held.arrive(state, pools)
        rewards = paid(reward, len(pools))
        held.hold(PlayedRound(state_SF=state, pools=pools, chosen=each.asked.chosen, rewards=rewards))
        last = each.number
    return found


def over_trend(gains_L: Sequence[float]) -> list[float]:
    """What each gain has over a line through all of them and the logarithm of their place: gains fall as labels come in.

    Divided by the root of their mean square, so that their size is 1. A game's rewards are set beside a twin's; a live round
    has none.
    """
    place_L, gain_L = np.log(np.arange(1, len(gains_L) + 1)), np.asarray(gains_L, np.float64)
    line = np.polyfit(place_L, gain_L, 1)
    over_L = gain_L - np.polyval(line, place_L)
    size = float(np.sqrt(np.mean(over_L**2)))
    return [float(each) for each in over_L / (size if size > _NOTHING else 1.0)]


def _shapes(asked: Asked) -> tuple[tuple[int, ...], int]:
    return tuple(asked.state_SF.shape), asked.pools[0].shape[1] if asked.pools else 0
