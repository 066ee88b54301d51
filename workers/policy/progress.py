"""What a policy's training tells of itself while it goes on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """After each round, or game of a search: where the training is, and how it goes.

    reward: the round's gain of mIoU, in points; miou, in [0, 1]: after it. loss, mean_q, target_gap: means over the
    round's updates; None without one. ended: the episode whose last round it was has this return (the sum of its gains)
    and this area (the mean mIoU over its rounds), in points; trial: what the policy then reached without chance.
    """

    episode: int
    round_number: int
    rounds_done: int
    done: float
    epsilon: float
    reward: float
    miou: float
    loss: float | None
    mean_q: float | None
    target_gap: float | None
    ended: tuple[float, float] | None
    trial: float | None
