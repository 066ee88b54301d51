"""Says whether a policy's file fits a project: the one rule of the API, which refuses uploads, and of workers, which load."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.domain.classes import ClassSet
from service.domain.policy_networks import COUNTER, architecture_of
from service.domain.weights import StoredTensor, WeightsError, WeightsFile, check_format, check_kind

_WEIGHTS, _EXTRA = "weights.", "extra."


def check_policy(description: Mapping[str, Any], classes: ClassSet, state_regions: int) -> None:
    """Raises WeightsError where the policy that is described does not fit a project of these classes and regions of D_S.

    Codes: wrong_format, wrong_kind, unknown_architecture; other_classes, other_state_set where the architecture is bound to
    them, or looks at D_S where there is none. A regionwise network that relates classes to each other fits any classes and any
    D_S that has a region.
    """
    check_format(description)
    check_kind(description, "policy")
    architecture = architecture_of(description)
    if architecture.classes is not None and not _of_classes(architecture.classes, description, classes):
        sentence = "The policy was trained for other classes. Train a new one with a train-policy job."
        raise WeightsError("other_classes", sentence)
    regions = architecture.bound_to_regions
    if regions is not None and regions != state_regions:
        advice = (
            "Train a new one with a train-policy job." if state_regions else "Add images to the split `state` first."
        )
        raise WeightsError(
            "other_state_set",
            f"The policy was trained for a state set of {regions} regions, the project's has {state_regions}. {advice}",
        )
    if architecture.needs_state and not state_regions:
        sentence = (
            "The policy looks at the images of the split `state`, and the project has none. Add images to it first."
        )
        raise WeightsError("other_state_set", sentence)


def _of_classes(count: int, description: Mapping[str, Any], classes: ClassSet) -> bool:
    """Whether a policy that is bound to so many classes was trained for these, whatever they were called then."""
    names = description.get("classes")
    if count != len(classes) or not isinstance(names, list) or len(names) != count:
        return False
    return all(name in (each.name, *each.was) for name, each in zip(names, classes.classes, strict=True))


def check_policy_weights(file: WeightsFile) -> None:
    """Raises WeightsError where a policy's weights are not those of its architecture, or not finite.

    Codes: unknown_architecture, wrong_weights, weights_not_finite. Tensors beside the weights are whatever they are.
    """
    shapes = {_WEIGHTS + name: shape for name, shape in architecture_of(file.description).shapes().items()}
    held = {name: tensor for name, tensor in file.tensors.items() if not name.startswith(_EXTRA)}
    for name in sorted(shapes.keys() | held.keys()):
        wrong = _difference(shapes.get(name), held.get(name), "I64" if name.endswith(COUNTER) else "F32")
        if wrong:
            sentence = f"The weights do not fit the architecture of the policy: {name[:100]} {wrong}. "
            raise WeightsError("wrong_weights", sentence + "Upload the file as it was saved.")
    for name, tensor in held.items():
        if (
            tensor.dtype == "F32"
            and not np.isfinite(np.frombuffer(file.numbers[tensor.begin : tensor.end], "<f4")).all()
        ):
            sentence = f"{name} holds numbers that are not finite. Train a new policy with a train-policy job."
            raise WeightsError("weights_not_finite", sentence)


def _difference(shape: tuple[int, ...] | None, tensor: StoredTensor | None, dtype: str) -> str:
    """How a tensor differs from the one wanted; empty: it does not."""
    if tensor is None:
        return "is missing"
    if shape is None:
        return "does not belong there"
    if (tensor.dtype, tensor.shape) != (dtype, shape):
        return f"is {tensor.dtype} {list(tensor.shape)}, not {dtype} {list(shape)}"
    return ""
