"""Refactoring changes nothing that is computed: keys are those that caches were filled under, and records the same bytes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.pinned import METHODS, PINS, arithmetic, keys, records

ARITHMETIC = (PINS / "arithmetic.txt").read_text().strip()
KEYS = json.loads((PINS / "keys.json").read_text())


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return records(tmp_path_factory.mktemp("pins"))


def test_every_policy_and_method_of_every_preset_has_the_key_that_it_had() -> None:
    now = keys()
    # There may be more methods than when the keys were pinned.
    assert {preset: {name: now[preset].get(name) for name in known} for preset, known in KEYS.items()} == KEYS


@pytest.mark.skipif(arithmetic() != ARITHMETIC, reason="another processor or torch rounds otherwise")
def test_policies_learn_the_weights_that_they_learned(played: dict[str, bytes]) -> None:
    assert played["policies"] == (PINS / "policies.json").read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_tiny_run_writes_the_record_that_it_wrote(played: dict[str, bytes], method: str) -> None:
    name = method.replace(":", "-")
    pinned, now = (PINS / f"{name}.json").read_bytes(), played[name]
    if arithmetic() == ARITHMETIC:
        assert now == pinned  # byte for byte
    # Another processor or torch rounds otherwise: what follows from chance and truth alone must still be the same.
    known, found = json.loads(pinned), json.loads(now)
    assert _shape(found) == _shape(known)
    assert found["experiment"] == known["experiment"]
    if method == "random":
        assert found["asked"] == known["asked"]
        assert found["rounds"] == known["rounds"]
        assert list(_leaves(found["budgets"])) == pytest.approx(list(_leaves(known["budgets"])), abs=0.1)


def _shape(record: Any) -> Any:
    """The record without its numbers; lists of the same shape throughout count their entries."""
    if isinstance(record, dict):
        return {key: _shape(value) for key, value in record.items()}
    if isinstance(record, list):
        return len(record)
    return type(record).__name__ if isinstance(record, str) else "number"


def _leaves(record: Any) -> Iterator[float]:
    if isinstance(record, dict | list):
        for value in record.values() if isinstance(record, dict) else record:
            yield from _leaves(value)
    else:
        yield 0.0 if record is None else float(record)
