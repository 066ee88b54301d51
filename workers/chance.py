"""Random generators derived from a seed and a path of names, so that what happens next never depends on what happened before."""

import hashlib

import numpy as np
import torch


def derived_seed(seed: int, *path: str | int) -> int:
    """A 63-bit seed for the purpose that `path` names."""
    digest = hashlib.sha256("/".join(map(str, (seed, *path))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def numpy_generator(seed: int, *path: str | int) -> np.random.Generator:
    """A numpy generator for the purpose that `path` names."""
    return np.random.default_rng(derived_seed(seed, *path))


def torch_generator(seed: int, *path: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator for the purpose that `path` names."""
    return torch.Generator(device=device).manual_seed(derived_seed(seed, *path))
