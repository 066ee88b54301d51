"""Which device a worker or a simulation computes on."""

import torch


def resolve_device(wanted: str) -> str:
    """`auto` is CUDA where there is any; raises ValueError for a device that is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"The device {wanted} was asked for, but torch finds no CUDA device here; use auto or cpu.")
    return wanted
