"""Processes that play the games of a search side by side: the games of a generation do not wait for each other.

Shapes: P numbers of a policy.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import vector_to_parameters

from models.strategies import Strategy, build_strategy
from workers.policy.contest import Contest

Numbers = NDArray[np.float64]
Build = Callable[[], tuple[Sequence[Contest], nn.Module]]
"""Makes the contests and a network whose numbers are to be tried: a plain function, or whatever else can be pickled."""


def asking(network: nn.Module, numbers_P: Numbers | None) -> Strategy:
    """The strategy of a policy of these numbers, which the network takes up; None: at random."""
    if numbers_P is None:
        return build_strategy("random")
    take_up(network, numbers_P)
    return build_strategy("learned", network)


def take_up(network: nn.Module, numbers_P: Numbers) -> None:
    """Give a network its numbers, in place."""
    like = next(network.parameters())
    vector_to_parameters(torch.from_numpy(numbers_P).to(like), network.parameters())


class Players:
    """As many processes as wanted, each with contests of its own, made once. Close it, or use it in a `with`."""

    def __init__(self, build: Build, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(build,))

    def area(self, numbers_P: Numbers | None, generation: int) -> "Future[float]":
        """What the policy of these numbers, or none, reaches in the game of a generation, in points."""
        return self._pool.submit(_area, numbers_P, generation)

    def close(self) -> None:
        """End the processes; games that have not begun are not played."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def dismiss(self) -> None:
        """Like `close`, without waiting for the games that are being played."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_made: tuple[Sequence[Contest], nn.Module]


def _begin(build: Build) -> None:
    end_with_parent()
    # As the games of one process are played: figures of a CPU depend on the number of threads.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    global _made
    _made = build()


def end_with_parent() -> None:
    """Have a process that was started by another end with that one, however that ends."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _area(numbers_P: Numbers | None, generation: int) -> float:
    contests, network = _made
    return contests[generation % len(contests)].play(asking(network, numbers_P), generation).area
