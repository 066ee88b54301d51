"""The policy that comes with regionwise: blend.safetensors here, which CARD.md says what it learned from.

It has never seen an image of a real data set, and fits any classes.
"""

import hashlib
from importlib.resources import files

import torch

from models.blend import Blend
from service.domain.classes import ClassSet
from service.schemas.policies import PolicySettings
from workers.training.checkpoints import Policy, from_bytes, load_policy

FILE = "blend.safetensors"


def shipped_bytes() -> bytes:
    """The file as it is saved."""
    return files(__name__).joinpath(FILE).read_bytes()


def shipped_digest() -> str:
    """The SHA-256 of the file, in hex."""
    return hashlib.sha256(shipped_bytes()).hexdigest()


def beginning_of(settings: PolicySettings) -> dict[str, str]:
    """What a policy's key says in place of where its search begins, where that is here: the file may change."""
    return {"begins": shipped_digest()} if settings.begins == "shipped" else {}


def shipped_blend() -> Blend:
    """The policy as a search begins at it."""
    checkpoint = from_bytes(shipped_bytes())
    architecture = {name: value for name, value in checkpoint.description["architecture"].items() if name != "network"}
    network = Blend.from_description(architecture)
    network.load_state_dict(checkpoint.weights)
    return network


def shipped_policy(classes: ClassSet, device: str | torch.device = "cpu") -> Policy:
    """The policy in evaluation mode."""
    return load_policy(shipped_bytes(), classes, 0, device)[0]
