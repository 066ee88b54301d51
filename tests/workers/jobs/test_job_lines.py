"""Lines of the log that a job writes name the job, its project, and the request that queued it."""

import logging
from collections.abc import Callable

import pytest

from service import logs
from tests.workers.conftest import Rectangles, World
from workers.jobs.delivery import JobRun, run_claimed


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
