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


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keep an operation to the thread that calls it, where the work is done sooner than the other threads are woken.

    Those would moreover spin for milliseconds afterwards, on cores that the next pieces of work are spread over.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def spread(work: Callable[[Item], Result], items: Sequence[Item], device: torch.device) -> list[Result]:
    """Do independent pieces of tensor work, on a CPU by as many threads as torch would use, without gradients.

    Each thread works through whole pieces, small enough for its core's cache, rather than all threads through each
    operation. Besides keeping data in the cache this spares the barrier after every operation, which costs
    milliseconds each time where another process wants the cores: a busy machine made the same work 20 times slower.
    On other devices, which queue work by themselves, the pieces are done one after the other.
    """
    if device.type != "cpu":
        with torch.no_grad():
            return [work(item) for item in items]

    left, results = iter(enumerate(items)), dict[int, Result]()

    def work_through() -> None:
        with on_one_thread(), torch.no_grad():  # both belong to a thread, and are not handed on to those it starts
            for number, item in left:
                results[number] = work(item)

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads) as pool:
            others = [pool.submit(work_through) for _ in range(1, min(threads, len(items)))]
            work_through()
            for other in others:
                other.result()
    finally:
        torch.set_num_threads(threads)  # threads that are started later take the number that was set last, by any
    return [results[number] for number in range(len(items))]
