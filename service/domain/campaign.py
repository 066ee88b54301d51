"""How far a campaign has come, and when it ends: sums over rounds, labels an hour, and what is left at that pace."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundWork:
    """A round that is told: who asked, what is labelled of it, and mIoU in [0, 1] after learning from it, if measured.

    pixels: those of a class. seconds: of annotators, in `labels` less `untimed` of which nobody knows any.
    """

    number: int
    strategy: str | None
    policy_id: int | None
    told_at: datetime | None
    regions: int
    pixels: int
    seconds: float
    labels: int
    untimed: int
    miou: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The labels of a project: how many, of the last hour and day that there were any, and the first and the newest moment."""

    first: datetime
    newest: datetime
    in_hour: int
    in_day: int

    def per_hour(self, window: timedelta) -> float | None:
        """Labels an hour in a window of HOUR or DAY that ends with the newest; pauses count.

        Where labelling began within it, since then, without the first label, whose beginning nobody knows. None for a moment.
        """
        count = self.in_hour if window == HOUR else self.in_day
        known = self.newest - self.first
        if known >= window:
            return count * HOUR / window
        return (count - 1) * HOUR / known if known > timedelta(0) else None


def summed(rounds: Iterable[RoundWork]) -> list[RoundWork]:
    """Each round with what all rounds up to it have, first to last."""
    found: list[RoundWork] = []
    regions = pixels = labels = untimed = 0
    seconds = 0.0
    for each in sorted(rounds, key=lambda one: one.number):
        regions, pixels, labels = regions + each.regions, pixels + each.pixels, labels + each.labels
        untimed, seconds = untimed + each.untimed, seconds + each.seconds
        found.append(
            RoundWork(
                number=each.number,
                strategy=each.strategy,
                policy_id=each.policy_id,
                told_at=each.told_at,
                regions=regions,
                pixels=pixels,
                seconds=seconds,
                labels=labels,
                untimed=untimed,
                miou=each.miou,
            )
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """When a campaign ends, if that can be said, and a sentence on what that takes for granted, or on why it cannot."""

    at: datetime | None
    sentence: str


def finish_of(labels_left: float | None, labelled: Stretch | None, now: datetime) -> Finish:
    """When so many labels, None without a budget, will be there at the pace of the last day of labelling."""
    if labels_left is None:
        return Finish(at=None, sentence="Without a budget there is no end to expect: set budget in the settings.")
    if labels_left <= 0:
        return Finish(at=None, sentence="All that the budget asks for is labelled.")
    rate = None if labelled is None else labelled.per_hour(DAY)
    if labelled is None or not rate:
        return Finish(at=None, sentence="No pace is known yet: it takes two labels.")
    since = "in its last day" if labelled.newest - labelled.first >= DAY else "since it began"
    sentence = (
        f"If labelling goes on from now as {since}, pauses counted: {rate:.1f} labels an hour, {labels_left:.0f} left."
    )
    hours = labels_left / rate
    try:
        return Finish(at=now + timedelta(hours=hours), sentence=sentence)
    except OverflowError:
        return Finish(at=None, sentence="At the pace of the last day it would take longer than there are dates for.")
