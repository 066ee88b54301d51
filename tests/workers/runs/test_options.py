"""What is wrong with options is told in a sentence that says what to set."""

import pytest

from workers.experiments.presets import read_preset
from workers.runs.options import checked_budgets, usual_evaluation


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


@pytest.mark.parametrize(
    ("pool", "budgets"), [(10_000, "48,96,192,384"), (384, "48,96,192,384"), (100, "48,96"), (30, "24")]
)
def test_what_is_played_without_a_word_fits_the_pool(pool: int, budgets: str) -> None:
    usual = usual_evaluation(read_preset("folder", "folder"), pool)
    assert (usual.strategy, usual.budgets) == ("learned:shipped,entropy,random", budgets)


def test_where_a_network_is_trained_as_a_whole_the_paper_is_played() -> None:
    usual = usual_evaluation(read_preset("paper", "camvid"), 10_000)
    assert (usual.strategy, usual.budgets) == ("learned,entropy,random", "240,480")
