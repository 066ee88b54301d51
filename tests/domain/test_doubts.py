"""Warnings: what is worth one, and what is not; worked out by hand, and by chance that is known."""

from typing import Any

import numpy as np
import pytest

from service.domain import doubts


@pytest.mark.parametrize(
    ("mious", "warns"),
    [
        ([], False),
        ([0.5, 0.4, 0.3], False),  # three rounds, and none before them
        ([0.5, 0.45, 0.40, 0.35], True),
        ([0.5, 0.45, 0.40, 0.41], False),  # of few rounds all must fall
        ([0.5, 0.497, 0.494, 0.491], False),  # less than is worth a word
        ([0.30, 0.40, 0.50, 0.55, 0.53, 0.50, 0.47], False),  # 0.55 may have been chance
        ([0.30, 0.40, 0.50, 0.55, 0.53, 0.50, 0.47, 0.44], True),
        ([0.30, 0.40, 0.50, 0.55, 0.53, 0.50, 0.56], False),  # it has come back
        ([0.30, 0.40, 0.50, 0.52, 0.53, 0.54, 0.55], False),
        ([0.40, 0.40, 0.60, 0.40, 0.40, 0.40, 0.40], False),  # one was high by chance
        ([0.50, 0.40, 0.50, 0.40, 0.50, 0.40, 0.42, 0.41], False),  # it swings as far anyway
        ([0.0] * 8, False),
    ],
)
def test_a_fall_over_several_rounds_is_one_by_more_than_the_noise(mious: list[float], warns: bool) -> None:
    assert bool(doubts.of_course(mious)) == warns


def test_the_sentence_says_from_where_to_where_and_what_to_do() -> None:
    assert doubts.of_course([0.5, 0.45, 0.40, 0.35]) == (
        "mIoU on the reward images falls over rounds: it was 50.0, and was 35.0 after the newest, and lower in each of the last "
        "3. Look at their labels, or have another strategy ask."
    )


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_noise_alone_hardly_ever_warns_and_a_fall_under_it_does(noise: float) -> None:
    chance = np.random.default_rng(0)
    steady = 0.5 + noise * chance.standard_normal((400, 15))
    falls = steady - np.maximum(0, np.arange(15) - 9) * 3 * noise - np.where(np.arange(15) > 9, 0.02, 0)
    assert np.mean([bool(doubts.of_course(each.tolist())) for each in steady]) < 0.02
    assert np.mean([bool(doubts.of_course(each.tolist())) for each in falls]) > 0.9


def test_a_round_warns_where_it_fell_and_both_sides_are_known() -> None:
    assert doubts.of_round(0.5, 0.4, fell=True).startswith("mIoU on the reward images fell from 50.0 to 40.0")
    assert doubts.of_round(0.5, 0.4, fell=False) == doubts.of_round(None, 0.4, fell=True) == ""


@pytest.mark.parametrize(
    ("result", "begins"),
    [
        ({"returns": [-1.0, -0.2], "best_mean_return": -0.6}, "mIoU fell, or stayed, in each of the 2 games"),
        ({"returns": [0.0], "best_mean_return": 0.0}, "mIoU fell, or stayed"),
        ({"returns": [-1.0, 0.2], "best_mean_return": -0.4}, ""),
        ({"returns": [], "best_mean_return": None}, ""),
        ({"returns": [-1.0], "trials": [50.0]}, ""),
        ({"returns": [50.0], "compared": {"areas": {"own": 40.0, "random": 41.0}}}, "In held-out games the policy had"),
        ({"returns": [50.0], "compared": {"areas": {"own": 42.0, "random": 41.0}}}, ""),
        ({}, ""),
    ],
)
def test_a_policy_warns_where_it_never_gained(result: dict[str, Any], begins: str) -> None:
    said = doubts.of_policy(result)
    assert (bool(said), said.startswith(begins)) == (bool(begins), True)


def test_warnings_are_said_once_and_only_where_they_are_sentences() -> None:
    assert doubts.together("a.", None, "", "b.", "a.") == "a. b."
    assert [doubts.said_of(each) for each in (None, {}, {"warning": 7}, {"warning": "a."})] == ["", "", "", "a."]
