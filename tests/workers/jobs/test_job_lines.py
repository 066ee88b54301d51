"""Lines of the process's log name the job, its project, and the request that queued it; what a job says is kept with it."""

import logging
import time
from collections.abc import Callable

import pytest

from service import logs
from service.store.job_lines import Line
from tests.conftest import START
from tests.workers.conftest import Rectangles, World
from workers.jobs.delivery import JobRun, run_claimed
from workers.jobs.said import Said


def test_a_job_s_lines_name_it_and_the_request_that_queued_it(
    make_world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(budget=8)
    caplog.handler.addFilter(logs.Belonging())
    world.add("pool", Rectangles(2, 1), labelled=False)
    parameters = {"project": world.project.id}
    world.call("GET", "/next-regions", params=parameters, headers={"X-Request-ID": "asked-by-ada"})
    job = world.job(1)
    assert job.request_id == "asked-by-ada"

    def broken(run: JobRun) -> dict[str, object]:
        logging.getLogger("workers.loop").warning("a line of the loop")
        raise RuntimeError("it broke")

    run_claimed(world.worker, job.id, {job.kind: broken})
    said = [record for record in caplog.records if record.name.startswith("workers.")]
    assert len(said) == 2
    for record in said:
        assert record.belongs == {  # type: ignore[attr-defined]
            "job_id": job.id,
            "job_kind": job.kind,
            "project": world.project.id,
            "request_id": job.request_id,
        }
    assert logs.noted() == {}


def test_what_a_job_says_is_in_its_log_while_it_runs_and_after_it_failed(make_world: Callable[..., World]) -> None:
    world = make_world(budget=8)
    world.add("pool", Rectangles(2, 1), labelled=False)
    world.call("GET", "/next-regions", params={"project": world.project.id})
    job = world.job(1)

    def texts() -> list[str]:
        return [each["text"] for each in world.call("GET", f"/jobs/{job.id}/log")["items"]]

    def broken(run: JobRun) -> dict[str, object]:
        for number in range(1000):
            run.step(number / 1000, f"Looking at image {number} of 1000")
        run.step(0.9, "Learning")
        deadline = time.monotonic() + 20
        while "Learning" not in texts():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        raise RuntimeError("it broke")

    run_claimed(world.worker, job.id, {job.kind: broken})
    said = texts()
    assert [each for each in said if each.startswith("Looking")][-1] == "Looking at image 999 of 1000"
    assert len(said) < 100
    assert said[0] == "A worker begins with it, try 1."
    assert said[-3:] == ["Learning", "RuntimeError: it broke", "It is tried again at once."]


def test_what_could_not_be_written_is_kept_for_another_time() -> None:
    said = Said()
    said.add(START, "step 1 of 9")
    said.add(START, "step 2 of 9")

    def fail() -> None:
        with said.taken() as lines:
            assert [each.text for each in lines] == ["step 2 of 9"]
            said.add(START, "and on")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with said.taken() as lines:
        assert lines == [Line(at=START, text="step 2 of 9"), Line(at=START, text="and on")]
    with said.taken() as lines:
        assert lines == []
