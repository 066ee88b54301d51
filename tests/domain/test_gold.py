"""Which truths test anything, and the scores that gold regions are shown with."""

import numpy as np
import pytest

from service.domain.gold import is_telling, score_between, turns_wished

VOID = 255


def halves(left: int, right: int, share: float = 0.5) -> np.ndarray:
    truth = np.full((10, 100), left, np.uint8)
    truth[:, : round(100 * share)] = right
    return truth


@pytest.mark.parametrize(
    ("truth", "telling"),
    [
        (halves(1, 2), True),
        (halves(1, 1), False),
        (halves(1, 2, 0.01), False),
        (halves(1, VOID), False),
        (halves(VOID, VOID), False),
    ],
)
def test_a_truth_is_telling_with_two_classes_of_some_size(truth: np.ndarray, telling: bool) -> None:
    assert is_telling(truth, VOID) is telling


def test_a_truth_that_is_void_for_the_most_part_is_not_telling() -> None:
    truth = halves(1, 2)
    truth[:6] = VOID
    assert not is_telling(truth, VOID)
    truth[4:6] = 1
    assert is_telling(truth, VOID)


def test_as_many_are_wished_as_make_the_share_of_all_and_half_as_many_again() -> None:
    assert [turns_wished(24, share) for share in (0.0, 0.1, 0.5)] == [0, 4, 36]


def test_a_shown_score_lies_between_and_is_as_exact_as_those_of_a_network() -> None:
    high, low = float(np.float32(0.7312)), float(np.float32(0.7301))
    shown = score_between(high, low)
    assert low < shown < high
    assert float(np.float32(shown)) == shown
    assert score_between(0.3, 0.3) == 0.3
    assert score_between(0.75, None) < 0.75
    assert score_between(0.0, None) == 0.0
