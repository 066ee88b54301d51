"""What is wrong with options is told in a sentence that says what to set."""

import pytest

from workers.experiments.presets import read_preset
from workers.runs.options import checked_budgets


@pytest.mark.parametrize(
    ("budgets", "pool", "words"),
    [
        (
            "8,48",
            100,
            r"at least one round, 24 regions: set greater ones by --budgets, or smaller rounds by --set batch_size=N",
        ),
        ("8", 8, r"smaller rounds by --set batch_size=N"),
        (
            "24",
            8,
            r"8 regions, less than a round of 24: set smaller rounds by --set batch_size=N, and budgets of 8 at most",
        ),
        ("24,120", 100, r"100 regions, less than the budget 120: set smaller ones by --budgets"),
    ],
)
def test_budgets_that_a_pool_cannot_have_say_how_to_go_on(budgets: str, pool: int, words: str) -> None:
    experiment = read_preset("folder", "folder", ["batch_size=24"])
    with pytest.raises(ValueError, match=words):
        checked_budgets(budgets, experiment, pool)
    small = read_preset("folder", "folder", ["batch_size=4"])
    assert checked_budgets("8,4", small, 8) == [4, 8]
