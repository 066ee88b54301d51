"""Jobs that could only end at once are refused with a sentence when they are asked for, or tried again."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select, update
from starlette.testclient import TestClient

from service.db import Database
from service.domain.classes import ClassSet, LabelClass
from service.domain.label_kinds import REVIEWED
from service.schemas.jobs import FinishPayload
from service.store import jobs, needs
from service.tables import Annotator, Checkpoint, Image, Job, Label, Project, Region, Round
from tests.conftest import START
from tests.maker import Maker

OTHER = ClassSet(classes=tuple(LabelClass(id=n, name=f"{n}", color=(n, n, n)) for n in range(2)), ignore_id=255)


@pytest.fixture
def refused(admin: TestClient) -> Callable[..., str]:
    """The sentence that a job is refused with; empty where it is queued, which is cancelled then."""

    def asked(project: Project, kind: str, **settings: Any) -> str:
        answer = admin.post(f"/projects/{project.id}/jobs", json={"kind": kind, "settings": settings})
        if answer.status_code == 202:
            admin.post(f"/jobs/{answer.json()['id']}/cancel")
            return ""
        error: dict[str, Any] = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "job_lacks_data")
        return str(error["message"])

    return asked


def give(make: Maker, project: Project, **splits: int) -> None:
    """Images of splits; those of `NAME_labelled` have a label map."""
    for name, count in splits.items():
        split, _, labelled = name.partition("_")
        images = make.images(project, count, split=split)
        if labelled:
            with make.database.write() as session:
                chosen = update(Image).where(Image.id.in_([each.id for each in images]))
                session.execute(chosen.values(label_key="labels/a"))


def label(database: Database, make: Maker, project: Project) -> None:
    """A region is labelled, and learned from."""
    make.round_(project, make.images(project, 1), regions=1)
    with database.write() as session:
        session.execute(update(Round).values(state="told"))
        session.execute(update(Region).values(state="labelled"))


def test_where_reviewed_labels_count_alone_others_are_not_enough(
    make: Maker, refused: Callable[..., str], database: Database
) -> None:
    project = make.project(learn_from="reviewed")
    label(database, make, project)
    assert refused(project, "finish") == "There is no reviewed region to train on yet."
    with database.write() as session:
        annotator = session.scalars(select(Annotator.id).limit(1)).one()
        drawn = {"annotator_id": annotator, "mask": b"", "digest": "", "class_counts": [], "created_at": START}
        session.add(Label(region_id=1, version=1, kind="annotated", **drawn))
    assert refused(project, "finish") == "There is no reviewed region to train on yet."
    with database.write() as session:
        session.add(Label(region_id=1, version=2, kind=REVIEWED[0], **drawn))
    assert refused(project, "finish") == ""


def test_what_is_learned_from_is_read_of_the_project_that_is_there_already(make: Maker, database: Database) -> None:
    project = make.project(learn_from="reviewed")
    said: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *each: said.append(f"{each[2]} {each[3]}"))
    with database.read() as session:
        assert needs.lacking(session, project, FinishPayload()) == "There is no reviewed region to train on yet."
    assert any("labels" in each for each in said)
    assert not any("learn_from" in each for each in said)


def test_pretraining_a_head_takes_an_image_and_a_label(
    make: Maker, refused: Callable[..., str], database: Database
) -> None:
    project = make.project()
    assert "upload some first" in refused(project, "pretrain")
    give(make, project, pool=2, state=1, reward_labelled=1)
    assert refused(project, "pretrain").startswith("There is no label to learn from yet")
    for enough in ("state_labelled", "train_labelled"):
        other = make.project(enough)
        give(make, other, **{enough: 1})
        assert refused(other, "pretrain") == ""
    label(database, make, project)
    assert refused(project, "pretrain") == ""


def test_pretraining_a_whole_network_takes_labels_of_d_t_or_streets_that_fit(
    make: Maker, refused: Callable[..., str]
) -> None:
    camvid, other = make.project("camvid", segmenter="fpn"), make.project("other", OTHER, segmenter="fpn")
    assert refused(camvid, "pretrain") == refused(camvid, "pretrain", source="streets") == ""
    give(make, camvid, state_labelled=1)
    assert "no label" in refused(camvid, "pretrain", source="none")  # D_S is not learned from there
    assert "no label" in refused(other, "pretrain")
    assert "Synthetic streets have the classes" in refused(other, "pretrain", source="streets")
    give(make, other, train_labelled=1)
    assert "at least two labelled images" in refused(other, "pretrain", source="half")
    assert refused(other, "pretrain") == refused(other, "pretrain", source="none") == ""


def test_a_policy_takes_a_segmenter_and_the_splits_that_its_games_are_on(
    make: Maker, refused: Callable[..., str], database: Database
) -> None:
    project = make.project()
    assert "run a pretrain job first" in refused(project, "train-policy")
    with database.write() as session:
        jobs.queue_job(session, project_id=project.id, kind="pretrain", now=START)
    assert "`train` with label maps" in refused(project, "train-policy")  # what is being made is not lacking
    give(make, project, train=1)
    assert "`train` with label maps" in refused(project, "train-policy")
    give(make, project, train_labelled=1)
    assert "`reward` with label maps" in refused(project, "train-policy")
    assert "`state`" in refused(project, "train-policy", policy="paper")
    give(make, project, reward_labelled=1)
    assert refused(project, "train-policy") == ""  # it chooses in turn, and looks at no D_S
    give(make, project, state=1)
    assert refused(project, "train-policy", policy="paper") == ""


def test_of_a_source_that_took_half_of_d_t_the_other_half_is_left(
    make: Maker, refused: Callable[..., str], database: Database
) -> None:
    project = make.project(segmenter="fpn")
    source = make.checkpoint(project, "source")
    with database.write() as session:
        session.get_one(Checkpoint, source.id).description = {"source": "half"}
    give(make, project, train_labelled=1, state=1, reward_labelled=1)
    assert "`train` with label maps" in refused(project, "train-policy")
    give(make, project, train_labelled=1)
    assert refused(project, "train-policy") == ""


def test_finishing_takes_a_label_and_unfreezing_something_to_measure_on(
    make: Maker, refused: Callable[..., str], database: Database
) -> None:
    project = make.project()
    assert "no labelled region" in refused(project, "finish")
    label(database, make, project)
    assert refused(project, "finish") == ""
    assert "To unfreeze" in refused(project, "finish", unfreeze=True)
    give(make, project, reward_labelled=1)
    assert refused(project, "finish", unfreeze=True) == ""


def test_measuring_takes_a_network_and_labelled_images(make: Maker, refused: Callable[..., str]) -> None:
    project = make.project()
    assert "no checkpoint of the kind segmenter" in refused(project, "evaluate")
    make.checkpoint(project, "segmenter")
    give(make, project, test=1)
    assert "`test` has no labelled images" in refused(project, "evaluate")
    give(make, project, test_labelled=1)
    assert refused(project, "evaluate") == ""
    assert "kind final" in refused(project, "evaluate", checkpoint="final")


def test_a_job_that_lacks_something_is_not_tried_again(make: Maker, admin: TestClient, database: Database) -> None:
    project = make.project()
    with database.write() as session:
        job = jobs.queue_job(session, project_id=project.id, kind="finish", now=START)
        jobs.fail_job(session, job, now=START, error="There is no label.", max_attempts=3, final=True)
    answer = admin.post(f"/jobs/{job.id}/retry")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_lacks_data")
    with database.read() as session:
        assert session.get_one(Job, job.id).state == "failed"
    label(database, make, project)
    assert admin.post(f"/jobs/{job.id}/retry").status_code == 200
