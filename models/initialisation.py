"""Initial weights without global chance: what torch's default initialisers draw comes from a generator passed in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def drawn_from(generator: torch.Generator | None) -> Iterator[None]:
    """Within this block torch's CPU randomness is a stream seeded by one draw from `generator`; then it is as before.

    Without a generator the stream is always the same one, so that an untold seed is a fixed seed and never the clock.
    """
    source = torch.Generator() if generator is None else generator
    seed = int(torch.randint(2**62, (), generator=source, device=source.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def kaiming(module: nn.Module) -> None:
    """Normal weights with He et al.'s (2015) fan-out variance for every convolution, zero biases; in place."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
