"""Works of a run: done after those they wait for, and one that fails or dies takes down only those that need it."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest
from rich.console import Console

from service.domain.methods import Method
from tests.workers.tiny import tiny_experiment
from workers.runs.processes import Processes, run_works
from workers.runs.progress import Board
from workers.runs.works import Run, Work, trajectory_works


class Pretended:
    """A crew that does nothing but remember, and fails where it is told to."""

    at_once = 2

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.done: list[str] = []
        self._failing = failing

    def submit(self, work: Work, board: Board) -> "Future[None]":
        future: Future[None] = Future()
        self.done.append(work.title)
        if work.title in self._failing:
            future.set_exception(ValueError("The disk is full."))
        else:
            future.set_result(None)
        return future

    def __enter__(self) -> "Pretended":
        return self

    def __exit__(self, *error: object) -> None: ...


def lines() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=False, width=200), written


@pytest.fixture
def works(tmp_path: Path) -> list[Work]:
    methods = [Method.learned("paper"), Method(name="random")]
    return trajectory_works(tiny_experiment(tmp_path), methods, ["per-pool"], [0, 1])


def test_works_are_done_in_the_order_of_what_they_need(works: list[Work]) -> None:
    crew = Pretended()
    assert run_works(works, crew, lines()[0]) == []
    assert sorted(crew.done) == sorted(work.title for work in works)
    for work in works:
        assert set(work.after) <= set(crew.done[: crew.done.index(work.title)])


def test_policies_are_begun_before_trajectories_that_could_do_without_them(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path, "theta0=source")
    works = trajectory_works(experiment, [Method(name="random"), Method.learned("regionwise")], ["per-pool"], [0])
    crew = Pretended()
    assert run_works(works, crew, lines()[0]) == []
    assert crew.done.index("policy regionwise") < crew.done.index("random, seed 0")


def test_one_that_fails_is_named_and_the_others_go_on(works: list[Work]) -> None:
    crew, (console, written) = Pretended(["policy paper"]), lines()
    failures = run_works(works, crew, console)
    assert [(each.work.title, each.error) for each in failures] == [
        ("policy paper", "The disk is full."),
        ("learned:paper, seed 0", "not begun, because policy paper failed"),
        ("learned:paper, seed 1", "not begun, because policy paper failed"),
    ]
    assert {"random, seed 0", "random, seed 1"} <= set(crew.done)
    assert "policy paper: failed: The disk is full." in written.getvalue()


def test_what_needs_the_unbegun_is_not_begun_either(works: list[Work]) -> None:
    crew = Pretended(["theta_pre"])
    failures = run_works(works, crew, lines()[0])
    assert len(failures) == len(works) - 1
    assert sorted(crew.done) == ["clicks", "theta_pre"]


def test_a_work_that_waits_for_none_of_them_is_refused(works: list[Work]) -> None:
    with pytest.raises(ValueError, match=r"theta_0 waits for theta_pre"):
        run_works(works[1:], Pretended(), lines()[0])


def test_an_error_in_a_process_comes_back_as_its_sentence_and_the_process_goes_on(tmp_path: Path) -> None:
    run = Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path / "out", budgets=(8,))
    works = [
        Work(stage="policy", name="none"),
        Work(stage="clicks"),
    ]
    (failure,) = run_works(works, Processes(run, jobs=1, device="cpu"), lines()[0])
    assert failure.work.title == "policy none"
    assert failure.error.startswith("There is no policy 'none'; there are paper, ")
    assert list((tmp_path / "out" / "cache").glob("clicks-pool-*.npy"))


def test_a_process_that_dies_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(experiment=tiny_experiment(tmp_path), root=None, out=tmp_path / "out")
    # A work that ends its process is stood for by a function that a spawned process can find: os._exit.
    monkeypatch.setattr("workers.runs.processes._in_process", dies_or_works)
    works = [Work(stage="policy", name="dies"), Work(stage="clicks")]
    (failure,) = run_works(works, Processes(run, jobs=1, device="cpu"), lines()[0])
    assert failure.work.name == "dies"
    assert "its process died" in failure.error


def dies_or_works(run: Run, work: Work, device: str) -> None:
    """Ends the process at once for the work named so."""
    if work.name == "dies":
        os._exit(1)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_is_estimated_from_works_of_the_same_stage() -> None:
    clock, (console, written) = Clock(), lines()
    works = [Work(stage="source"), *(Work(stage="trajectory", name="random", seed=seed) for seed in range(4))]
    board = Board(console, works, lambda: 2, clock)
    assert board.seconds_left() is None
    board.show("theta_pre", 0.5, "half")
    clock.now = 0.5
    board.end(works[0])  # from the cache: it tells nothing
    assert board.seconds_left() is None
    board.show("random, seed 0", 0.1, "begun")
    clock.now = 100.5
    board.end(works[1])
    board.show("random, seed 1", 0.5, "half")
    # 100 s each: half of one and two whole ones are left, two at a time.
    assert board.seconds_left() == pytest.approx(125.0)
    assert "random, seed 0: done in 1 min 40 s (2 of 5 works, about 2 min 30 s left)" in written.getvalue()
