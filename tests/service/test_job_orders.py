"""What people order of jobs: they begin, stop and are tried again, and two of a kind never wait for each other."""

import pytest

from service.db import Database
from service.errors import Conflict
from service.store import job_orders, jobs
from tests.conftest import START, Outbox
from tests.maker import Maker
from tests.service.test_job_store import claim, queue


@pytest.fixture
def project_id(make: Maker) -> int:
    return make.project().id


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_asked_to_stop(
    database: Database, project_id: int
) -> None:
    queued, running = queue(database, project_id), queue(database, project_id, "evaluate")
    claimed = claim(database, running)
    assert claimed is not None
    with database.write() as session:
        assert job_orders.request_cancel(session, queued, now=START).state == "cancelled"
        assert job_orders.request_cancel(session, running, now=START).state == "running"
    with database.write() as session:
        assert jobs.beat(session, running, str(claimed.lock), now=START, progress=None, message=None) is True
    with pytest.raises(Conflict), database.write() as session:
        job_orders.request_cancel(session, queued, now=START)


def test_rounds_are_not_cancelled(database: Database, project_id: int) -> None:
    job_id = queue(database, project_id, "ask")
    with pytest.raises(Conflict, match="inactive"), database.write() as session:
        job_orders.request_cancel(session, job_id, now=START)


def test_a_failed_job_can_be_tried_again(database: Database, project_id: int, outbox: Outbox) -> None:
    job_id = queue(database, project_id)
    claimed = claim(database, job_id)
    assert claimed is not None
    with database.write() as session:
        job = jobs.owned_job(session, job_id, str(claimed.lock))
        jobs.fail_job(session, job, now=START, error="no data", max_attempts=3, final=True)
    outbox.clear()
    with database.write() as session:
        job_orders.retry_job(session, job_id, now=START)
    assert outbox == [(job_id, "finish")]
    assert claim(database, job_id) is not None


def test_a_job_is_not_tried_again_beside_another_of_its_kind(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    first = queue(database, project_id, "train-policy")
    with database.write() as session:
        job_orders.request_cancel(session, first, now=START)
    second = queue(database, project_id, "train-policy")
    outbox.clear()
    with pytest.raises(Conflict, match=f"Job {second} of this kind is queued"), database.write() as session:
        job_orders.retry_job(session, first, now=START)
    assert outbox == []
    with database.read() as session:
        assert jobs.get_job(session, first).state == "cancelled"
    with database.write() as session:
        job_orders.request_cancel(session, second, now=START)
        assert job_orders.retry_job(session, first, now=START).state == "queued"


def test_what_waits_for_a_queued_job_goes_on_when_that_is_cancelled(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    segmenter, policy = queue(database, project_id, "pretrain"), queue(database, project_id, "train-policy")
    assert claim(database, policy) is None  # it waits: no message speaks of it any more
    outbox.clear()
    with database.write() as session:
        job_orders.request_cancel(session, segmenter, now=START)
    assert outbox == [(policy, "train-policy")]
    assert claim(database, policy) is not None


def test_what_waits_goes_on_when_a_worker_finds_that_the_job_before_it_is_to_stop(
    database: Database, project_id: int, outbox: Outbox
) -> None:
    segmenter, policy = queue(database, project_id, "pretrain"), queue(database, project_id, "train-policy")
    with database.write() as session:
        jobs.get_job(session, segmenter).cancel_requested = True
    assert claim(database, policy) is None
    outbox.clear()
    assert claim(database, segmenter) is None
    assert outbox == [(policy, "train-policy")]
