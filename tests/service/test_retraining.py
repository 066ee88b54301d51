"""A project that is asked to trains its policy again, every so many rounds, if there is anything new to play on."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from service.db import Database
from service.store import rounds
from service.store.jobs import queue_job
from service.tables import ClassChange, Event, Image, Job, Project, Round
from tests.conftest import START
from tests.maker import Maker


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def project_of(make: Maker, database: Database, name: str = "streets", *, every: int | None = 1) -> Project:
    """One whose policy could be trained: with a first segmenter, and label maps."""
    project = make.project(name, batch_size=2, retrain_every=every)
    make.images(project, 12)
    for split in ("train", "reward"):
        add_labelled(make, database, project, split, START)
    make.checkpoint(project, "source")
    return project


def add_labelled(make: Maker, database: Database, project: Project, split: str, now: datetime) -> None:
    (added,) = make.images(project, 1, split=split)
    with database.write() as session:
        image = session.get_one(Image, added.id)
        image.label_key, image.created_at = "label_maps/x.png", now


def tell(database: Database, project: Project, minutes: int) -> None:
    """One more round is labelled and told."""
    with database.write() as session:
        rounds.advance(session, session.get_one(Project, project.id), at(minutes))
        newest = session.scalars(
            select(Round).where(Round.project_id == project.id).order_by(Round.number.desc())
        ).first()
        assert newest is not None
        newest.state = "labelled"
        session.flush()
        rounds.close_round(session, newest.id, None, now=at(minutes), note="passed over")


def trainings(database: Database, project: Project) -> list[Job]:
    with database.read() as session:
        return list(session.scalars(select(Job).where(Job.project_id == project.id, Job.kind == "train-policy")))


def end(database: Database, job: Job, state: str = "done") -> None:
    with database.write() as session:
        session.get_one(Job, job.id).state = state


def test_after_so_many_rounds_a_policy_is_trained_and_after_as_many_again(database: Database, make: Maker) -> None:
    project = project_of(make, database, every=2)
    tell(database, project, 1)
    assert trainings(database, project) == []
    tell(database, project, 2)
    (first,) = trainings(database, project)
    assert first.payload == {}
    with database.read() as session:
        (queued,) = session.scalars(select(Event).where(Event.kind == "job_queued"))
        assert queued.detail == {"job": first.id, "job_kind": "train-policy"}
    end(database, first)
    add_labelled(make, database, project, "train", at(3))
    tell(database, project, 3)
    assert len(trainings(database, project)) == 1
    tell(database, project, 4)
    assert len(trainings(database, project)) == 2


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_one_that_ended_otherwise_is_not_begun_again_after_the_next_round(
    state: str, database: Database, make: Maker
) -> None:
    project = project_of(make, database, every=2)
    tell(database, project, 1)
    tell(database, project, 2)
    end(database, trainings(database, project)[0], state)
    tell(database, project, 3)
    assert len(trainings(database, project)) == 1
    tell(database, project, 4)
    assert len(trainings(database, project)) == 2


def test_it_is_trained_as_it_was_last_when_that_ended_well(database: Database, make: Maker) -> None:
    project = project_of(make, database)
    for minutes, payload, state in ((10, {"episodes": 24}, "done"), (20, {"episodes": 36}, "failed")):
        with database.write() as session:
            job = queue_job(session, project_id=project.id, kind="train-policy", payload=payload, now=at(minutes))
        end(database, job, state)
    add_labelled(make, database, project, "reward", at(30))
    tell(database, project, 40)
    assert trainings(database, project)[-1].payload == {"episodes": 24}
    assert len(trainings(database, project)) == 3


def test_where_games_would_be_those_of_last_time_nothing_is_trained(database: Database, make: Maker) -> None:
    project = project_of(make, database)
    tell(database, project, 1)
    (first,) = trainings(database, project)
    end(database, first)
    tell(database, project, 2)
    assert len(trainings(database, project)) == 1
    add_labelled(make, database, project, "train", at(3))
    tell(database, project, 4)
    assert len(trainings(database, project)) == 2


@pytest.mark.parametrize(
    ("payload", "kind", "expected"),
    [
        ({"policy": "paper"}, "merge", 2),
        ({"policy": "regionwise", "class_relative": False}, "remove", 2),
        ({"policy": "regionwise"}, "merge", 1),
        ({"policy": "blend"}, "merge", 1),
        ({"policy": "paper"}, "rename", 1),
    ],
)
def test_after_classes_have_changed_a_policy_that_is_bound_to_them_is_trained_again_once(
    database: Database, make: Maker, payload: dict[str, object], kind: str, expected: int
) -> None:
    project = project_of(make, database)
    with database.write() as session:
        job = queue_job(session, project_id=project.id, kind="train-policy", payload=payload, now=at(1))
        job.state, job.started_at = "done", at(10)
    change_classes(database, project, kind, at(5), 1)  # before a worker began with it
    tell(database, project, 20)
    assert len(trainings(database, project)) == 1
    change_classes(database, project, kind, at(30), 2)
    tell(database, project, 40)
    assert len(trainings(database, project)) == expected
    end(database, trainings(database, project)[-1])
    tell(database, project, 50)
    assert len(trainings(database, project)) == expected


def change_classes(database: Database, project: Project, kind: str, now: datetime, number: int) -> None:
    with database.write() as session:
        classes = session.get_one(Project, project.id).classes
        change = ClassChange(project_id=project.id, number=number, change={"kind": kind}, created_at=now)
        change.classes_before = change.classes_after = classes
        session.add(change)


def see(database: Database, kind: str) -> None:
    """The newest round was asked for by a policy that looks like this."""
    with database.write() as session:
        newest = session.scalars(select(Round).order_by(Round.id.desc())).first()
        assert newest is not None
        newest.seen_key = f"rounds/{kind}/aa/aa.safetensors"


def test_a_job_that_is_not_known_any_more_holds_up_no_round(database: Database, make: Maker) -> None:
    project = project_of(make, database)
    with database.write() as session:
        job = queue_job(session, project_id=project.id, kind="train-policy", payload={"policy": "gone"}, now=at(10))
    end(database, job)
    tell(database, project, 11)
    assert len(trainings(database, project)) == 1


def test_a_policy_that_remembers_rounds_is_trained_again_after_those_that_a_policy_asked_for(
    database: Database, make: Maker
) -> None:
    project = project_of(make, database)
    for minutes, payload in ((10, {"policy": "turns"}), (30, {"policy": "blend"})):
        with database.write() as session:
            job = queue_job(session, project_id=project.id, kind="train-policy", payload=payload, now=at(minutes))
        end(database, job)
        known = len(trainings(database, project))
        for told in range(4):
            tell(database, project, minutes + 1 + told)
            assert len(trainings(database, project)) == known
            see(database, "regionwise" if told == 0 else "blend")  # the first was seen by others, three are enough
        tell(database, project, minutes + 5)
        # A search plays games alone.
        again = trainings(database, project)[known:]
        assert [each.payload for each in again] == ([payload] if payload["policy"] == "turns" else [])
        for each in again:
            end(database, each)


def test_none_is_trained_beside_one_that_has_not_ended_unasked_or_without_what_it_takes(
    database: Database, make: Maker
) -> None:
    busy, unasked = project_of(make, database), project_of(make, database, "unasked", every=None)
    bare, unlabelled = (make.project(name, batch_size=2, retrain_every=1) for name in ("bare", "unlabelled"))
    for project in (bare, unlabelled):
        make.images(project, 12)
    for split in ("train", "reward"):
        add_labelled(make, database, bare, split, START)  # without a first segmenter
        make.images(unlabelled, 1, split=split)
    make.checkpoint(unlabelled, "source")
    for minute in (1, 2, 3):
        for project in (busy, unasked, bare, unlabelled):
            tell(database, project, minute)
    assert [len(trainings(database, each)) for each in (busy, unasked, bare, unlabelled)] == [1, 0, 0, 0]
