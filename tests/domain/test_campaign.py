"""Sums over rounds, the pace of labelling, and when it ends: by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.campaign import DAY, HOUR, RoundWork, Stretch, finish_of, summed

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def stretch(known: timedelta, in_hour: int, in_day: int) -> Stretch:
    return Stretch(first=NOON - known, newest=NOON, in_hour=in_hour, in_day=in_day)


def test_each_round_has_what_all_before_it_have() -> None:
    def work(number: int, regions: int, seconds: float, untimed: int, miou: float | None) -> RoundWork:
        return RoundWork(
            number=number,
            strategy="entropy",
            policy_id=None,
            told_at=None,
            regions=regions,
            pixels=100 * regions,
            seconds=seconds,
            labels=regions,
            untimed=untimed,
            miou=miou,
        )

    found = summed([work(3, 2, 5.0, 0, 0.5), work(1, 4, 0.0, 4, None), work(2, 0, 1.5, 0, 0.4)])
    assert [each.number for each in found] == [1, 2, 3]
    assert [each.regions for each in found] == [4, 4, 6]
    assert [each.pixels for each in found] == [400, 400, 600]
    assert [each.seconds for each in found] == [0.0, 1.5, 6.5]
    assert [(each.labels, each.untimed) for each in found] == [(4, 4), (4, 4), (6, 4)]
    assert [each.miou for each in found] == [None, 0.4, 0.5]


@pytest.mark.parametrize(
    ("known", "in_hour", "in_day", "hour", "day"),
    [
        (3 * DAY, 12, 48, 12.0, 2.0),
        (HOUR, 12, 13, 12.0, 12.0),  # begun an hour ago: twelve since the first
        (timedelta(minutes=10), 6, 6, 30.0, 30.0),
        (timedelta(0), 1, 1, None, None),
    ],
)
def test_the_pace_is_that_of_the_time_that_there_was(
    known: timedelta, in_hour: int, in_day: int, hour: float | None, day: float | None
) -> None:
    labelled = stretch(known, in_hour, in_day)
    assert labelled.per_hour(HOUR) == hour
    assert labelled.per_hour(DAY) == day


def test_a_campaign_ends_when_what_is_left_is_labelled_at_that_pace() -> None:
    found = finish_of(24.0, stretch(3 * DAY, 12, 48), NOON)
    assert found.at == NOON + 12 * HOUR
    assert "in its last day" in found.sentence
    assert "2.0 labels an hour, 24 left" in found.sentence
    assert "since it began" in finish_of(24.0, stretch(HOUR, 12, 13), NOON).sentence


def test_where_no_end_can_be_said_a_sentence_says_why() -> None:
    labelled = stretch(DAY, 1, 24)
    for left, known, says in (
        (None, labelled, "Without a budget"),
        (0.0, labelled, "All that the budget asks for is labelled."),
        (5.0, None, "two labels"),
        (5.0, stretch(timedelta(0), 1, 1), "two labels"),
        (1e15, labelled, "longer than there are dates for"),
    ):
        found = finish_of(left, known, NOON)
        assert found.at is None
        assert says in found.sentence
