"""The policy that comes with regionwise: blend.safetensors here, which CARD.md says what it learned from.

It has never seen an image of a real data set, and fits any classes.
"""

import hashlib
from importlib.resources import files

import torch

from service.domain.classes import ClassSet
from workers.training.checkpoints import Policy, load_policy

FILE = "blend.safetensors"


def shipped_bytes() -> bytes:
    """The file as it is saved."""
    return files(__name__).joinpath(FILE).read_bytes()


def shipped_digest() -> str:
    """The SHA-256 of the file, in hex."""
    return hashlib.sha256(shipped_bytes()).hexdigest()


def shipped_policy(classes: ClassSet, device: str | torch.device = "cpu") -> Policy:
    """The policy in evaluation mode."""
    return load_policy(shipped_bytes(), classes, 0, device)[0]
