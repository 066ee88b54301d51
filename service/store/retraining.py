"""When a project trains its policy again by itself: so many rounds after it did so last, if there is anything new to play on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.methods import IMPORT
from service.schemas.policies import PolicyPayload, PolicySettings
from service.schemas.project_settings import ProjectSettings
from service.store import events
from service.store.checkpoints import latest_checkpoint
from service.store.jobs import pending_job, queue_job
from service.store.migrated import altered_since
from service.tables import Image, Job, Project, Round

KIND: Literal["train-policy"] = "train-policy"
FEWEST_ROUNDS = 3
"""Live rounds that a policy learns anything from."""
# What kind of kept rounds a policy of a network learns from; a search plays games alone.
_REMEMBERED: Mapping[str, str] = {"paper": "paper", "regionwise": "regionwise", "turns": "blend"}


def retrain_if_due(session: Session, project: Project, round_: Round, now: datetime) -> Job | None:
    """Queue a train-policy job, of the settings that the last one had that ended well, if that many rounds were told since the
    last one, however that ended: who cancels one is not asked again after the next round.

    None where it is not wished for, not due, one has not ended, or there is nothing new to learn from: games are the same until
    there is another first segmenter, or there are more images in `train` or `reward` with label maps, and a policy that is
    found by games alone does not look at the rounds that policies have asked for since. Or the classes are others, and the
    policy is bound to those that it was trained with.
    """
    every = ProjectSettings.model_validate(project.settings).retrain_every
    if every is None or pending_job(session, project.id, KIND) is not None:
        return None
    jobs = select(Job).where(Job.project_id == project.id, Job.kind == KIND).order_by(Job.id.desc()).limit(1)
    newest, last = (session.scalars(some).first() for some in (jobs, jobs.where(Job.state == "done")))
    if _told_since(session, project, newest) < every or not _worth_playing(session, project, last):
        return None
    payload = {} if last is None else last.payload
    job = queue_job(session, project_id=project.id, kind=KIND, payload=payload, now=now, key=f"{KIND}:{round_.id}")
    events.record(session, now=now, kind="job_queued", project_id=project.id, job=job.id, job_kind=KIND)
    return job


def _told_since(session: Session, project: Project, last: Job | None) -> int:
    told = select(func.count()).where(Round.project_id == project.id, Round.state == "told")
    told = told.where(Round.strategy.is_distinct_from(IMPORT))
    return session.scalar(told if last is None else told.where(Round.told_at > last.created_at)) or 0


def _worth_playing(session: Session, project: Project, last: Job | None) -> bool:
    source = latest_checkpoint(session, project.id, "source")
    labelled = select(Image.split, func.max(Image.created_at)).where(
        Image.project_id == project.id, Image.split.in_(("train", "reward")), Image.label_key.is_not(None)
    )
    newest = dict(session.execute(labelled.group_by(Image.split)).all())
    if source is None or len(newest) < 2:
        return False
    if last is None or max(source.created_at, *newest.values()) > last.created_at:
        return True
    refits = ProjectSettings.model_validate(project.settings).learning == "refit"
    settings = _settings_of(last.payload, refits=refits)
    if settings is None:
        return False
    # While it went on they could not be changed.
    if _bound_to_classes(settings) and altered_since(session, project.id, last.started_at or last.created_at):
        return True
    kind = _REMEMBERED.get(settings.network)
    if kind is None:
        return False
    seen = select(func.count()).where(Round.project_id == project.id, Round.seen_key.startswith(f"rounds/{kind}/"))
    since = seen.where(Round.told_at > last.created_at)
    return bool(session.scalar(since)) and (session.scalar(seen) or 0) >= FEWEST_ROUNDS


def _settings_of(payload: Mapping[str, Any], *, refits: bool) -> PolicySettings | None:
    """How a policy is trained as a job's payload says; None for one that this version does not know any more."""
    try:
        asked = PolicyPayload.model_validate(payload)
        return asked.chosen(asked.name(refits=refits))
    except ValueError:
        return None


def _bound_to_classes(settings: PolicySettings) -> bool:
    return settings.network == "paper" or (settings.network == "regionwise" and not settings.class_relative)
