"""A kind of job is named in three places, and where one of them lacks it a test says which."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter
from sqlalchemy import String

from service.domain.job_kinds import JOB_KINDS, QUEUE_OF, ROUND_KINDS
from service.schemas.jobs import JobRequest
from service.tables import Job
from workers.jobs.tasks import HANDLERS

ROOT = Path(__file__).parents[2]
STARTED = set(TypeAdapter(JobRequest).json_schema()["discriminator"]["mapping"])
PLACES = {
    "JobKind in service/domain/job_kinds.py": set(JOB_KINDS),
    "JobRequest in service/schemas/jobs.py, or RoundKind in service/domain/job_kinds.py": STARTED | set(ROUND_KINDS),
    "QUEUE_OF in service/domain/job_kinds.py": set(QUEUE_OF),
    "HANDLERS in workers/jobs/tasks.py": set(HANDLERS),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_job_is_in_each_place(place: str) -> None:
    lacking = sorted(set().union(*PLACES.values()) - PLACES[place])
    assert not lacking, f"Add {', '.join(lacking)} to {place}; CONTRIBUTING.md, 'A job kind', says how."


def test_no_caller_starts_what_the_service_queues_by_itself() -> None:
    assert not STARTED & set(ROUND_KINDS), "ask and tell belong to a round: the service alone queues them"


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_a_kind_fits_its_column(kind: str) -> None:
    column = Job.__table__.c.kind.type
    assert isinstance(column, String)
    assert column.length is not None
    assert len(kind) <= column.length, "PostgreSQL would refuse the row: choose a shorter name"


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_a_kind_is_explained_to_whoever_operates_it(kind: str) -> None:
    assert f"`{kind}`" in (ROOT / "docs" / "operations.md").read_text(), (
        f"docs/operations.md, Jobs: say what {kind} does"
    )
