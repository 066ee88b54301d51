"""Who may be chosen next, against pixels that are really marked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.strategies.turns import Turns, apart

CELL = 4


def some_spans(rng: np.random.Generator) -> torch.Tensor:
    """Of six cells all parts: the cell, and its quarters; some of them."""
    spans = [[CELL * cell, CELL * cell + CELL] for cell in range(6)]
    spans += [[start, start + 1] for start in range(6 * CELL)]
    return torch.tensor(sorted(span for span in spans if rng.random() < 0.7) or [[0, 4]])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(1, 4))
def test_what_is_chosen_fits_and_nothing_more_would(seed: int, pooled: bool, wanted: int) -> None:
    rng = np.random.default_rng(seed)
    spans = some_spans(rng)
    pools = torch.from_numpy(np.sort(spans[:, 0].numpy() // CELL % wanted)) if pooled else None
    if pools is not None:
        spans = spans[np.argsort(spans[:, 0].numpy() // CELL % wanted, kind="stable")]
    turns, taken = Turns(spans, CELL, pools, wanted), np.zeros(6 * CELL, np.bool_)
    room = dict.fromkeys(pools.tolist() if pools is not None else [], CELL) or {None: CELL * wanted}
    while len(open_now := turns.open.tolist()):
        place = int(rng.choice(open_now))
        pool = None if pools is None else int(pools[place])
        own = slice(*spans[place].tolist())
        assert not taken[own].any()
        room[pool] -= own.stop - own.start
        assert room[pool] >= 0
        taken[own] = True
        turns.take(place)
    for place, (start, stop) in enumerate(spans.tolist()):
        pool = None if pools is None else int(pools[place])
        assert taken[start:stop].any() or room[pool] < stop - start
    assert len(set(turns.chosen)) == len(turns.chosen)


def test_pools_have_their_turns_in_the_order_in_which_they_come() -> None:
    turns, opened = Turns(apart(5), 1, torch.tensor([7, 7, 2, 2, 2]), 2), []
    while len(open_now := turns.open.tolist()):
        opened.append(open_now)
        turns.take(open_now[-1])
    assert (opened, turns.chosen) == ([[0, 1], [2, 3, 4]], [1, 4])


@pytest.mark.parametrize("wanted", [1, 3, 9])
def test_without_pools_and_sizes_as_many_as_are_wanted_are_chosen(wanted: int) -> None:
    turns = Turns(apart(5), 1, None, wanted)
    while len(open_now := turns.open):
        turns.take(int(open_now[0]))
    assert turns.chosen == list(range(min(5, wanted)))
    assert not len(Turns(apart(0), 1, None, wanted).open)
