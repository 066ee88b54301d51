"""Methods and their texts: each is the other's inverse, and callers are told what they ask."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.methods import BASELINES, Method, Variant

TEXTS = st.text(alphabet="abc:-") | st.builds(
    "{}{}{}".format,
    st.sampled_from(["learned", "learned-untrained", "score", "entropy"]),
    st.sampled_from(["", ":"]),
    st.text(),
)


@given(TEXTS)
def test_every_text_is_that_of_its_method(text: str) -> None:
    assert str(Method.parse(text)) == text


@given(st.text(), st.sampled_from(["", "untrained"]))
def test_every_method_of_a_policy_is_that_of_its_text(policy: str, variant: Variant) -> None:
    method = Method(name="learned", policy=policy, variant=variant)
    assert Method.parse(str(method)) == method


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("entropy", Method(name="entropy")),
        ("greedy-oracle", Method(name="greedy-oracle")),
        ("learned", Method(name="learned")),
        ("learned:paper", Method(name="learned", policy="paper")),
        ("learned:of:two", Method(name="learned", policy="of:two")),
        ("learned-untrained:paper", Method(name="learned", policy="paper", variant="untrained")),
        ("learned:", Method(name="learned:")),
        ("entropy:paper", Method(name="entropy:paper")),
    ],
)
def test_texts_are_read_as_what_they_name(text: str, method: Method) -> None:
    assert Method.parse(text) == method


@pytest.mark.parametrize("text", ["learned:paper", "learned-untrained:paper", "bvsb", "greedy-oracle"])
def test_a_method_is_of_one_kind(text: str) -> None:
    method = Method.parse(text)
    kinds = {
        "learned:paper": method.is_learned,
        "learned-untrained:paper": method.is_untrained,
        "bvsb": method.is_baseline,
        "greedy-oracle": method.is_plain and not method.is_baseline,
    }
    assert [each for each, holds in kinds.items() if holds] == [text]
    assert method.is_plain == (":" not in text)


def test_short_ways_make_what_their_texts_say() -> None:
    assert str(Method.learned("paper")) == "learned:paper"
    assert str(Method.untrained("paper")) == "learned-untrained:paper"
    assert Method.untrained("paper").head == "learned-untrained"
    assert Method(name="random").head == "random"


@pytest.mark.parametrize(
    "values",
    [
        {"name": "entropy", "policy": "paper"},
        {"name": "entropy", "variant": "untrained"},
        {"name": "learned-untrained"},
        {"name": "learned:paper"},
    ],
)
def test_a_strategy_without_a_policy_is_not_taken_for_one_with(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="only 'learned' is"):
        Method(**values)


def test_every_baseline_is_named_once_and_is_no_policy() -> None:
    assert len(set(BASELINES)) == len(BASELINES)
    assert all(Method.parse(name).is_baseline for name in BASELINES)
