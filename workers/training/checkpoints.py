"""Networks to bytes and back: safetensors with a JSON description, never pickle."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from models.blend import Blend
from models.carrying import carried_rows
from models.frozen import FrozenSegmenter, build_frozen
from models.projection import Projection
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork
from models.segmenter import Segmenter, build
from models.turns_network import TurnsNetwork
from service.domain.class_changes import carried_from, named_so
from service.domain.classes import ClassSet
from service.domain.policy_files import check_policy
from service.domain.weights import FORMAT, WeightsError, check_format, check_kind
from workers.chance import torch_generator
from workers.files import settings_hash
from workers.training.encoders import frozen_eye

_NETWORKS: dict[str, type[RegionwiseNetwork | Blend | TurnsNetwork]] = {
    "regionwise": RegionwiseNetwork,
    "blend": Blend,
    "turns": TurnsNetwork,
}
Policy = QueryNetwork | RegionwiseNetwork | Blend | TurnsNetwork
_PROJECTION = "projection."
_WEIGHT, _BIAS = "classifier.weight", "classifier.bias"


class CheckpointError(ValueError):
    """The bytes are no checkpoint, or one that does not fit; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A description, a network's weights, and further tensors (momentum, replay buffers) under names of their own."""

    description: dict[str, Any]
    weights: dict[str, Tensor]
    extra: dict[str, Tensor]


def to_bytes(description: dict[str, Any], weights: dict[str, Tensor], extra: dict[str, Tensor] | None = None) -> bytes:
    """One safetensors file: `weights.*` and `extra.*`, with the description in its header."""
    tensors = {f"weights.{key}": tensor for key, tensor in weights.items()}
    tensors |= {f"extra.{key}": tensor for key, tensor in (extra or {}).items()}
    tensors = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    return save_tensors(tensors, metadata={"regionwise": json.dumps({"format": FORMAT, **description})})


def from_bytes(data: bytes) -> Checkpoint:
    """The inverse of to_bytes. Raises CheckpointError."""
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "extra": {}}
    try:
        length = int.from_bytes(data[:8], "little")
        description = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["regionwise"])
        for key, tensor in load_tensors(data).items():
            part, _, name = key.partition(".")
            parts[part][name] = tensor
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"This is not a checkpoint of regionwise ({error}).") from error
    with _refused_here():
        check_format(description)
    return Checkpoint(description=description, weights=parts["weights"], extra=parts["extra"])


def segmenter_description(segmenter: Segmenter, classes: ClassSet, **more: Any) -> dict[str, Any]:
    """What must be known to build the network again, and to refuse one that does not fit."""
    settings: dict[str, Any] = {"name": segmenter.name, "width": segmenter.width, "dropout": segmenter.dropout.p}
    if isinstance(segmenter, FrozenSegmenter):
        eye = segmenter.eye
        settings["frozen"] = {"stride": eye.stride, "magnification": eye.magnification, "sha256": eye.sha256}
    return {
        "kind": "segmenter",
        "architecture": settings,
        "classes": list(classes.names),
        "class_set": classes.to_json(),
        "hash": settings_hash([settings, classes.names]),
        **more,
    }


def classes_of(checkpoint: Checkpoint) -> ClassSet | None:
    """The classes of a segmenter's checkpoint, with their ids; None where an earlier version saved their names alone."""
    kept = checkpoint.description.get("class_set")
    return None if kept is None else ClassSet.from_json(kept)


def save_segmenter(
    segmenter: Segmenter, classes: ClassSet, extra: dict[str, Tensor] | None = None, **more: Any
) -> bytes:
    """A segmenter's checkpoint. Of a frozen encoder it holds the weights' SHA-256 and the projection, of the rest the weights."""
    if isinstance(segmenter, FrozenSegmenter):
        projection = {f"{_PROJECTION}{key}": tensor for key, tensor in segmenter.projection.tensors().items()}
        extra = projection | (extra or {})
    return to_bytes(segmenter_description(segmenter, classes, **more), segmenter.state_dict(), extra)


def load_segmenter(data: bytes, classes: ClassSet, device: str | torch.device = "cpu") -> tuple[Segmenter, Checkpoint]:
    """The segmenter in evaluation mode, and the further tensors that were saved beside it.

    Where the classes were changed since it was saved, its classifier is carried over to those of now, and nothing that was saved
    beside it fits any more; a head on a frozen encoder counts as not fitted yet. Raises CheckpointError where kind or classes do
    not fit, or a frozen encoder cannot be had; EncoderOutOfReach where it cannot be had right now.
    """
    checkpoint = from_bytes(data)
    with _refused_here():
        check_kind(checkpoint.description, "segmenter")
    checkpoint = _carried_over(checkpoint, classes)
    projection, rest = dict[str, Tensor](), dict[str, Tensor]()
    for key, tensor in checkpoint.extra.items():
        part = projection if key.startswith(_PROJECTION) else rest
        part[key.removeprefix(_PROJECTION)] = tensor
    segmenter = _built(checkpoint, projection, len(classes))
    _load(segmenter, checkpoint)
    return segmenter.to(device).eval(), replace(checkpoint, extra=rest)


def _carried_over(checkpoint: Checkpoint, classes: ClassSet) -> Checkpoint:
    """The checkpoint, its classifier brought to these classes. Raises CheckpointError where it is of classes never theirs."""
    try:
        names = checkpoint.description["classes"]
        then = classes_of(checkpoint) or (named_so(names, classes) if classes.changes else None)
        if then is None and names != list(classes.names):
            raise ValueError("The classes are others.")
        sources = None if then is None else carried_from(then, classes)
    except ValueError as error:
        raise CheckpointError(
            f"The checkpoint knows the classes {', '.join(checkpoint.description['classes'])}, the project has "
            f"{', '.join(classes.names)}. Train a new one with a pretrain job."
        ) from error
    if sources is None:
        return checkpoint
    weights, generator = dict(checkpoint.weights), torch_generator(0, "new classes")
    weights[_WEIGHT], weights[_BIAS] = carried_rows(weights[_WEIGHT], weights[_BIAS], sources, generator)
    if "fitted" in weights:
        weights["fitted"] = torch.zeros_like(weights["fitted"])
    extra = {key: tensor for key, tensor in checkpoint.extra.items() if key.startswith(_PROJECTION)}
    return replace(checkpoint, weights=weights, extra=extra)


def _built(checkpoint: Checkpoint, projection: dict[str, Tensor], classes: int) -> Segmenter:
    architecture = checkpoint.description["architecture"]
    try:
        if "frozen" not in architecture:
            return build(
                architecture["name"], classes=classes, width=architecture["width"], dropout=architecture["dropout"]
            )
        eye = frozen_eye(architecture["name"], **architecture["frozen"])
    except ValueError as error:  # an EncoderError, or a name that stands for nothing here
        raise CheckpointError(str(error)) from error
    if projection.keys() != Projection.__dataclass_fields__.keys():
        raise CheckpointError(
            "The checkpoint of a frozen encoder lacks its projection. Train a new one with a pretrain job."
        )
    return build_frozen(
        eye, Projection(**projection), classes=classes, hidden=architecture["width"], dropout=architecture["dropout"]
    )


def save_policy(policy: Policy, classes: ClassSet, extra: dict[str, Tensor] | None = None, **more: Any) -> bytes:
    """A query network's checkpoint."""
    if isinstance(policy, QueryNetwork):
        sizes: dict[str, Any] = {"classes": policy.classes, "state_regions": policy.state_regions}
    else:
        name = next(name for name, network in _NETWORKS.items() if isinstance(policy, network))
        sizes = {"network": name, **policy.describe()}
    description = {
        "kind": "policy",
        "architecture": sizes,
        "classes": list(classes.names),
        "hash": settings_hash([sizes, classes.names]),
        **more,
    }
    return to_bytes(description, policy.state_dict(), extra)


def load_policy(
    data: bytes, classes: ClassSet, state_regions: int, device: str | torch.device = "cpu"
) -> tuple[Policy, Checkpoint]:
    """The query network in evaluation mode. Raises CheckpointError where it does not fit, see `check_policy`."""
    checkpoint = from_bytes(data)
    with _refused_here():
        check_policy(checkpoint.description, classes, state_regions)
    sizes = dict(checkpoint.description["architecture"])
    network = _NETWORKS.get(sizes.pop("network", "paper"))
    policy: Policy = network.from_description(sizes) if network is not None else QueryNetwork(**sizes)
    _load(policy, checkpoint)
    return policy.to(device).eval(), checkpoint


@contextmanager
def _refused_here() -> Iterator[None]:
    """What the domain's rules refuse, in this module's words."""
    try:
        yield
    except WeightsError as error:
        raise CheckpointError(error.message) from error


def _load(network: nn.Module, checkpoint: Checkpoint) -> None:
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise CheckpointError(f"The checkpoint does not fit its own architecture: {error}") from error
