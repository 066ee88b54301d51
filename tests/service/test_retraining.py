"""A project that is asked to trains its policy again, every so many rounds."""

from datetime import timedelta

from sqlalchemy import select

from service.db import Database
from service.store import rounds
from service.store.jobs import queue_job
from service.tables import Job, Project, Round
from tests.conftest import START
from tests.maker import Maker


def project_of(make: Maker, retrain_every: int) -> Project:
    project = make.project(batch_size=2, retrain_every=retrain_every)
    for split, count in (("pool", 6), ("train", 2), ("reward", 2)):
        make.images(project, count, split=split)
    return project


def tell(database: Database, project: Project, minutes: int) -> None:
    """One more round is labelled and told."""
    now = START + timedelta(minutes=minutes)
    with database.write() as session:
        rounds.advance(session, session.get_one(Project, project.id), now)
        newest = session.scalars(
            select(Round).where(Round.project_id == project.id).order_by(Round.number.desc())
        ).first()
        assert newest is not None
        newest.state = "labelled"
        session.flush()
        rounds.close_round(session, newest.id, None, now=now, note="passed over")


def trainings(database: Database, project: Project) -> list[Job]:
    with database.read() as session:
        return list(session.scalars(select(Job).where(Job.project_id == project.id, Job.kind == "train-policy")))


def end(database: Database, job: Job) -> None:
    with database.write() as session:
        session.get_one(Job, job.id).state = "done"


def test_after_so_many_rounds_a_policy_is_trained_and_after_as_many_again(database: Database, make: Maker) -> None:
    project = project_of(make, retrain_every=2)
    tell(database, project, 1)
    assert trainings(database, project) == []
    tell(database, project, 2)
    (first,) = trainings(database, project)
    assert first.payload == {}
    end(database, first)
    tell(database, project, 3)
    assert len(trainings(database, project)) == 1
    tell(database, project, 4)
    assert len(trainings(database, project)) == 2


def test_it_is_trained_as_it_was_last_and_counts_from_there(database: Database, make: Maker) -> None:
    project = project_of(make, retrain_every=1)
    with database.write() as session:
        asked = queue_job(
            session,
            project_id=project.id,
            kind="train-policy",
            payload={"episodes": 24},
            now=START + timedelta(hours=1),
        )
    end(database, asked)
    tell(database, project, 59)  # before that
    assert len(trainings(database, project)) == 1
    tell(database, project, 61)
    assert [job.payload for job in trainings(database, project)] == [{"episodes": 24}] * 2


def test_none_is_trained_beside_one_that_has_not_ended_without_images_to_play_on_or_unasked(
    database: Database, make: Maker
) -> None:
    busy, bare, unasked = (
        project_of(make, retrain_every=1),
        make.project("bare", batch_size=2, retrain_every=1),
        make.project("unasked", batch_size=2),
    )
    make.images(bare, 6, split="pool")
    for split, count in (("pool", 6), ("train", 2), ("reward", 2)):
        make.images(unasked, count, split=split)
    for minute in (1, 2, 3):
        for project in (busy, bare, unasked):
            tell(database, project, minute)
    assert [len(trainings(database, project)) for project in (busy, bare, unasked)] == [1, 0, 0]
