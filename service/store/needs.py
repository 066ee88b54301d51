"""What a job needs that only rows can tell: said when it is asked for, and again when a worker takes it up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.classes import CAMVID, ClassSet
from service.domain.job_kinds import JobKind
from service.schemas.jobs import EvaluatePayload, FinishPayload, PretrainPayload
from service.schemas.policies import PolicyPayload, PolicySettings
from service.schemas.project_settings import ProjectSettings
from service.store.checkpoints import latest_checkpoint
from service.store.jobs import pending_job
from service.store.pool import DECIDED, latest_labels
from service.tables import Image, Project, Region, Round

Payload = PretrainPayload | PolicyPayload | FinishPayload | EvaluatePayload

# Jobs that make checkpoints of a kind.
_MAKERS: Mapping[str, tuple[JobKind, ...]] = {
    "source": ("pretrain",),
    "segmenter": ("pretrain", "tell"),
    "final": ("finish",),
}

_PAYLOADS: Mapping[str, type[Payload]] = {
    "pretrain": PretrainPayload,
    "train-policy": PolicyPayload,
    "finish": FinishPayload,
    "evaluate": EvaluatePayload,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Images of each split, and those of them that are labelled as a whole."""

    images: Mapping[str, int]
    whole: Mapping[str, int]


def lacking(session: Session, project: Project, payload: Payload, *, promised: bool = True) -> str:
    """What the job of this payload would have to end with at once, in a sentence that says what to do; empty: nothing.

    `promised`: what another job that has not ended will make is not lacking.
    """
    counts = _counts(session, project.id)
    refits = ProjectSettings.model_validate(project.settings).learning == "refit"
    match payload:
        case PretrainPayload():
            return _of_pretrain(session, project, payload, counts, refits=refits)
        case PolicyPayload():
            if _missing(session, project.id, "source", promised=promised):
                return "Policy training starts from a pretrained segmenter; run a pretrain job first."
            return _of_policy(session, project, payload.chosen(payload.name(refits=refits)), counts)
        case FinishPayload():
            return _of_finish(session, project, payload, counts, refits=refits)
        case EvaluatePayload():
            if _missing(session, project.id, payload.checkpoint, promised=promised):
                return f"The project has no checkpoint of the kind {payload.checkpoint} yet."
            return _of_evaluate(payload, counts)


def payload_of(kind: str, values: Mapping[str, Any]) -> Payload | None:
    """The payload of a job that is there; None for one of a round, and for what this version does not know any more."""
    model = _PAYLOADS.get(kind)
    if model is None:
        return None
    try:
        return model.model_validate(values)
    except ValueError:
        return None


def _counts(session: Session, project_id: int) -> _Counts:
    chosen = select(Image.split, func.count(Image.id), func.count(Image.label_key))
    rows = session.execute(chosen.where(Image.project_id == project_id).group_by(Image.split)).all()
    return _Counts(images={row[0]: row[1] for row in rows}, whole={row[0]: row[2] for row in rows})


def _of_pretrain(session: Session, project: Project, payload: PretrainPayload, counts: _Counts, *, refits: bool) -> str:
    train = counts.whole.get("train", 0)
    if not refits:
        fits = ClassSet.from_json(project.classes).names == CAMVID.names
        if payload.source == "streets" and not fits:
            return f"Synthetic streets have the classes {', '.join(CAMVID.names)}; use the source half or none."
        if payload.source == "half" and train < 2:
            return "The source half needs at least two labelled images in the split `train`."
        if payload.source == "streets" or (payload.source == "auto" and fits):
            return ""
    elif not counts.images:
        return "A frozen encoder is fitted to the images it will see: upload some first."
    if train or (refits and counts.whole.get("state", 0)) or _labelled(session, project, told=True):
        return ""
    splits = "`state` or `train`" if refits else "`train`"
    return (
        f"There is no label to learn from yet: upload images with label maps into the split {splits}, or label regions; the "
        "first round needs no pretraining."
    )


def _of_policy(session: Session, project: Project, settings: PolicySettings, counts: _Counts) -> str:
    source = latest_checkpoint(session, project.id, "source")
    train = counts.whole.get("train", 0)
    if source is not None and source.description.get("source") == "half":
        train //= 2
    if not train:
        return "Policy training needs images in the split `train` with label maps."
    if not counts.images.get("state", 0) and not settings.in_turn:
        return "Policy training needs images in the split `state`."
    if not counts.whole.get("reward", 0):
        return "Policy training needs images in the split `reward` with label maps."
    return ""


def _of_finish(session: Session, project: Project, payload: FinishPayload, counts: _Counts, *, refits: bool) -> str:
    known = refits and (counts.whole.get("state", 0) or counts.whole.get("train", 0))
    if not known and not _labelled(session, project, told=False):
        reviewed = project.settings.get("learn_from") == "reviewed"
        return f"There is no {'reviewed' if reviewed else 'labelled'} region to train on yet."
    if refits and payload.unfreeze and not counts.whole.get("reward", 0):
        return "To unfreeze the encoder needs labelled images in the split `reward`, to tell whether that is better."
    return ""


def _of_evaluate(payload: EvaluatePayload, counts: _Counts) -> str:
    if not counts.whole.get(payload.split, 0):
        return f"The split `{payload.split}` has no labelled images to measure on."
    return ""


def _missing(session: Session, project_id: int, kind: str, *, promised: bool) -> bool:
    """Whether there is no checkpoint of a kind, nor, where that counts, a job under way that makes one."""
    if latest_checkpoint(session, project_id, kind) is not None:
        return False
    return not promised or all(pending_job(session, project_id, maker) is None for maker in _MAKERS[kind])


def _labelled(session: Session, project: Project, *, told: bool) -> bool:
    """Whether there is a region to learn from."""
    chosen = select(Region.id)
    if project.settings.get("learn_from") == "reviewed":
        chosen = latest_labels(chosen).where(DECIDED)
    chosen = chosen.where(Region.project_id == project.id, Region.state == "labelled")
    if told:
        chosen = chosen.join(Round, Region.round_id == Round.id).where(Round.state == "told")
    return session.scalar(chosen.limit(1)) is not None
