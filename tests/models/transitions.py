"""Transitions to test with: by hand, and whole episodes in random numbers."""

import torch

from models.replay import ReplayBuffer, Transition

CLASSES, REGIONS = 2, 3
F, A = CLASSES + 192, CLASSES + 192 + 64


def step(reward: float, pool: list[list[float]] | None, action: tuple[float, float] = (0.0, 0.0)) -> Transition:
    """A transition whose candidates are (online Q, target Q)."""
    return Transition(
        state_SF=torch.zeros(1, 1),
        action_A=torch.tensor(action),
        reward=reward,
        next_state_SF=None if pool is None else torch.zeros(1, 1),
        next_actions_NA=None if pool is None else torch.tensor(pool),
    )


def rounds(
    count: int, generator: torch.Generator, *, regions: int = 3, pool: int = 4, options: bool = False
) -> list[list[Transition]]:
    """An episode in random numbers: each round's next state is the next round's state, the last round has none.

    With options, transitions have discounts (but for the last round's) and their own pools (but for a round's first).
    """
    states = [torch.rand(REGIONS, F, generator=generator) for _ in range(count)]
    episode = []
    for number, state in enumerate(states):
        last = number == count - 1
        reward = float(torch.rand((), generator=generator))
        episode.append(
            [
                Transition(
                    **(own_part(k, last, generator) if options else {"action_A": torch.rand(A, generator=generator)}),
                    state_SF=state,
                    reward=reward,
                    next_state_SF=None if last else states[number + 1],
                    next_actions_NA=None if last else torch.rand(1 + k % pool, A, generator=generator),
                )
                for k in range(regions)
            ]
        )
    return episode


def own_part(k: int, last: bool, generator: torch.Generator) -> dict[str, object]:
    pool = torch.rand(1 + k, A, generator=generator)
    discount = None if last else 0.5 + k / 8
    if k == 0:
        return {"action_A": pool[0], "discount": discount}
    return {"action_A": pool[k - 1], "pool_NA": pool, "chosen": k - 1, "discount": discount}


def filled(capacity: int, count: int, seed: int = 0, *, alpha: float = 0.0, options: bool = False) -> ReplayBuffer:
    buffer = ReplayBuffer(capacity, alpha)
    for transitions in rounds(count, torch.Generator().manual_seed(seed), options=options):
        buffer.add(transitions)
    return buffer
