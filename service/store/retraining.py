"""When a project trains its policy again by itself: so many rounds after it did so last."""

from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.schemas.projects import ProjectSettings
from service.store.jobs import pending_job, queue_job
from service.tables import ImageGroup, Job, Project, Round

KIND: Literal["train-policy"] = "train-policy"


def retrain_if_due(session: Session, project: Project, round_: Round, now: datetime) -> Job | None:
    """Queue a train-policy job, of the settings that the last one had, if that many rounds were told since it was asked for.

    None where it is not wished for, not due, one has not ended, or there are no labelled images to play on.
    """
    every = ProjectSettings.model_validate(project.settings).retrain_every
    if every is None or pending_job(session, project.id, KIND) is not None or not _can_play(session, project.id):
        return None
    jobs = select(Job).where(Job.project_id == project.id, Job.kind == KIND)
    last = session.scalars(jobs.order_by(Job.id.desc()).limit(1)).first()
    told = select(func.count()).where(Round.project_id == project.id, Round.state == "told")
    if last is not None:
        told = told.where(Round.told_at > last.created_at)
    if (session.scalar(told) or 0) < every:
        return None
    payload = {} if last is None else last.payload
    return queue_job(session, project_id=project.id, kind=KIND, payload=payload, now=now, key=f"{KIND}:{round_.id}")


def _can_play(session: Session, project_id: int) -> bool:
    played_on = select(ImageGroup.split).where(ImageGroup.project_id == project_id, ImageGroup.count > 0).distinct()
    return {"train", "reward"} <= set(session.scalars(played_on))
