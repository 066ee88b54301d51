"""Whether a policy's file fits a project: every rule by its code and its sentence."""

from typing import Any

import pytest

from service.domain.classes import CAMVID, CITYSCAPES
from service.domain.policy_files import check_policy, check_policy_weights
from service.domain.weights import StoredTensor, WeightsError, WeightsFile

PAPER = {"classes": 11, "state_regions": 24}
REGIONWISE = {"network": "regionwise", "deep": False, "dueling": False, "state_encoder": "mean", "width": 2}


def described(architecture: Any = PAPER, **changes: Any) -> dict[str, Any]:
    return {"format": 1, "kind": "policy", "classes": list(CAMVID.names), "architecture": architecture, **changes}


def refusal(description: dict[str, Any], classes: Any = CAMVID, state_regions: int = 24) -> tuple[str, str]:
    with pytest.raises(WeightsError) as refused:
        check_policy(description, classes, state_regions)
    return refused.value.code, refused.value.message


def test_the_papers_policy_fits_its_own_classes_and_state_set_alone() -> None:
    check_policy(described(), CAMVID, 24)
    other = ("other_classes", "The policy was trained for other classes. Train a new one with a train-policy job.")
    assert refusal(described(), CITYSCAPES) == other
    assert refusal(described(classes=list(reversed(CAMVID.names)))) == other
    assert refusal(described({**PAPER, "classes": 12})) == other
    assert refusal(described(classes=None)) == other
    assert refusal(described(), state_regions=36) == (
        "other_state_set",
        "The policy was trained for a state set of 24 regions, the project's has 36. "
        "Train a new one with a train-policy job.",
    )
    assert refusal(described(), state_regions=0) == (
        "other_state_set",
        "The policy was trained for a state set of 24 regions, the project's has 0. "
        "Add images to the split `state` first.",
    )


def test_a_regionwise_policy_fits_any_classes_and_state_set_unless_it_was_told_its_classes() -> None:
    check_policy(described(REGIONWISE), CITYSCAPES, 1)
    assert refusal(described(REGIONWISE), CITYSCAPES, 0) == (
        "other_state_set",
        "The policy looks at the images of the split `state`, and the project has none. Add images to it first.",
    )
    bound = REGIONWISE | {"classes": 11, "view": {"class_relative": False}}
    check_policy(described(bound), CAMVID, 7)
    assert refusal(described(bound), CITYSCAPES)[0] == "other_classes"


def test_other_versions_and_other_kinds_are_refused_first() -> None:
    assert refusal(described(format=2, kind="segmenter"))[0] == "wrong_format"
    assert refusal(described(kind="segmenter", architecture=None))[0] == "wrong_kind"


@pytest.mark.parametrize(
    ("architecture", "rule"),
    [
        (None, "it is an object"),
        ([], "it is an object"),
        ({"network": "transformer"}, "network is paper, regionwise, blend or turns"),
        ({"network": ["paper"]}, "network is paper, regionwise, blend or turns"),
        ({"classes": 11}, "paper has just classes and state_regions"),
        ({**PAPER, "width": 3}, "paper has just classes and state_regions"),
        ({**PAPER, "classes": 1}, "classes is a whole number, 2 at least"),
        ({**PAPER, "classes": 11.0}, "classes is a whole number, 2 at least"),
        ({**PAPER, "state_regions": True}, "state_regions is a whole number, 1 at least"),
        ({**REGIONWISE, "depth": 3}, "regionwise has only deep, width, dueling, state_encoder"),
        ({**REGIONWISE, "class_relative": True}, "regionwise has only deep, width, dueling, state_encoder"),
        ({**REGIONWISE, "deep": 1}, "deep is true or false"),
        ({**REGIONWISE, "width": 1}, "width is a whole number, 2 at least"),
        ({**REGIONWISE, "state_rows": 27}, "regionwise has only deep, width, dueling, state_encoder"),
        ({**REGIONWISE, "view": {"guide": True}}, "view has only class_relative, uncertainty, state"),
        ({**REGIONWISE, "width": "32"}, "width is a whole number, 2 at least"),
        ({**REGIONWISE, "state_encoder": ["mean"]}, "state_encoder is attention"),
        ({**REGIONWISE, "classes": -3}, "classes is a whole number, 2 at least"),
        ({**REGIONWISE, "view": None}, "view has only class_relative"),
        ({**REGIONWISE, "view": {"colour": True}}, "view has only class_relative"),
        ({**REGIONWISE, "view": {"class_relative": 0}}, "what view has is true or false"),
        ({**REGIONWISE, "view": {"class_relative": False}}, "without class_relative, classes is given"),
    ],
)
def test_an_architecture_that_is_not_known_is_refused_by_the_rule_that_it_breaks(architecture: Any, rule: str) -> None:
    code, sentence = refusal(described(architecture))
    assert code == "unknown_architecture"
    assert sentence.startswith(f"The architecture of the policy is not one that is known here, where {rule}")
    assert sentence.endswith("Take a policy that this version of regionwise has saved.")


# Of REGIONWISE by hand: 14 scores; 14 features of a state row to 2, and two means of 2 to 2.
SHAPES = {
    "weights.scores.weight": (1, 14),
    "weights.state_encoder.rows.0.weight": (2, 14),
    "weights.state_encoder.rows.0.bias": (2,),
    "weights.state_encoder.code.0.weight": (2, 4),
    "weights.state_encoder.code.0.bias": (2,),
}


def file_of(shapes: dict[str, tuple[int, ...]], *, numbers: bytes = b"\x00\x00\x80\x3f" * 100) -> WeightsFile:
    """A file of these weights, each of them the first of the numbers."""
    tensors = {
        name: StoredTensor(dtype="F32", shape=shape, begin=0, end=4 * shape[0] * (shape[1] if len(shape) > 1 else 1))
        for name, shape in shapes.items()
    }
    return WeightsFile(description=described(REGIONWISE), tensors=tensors, numbers=memoryview(numbers))


def test_weights_are_those_of_the_architecture_each_by_its_name_and_shape() -> None:
    check_policy_weights(file_of(SHAPES))
    check_policy_weights(file_of({**SHAPES, "extra.momentum": (7,)}))
    for shapes, how in (
        ({**SHAPES, "weights.scores.weight": (14, 1)}, "weights.scores.weight is F32 [14, 1], not F32 [1, 14]"),
        ({**SHAPES, "weights.value.0.bias": (2,)}, "weights.value.0.bias does not belong there"),
        ({**SHAPES, "scores": (2,)}, "scores does not belong there"),
        (dict(list(SHAPES.items())[:-1]), "weights.state_encoder.code.0.bias is missing"),
    ):
        with pytest.raises(WeightsError) as refused:
            check_policy_weights(file_of(shapes))
        assert refused.value.code == "wrong_weights"
        assert refused.value.message == (
            f"The weights do not fit the architecture of the policy: {how}. Upload the file as it was saved."
        )


@pytest.mark.parametrize("number", [b"\x00\x00\x80\x7f", b"\x00\x00\x80\xff", b"\x00\x00\xc0\x7f"])
def test_weights_that_are_not_finite_are_refused(number: bytes) -> None:
    with pytest.raises(WeightsError, match=r"holds numbers that are not finite\. Train a new policy") as refused:
        check_policy_weights(file_of(SHAPES, numbers=number * 100))
    assert refused.value.code == "weights_not_finite"
