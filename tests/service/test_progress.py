"""What is said of a long work, and how often."""

import io
import time

import pytest
from rich.console import Console

from service.progress import Pace, Progress, spelled


class Ticking:
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_the_pace_since_it_was_first_looked_at() -> None:
    pace = Pace()
    assert pace.seconds_left(60, 100, 5.0) is None  # 60 were there before
    assert pace.seconds_left(70, 100, 25.0) == pytest.approx(60.0)  # 2 s each
    assert pace.seconds_left(70, 100, 45.0) == pytest.approx(40.0)  # 20 s of these have gone by
    assert pace.seconds_left(70, 100, 95.0) == pytest.approx(270.0)  # it has become slower: 9 s each
    assert pace.seconds_left(70, None, 25.0) is None


def test_a_line_says_how_far_it_is_what_is_done_and_the_time_left() -> None:
    clock = Ticking()
    progress = Progress("Predicting", total=40, unit="images", clock=clock)
    progress.update(0)
    clock.now = 20.0
    progress.update(10, "b.png")
    assert progress.line() == "Predicting: 10 of 40 images, about 1 min 0 s left, b.png"
    progress.update(40)
    assert progress.line() == "Predicting: 40 of 40 images"


def test_a_share_is_shown_in_percents_and_an_unknown_total_not_at_all() -> None:
    share, count = Progress("pretrain", clock=Ticking()), Progress("learn", total=None, unit="rounds", clock=Ticking())
    share.update(0.256)
    count.update(3)
    assert (share.line(), count.line()) == ("pretrain: 26 %", "learn: 3 rounds")


def test_lines_go_on_while_nothing_is_heard_of_the_work_and_the_last_one_says_that_it_is_over() -> None:
    out = io.StringIO()
    with Progress("Exporting", console=Console(file=out, width=80), every=0.01) as progress:
        progress.update(0.5)
        for _ in range(500):
            if out.getvalue().count("\n") >= 2:
                break
            time.sleep(0.01)
        progress.update(1.0)
    lines = out.getvalue().splitlines()
    assert lines[0] == lines[1] == "Exporting: 50 %"
    assert lines[-1] == "Exporting: 100 %, in 0 s"


def test_nothing_is_said_to_be_over_that_broke_off() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="broke"), Progress("Exporting", console=Console(file=out)):
        raise ValueError("broke")
    assert out.getvalue() == ""


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")])
def test_times_are_spelled(seconds: float, text: str) -> None:
    assert spelled(seconds) == text
