"""Owns how networks and tensors are worked on where nothing is learned: in evaluation mode, spread over the CPU."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every part of a network into evaluation mode, without gradients; afterwards each is as it was."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def spread(work: Callable[[Item], Result], items: Sequence[Item], device: torch.device) -> list[Result]:
    """Do independent pieces of tensor work, on a CPU by as many threads as torch would use, without gradients.

    Each thread works through whole pieces, small enough for its core's cache, rather than all threads through each
    operation. Besides keeping data in the cache this spares the barrier after every operation, which costs
    milliseconds each time where another process wants the cores: a busy machine made the same work 20 times slower.
    On other devices, which queue work by themselves, the pieces are done one after the other.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(items) < 2:
        with torch.no_grad():
            return [work(item) for item in items]

    @torch.no_grad()  # gradient mode belongs to a thread
    def worked(item: Item) -> Result:
        return work(item)

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(worked, items))
    finally:
        torch.set_num_threads(threads)  # the caller's own number never changed: this is for threads started later
