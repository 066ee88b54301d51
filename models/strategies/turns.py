"""Owns who may be chosen next: one pool after the other, or all at once, until what there is room for is chosen.

Shape suffixes: M candidates.
"""

import torch
from torch import Tensor


class Turns:
    """The candidates of a round as they are chosen one by one. No two that are chosen have a pixel in common.

    With pools, each has its turn in the order in which they come, and room for one cell; without, there is room for `wanted`.
    """

    def __init__(self, spans_M2: Tensor, cell: int, pools_M: Tensor | None, wanted: int) -> None:
        """`spans_M2`: where each candidate begins and ends, int64 on the CPU, in units of which a cell has `cell`."""
        self._start_M, self._stop_M = spans_M2.T
        self._area_M, count = self._stop_M - self._start_M, len(spans_M2)
        self._free_M = torch.ones(count, dtype=torch.bool)
        if pools_M is None:
            self._waiting, self._room = [torch.arange(count)], cell * wanted
        else:
            pools = pools_M.cpu()
            self._waiting = [(pools == pool).nonzero()[:, 0] for pool in dict.fromkeys(pools.tolist())]
            self._room = cell
        self._left = self._room
        self.chosen: list[int] = []  # in the order in which they were

    @property
    def open(self) -> Tensor:
        """Places of the candidates that may be chosen now, in their order; none where the round is chosen."""
        while self._waiting:
            members_m = self._waiting[0]
            fit_m = self._free_M[members_m] & (self._area_M[members_m] <= self._left)
            if bool(fit_m.any()):
                return members_m[fit_m]
            self._waiting.pop(0)
            self._left = self._room
        return torch.zeros(0, dtype=torch.int64)

    def take(self, place: int) -> None:
        """Choose a candidate, one of those that are open."""
        self.chosen.append(place)
        self._left -= int(self._area_M[place])
        self._free_M &= (self._stop_M <= self._start_M[place]) | (self._start_M >= self._stop_M[place])


def apart(count: int) -> Tensor:
    """(count, 2): spans of as many cells."""
    starts = torch.arange(count)
    return torch.stack([starts, starts + 1], 1)
