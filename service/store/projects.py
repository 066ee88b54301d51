"""Projects in the database, and how far each has come."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from service.domain.classes import ClassSet
from service.domain.doubts import said_of, together
from service.domain.methods import AUTO, LEARNED
from service.errors import Conflict, Invalid, NotFound
from service.schemas.project_settings import CELL, CHANGEABLE, ProjectSettings, as_stored, whole
from service.store import events, memberships
from service.store.budget import budget_left, pool_regions, region_areas, region_counts
from service.store.memberships import NewMembers
from service.tables import Checkpoint, Image, ImageGroup, Project, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a campaign has come: counts by split or state, the newest checkpoint of each kind, the latest mIoU and warning."""

    images: dict[str, int]
    pool_regions: int
    regions: dict[str, int]
    rounds: dict[str, int]
    budget_left: int | None
    checkpoints: dict[str, Checkpoint]
    miou: float | None
    warning: str | None


def add_project(
    session: Session,
    *,
    name: str,
    classes: ClassSet,
    settings: ProjectSettings,
    now: datetime,
    by: int | None = None,
    members: NewMembers = (),
) -> Project:
    """A new project; `by`, who makes it, is its admin. Raises Conflict where the name is taken, NotFound for unknown members."""
    _require_free(session, name)
    project = Project(
        name=name,
        classes=classes.to_json(),
        settings=as_stored(settings),
        active=True,
        open_to_all=members == "everyone",
        created_at=now,
    )
    session.add(project)
    session.flush()
    events.record(session, now=now, kind="project_added", project_id=project.id, annotator_id=by, name=name)
    memberships.begin(session, project, members, now, by=by)
    return project


def _require_free(session: Session, name: str) -> None:
    if session.scalar(select(Project.id).where(Project.name == name)) is not None:
        raise Conflict(f"There is a project {name} already.", code="project_exists", detail={"name": name})


def get_project(session: Session, project_id: int) -> Project:
    """The project, or NotFound."""
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"There is no project {project_id}.")
    return project


def list_projects(
    session: Session, *, limit: int, after: int = 0, among: Collection[int] | None = None
) -> Sequence[Project]:
    """Projects with ids above `after`, oldest first; no others than those `among`, if these are named."""
    chosen = select(Project).where(Project.id > after).order_by(Project.id).limit(limit)
    return session.scalars(chosen if among is None else chosen.where(Project.id.in_(among))).all()


def project_or_only(session: Session, project_id: int | None, among: Collection[int] | None = None) -> Project:
    """The project of this id, else the only one, `among` these. Raises Invalid, naming them, where there are several."""
    if project_id is not None:
        if among is not None and project_id not in among:
            raise NotFound(f"There is no project {project_id}.")
        return get_project(session, project_id)
    found = list_projects(session, limit=21, among=among)
    if not found:
        raise NotFound("There is no project yet." if among is None else "You are a member of no project yet.")
    if len(found) > 1:
        listed = ", ".join(f"{each.id} ({each.name})" for each in found[:20]) + (", ..." if len(found) > 20 else "")
        raise Invalid(f"Say which project is meant: {listed}.", code="which_project")
    return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What giving out regions needs to know of a project."""

    id: int
    active: bool
    settings: Mapping[str, Any]


_CAMPAIGN = select(Project.id, Project.active, Project.settings).where(Project.id == bindparam("id"))


def campaign(session: Session, project_id: int | None, among: Collection[int] | None = None) -> Campaign:
    """Like `project_or_only`, without the entity: every request for regions asks for it."""
    only = next(iter(among)) if project_id is None and among is not None and len(among) == 1 else project_id
    if only is not None and (among is None or only in among):
        row = session.connection().execute(_CAMPAIGN, {"id": only}).one_or_none()
        if row is not None:
            return Campaign(id=row.id, active=row.active, settings=row.settings)
    project = project_or_only(session, project_id, among)
    return Campaign(id=project.id, active=project.active, settings=project.settings)


def change_project(
    session: Session,
    project_id: int,
    *,
    active: bool | None,
    settings: ProjectSettings | None,
    now: datetime,
    name: str | None = None,
    open_to_all: bool | None = None,
    by: int | None = None,
) -> Project:
    """Change what is given; of `settings` what was set explicitly, and what follows from it.

    Raises Conflict where the name is another project's or a setting that shapes regions or networks would change under images
    or rounds, Invalid where what is given does not go with what stays.
    """
    chosen = select(Project).where(Project.id == project_id).with_for_update(key_share=True)
    project = session.scalars(chosen).one_or_none()
    if project is None:
        raise NotFound(f"There is no project {project_id}.")
    changes = _setting_changes(project, settings)
    fixed = sorted(changes.keys() - set(CHANGEABLE))
    if fixed and _has_images_or_rounds(session, project_id):
        sentence = f"The project has images or rounds already; {', '.join(fixed)} cannot change any more."
        raise Conflict(sentence, code="settings_fixed", detail={"fixed": fixed})
    if changes:
        project.settings = {**project.settings, **changes}
    if name is not None and name != project.name:
        _require_free(session, name)
        project.name = changes["name"] = name
    if active is not None and active != project.active:
        project.active = changes["active"] = active
    if open_to_all is not None and open_to_all != project.open_to_all:
        project.open_to_all = changes["open_to_all"] = open_to_all
        if open_to_all:
            memberships.enroll_everybody(session, project, now)
    if changes:
        events.record(session, now=now, kind="project_changed", project_id=project_id, annotator_id=by, changes=changes)
    return project


def _setting_changes(project: Project, settings: ProjectSettings | None) -> dict[str, object]:
    if settings is None:
        return {}
    given = settings.model_dump(mode="json", include=settings.model_fields_set)
    held = ProjectSettings.model_validate(project.settings).model_dump(mode="json")
    followers = _followers(held, given)
    kept = {key: value for key, value in held.items() if key not in followers}
    try:
        wanted = whole(ProjectSettings.model_validate({**kept, **given})).model_dump(mode="json")
    except ValidationError as error:
        sentences = " ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise Invalid(sentences, code="settings_contradict") from error
    except ValueError as error:
        raise Invalid(str(error), code="settings_contradict") from error
    unsaid = {*CELL} - project.settings.keys()
    return {key: value for key, value in wanted.items() if held[key] != value or key in unsaid.intersection(given)}


def _followers(held: Mapping[str, object], given: Mapping[str, object]) -> tuple[str, ...]:
    """The settings that are chosen anew, unless they are given, because the one that they follow from changes."""
    if given.get("segmenter", held["segmenter"]) != held["segmenter"]:
        return ("encoder", "learning")
    return ("learning",) if given.get("encoder", held["encoder"]) != held["encoder"] else ()


def _has_images_or_rounds(session: Session, project_id: int) -> bool:
    image = select(Image.id).where(Image.project_id == project_id).limit(1)
    round_ = select(Round.id).where(Round.project_id == project_id).limit(1)
    return session.scalar(image) is not None or session.scalar(round_) is not None


def standing(session: Session, project: Project) -> Standing:
    """How far the project has come."""
    settings = ProjectSettings.model_validate(project.settings)
    regions, checkpoints = region_counts(session, project.id), _newest_checkpoints(session, project.id)
    return Standing(
        images=_image_counts(session, project.id),
        pool_regions=pool_regions(session, project.id, settings),
        regions={state: regions.get(state, 0) for state in ("open", "review", "labelled", "skipped")},
        rounds=_round_counts(session, project.id),
        budget_left=budget_left(session, project.id, settings, region_areas(session, project.id, settings.levels)),
        checkpoints=checkpoints,
        miou=_latest_miou(session, project.id),
        warning=_warning(session, project.id, settings, checkpoints.get("policy")),
    )


def _image_counts(session: Session, project_id: int) -> dict[str, int]:
    chosen = select(ImageGroup.split, func.sum(ImageGroup.count)).where(ImageGroup.project_id == project_id)
    return {split: int(count) for split, count in session.execute(chosen.group_by(ImageGroup.split))}


def _round_counts(session: Session, project_id: int) -> dict[str, int]:
    chosen = select(Round.state, func.count()).where(Round.project_id == project_id).group_by(Round.state)
    counts: dict[str, int] = dict(session.execute(chosen).all())
    return {state: counts.get(state, 0) for state in ("scoring", "open", "labelled", "told")}


def _newest_checkpoints(session: Session, project_id: int) -> dict[str, Checkpoint]:
    newest = select(func.max(Checkpoint.id)).where(Checkpoint.project_id == project_id).group_by(Checkpoint.kind)
    found = session.scalars(select(Checkpoint).where(Checkpoint.id.in_(newest)))
    return {checkpoint.kind: checkpoint for checkpoint in found}


def _latest_miou(session: Session, project_id: int) -> float | None:
    measured = func.coalesce(Round.miou_after, Round.miou_before)
    chosen = select(measured).where(Round.project_id == project_id, measured.is_not(None))
    return session.scalar(chosen.order_by(Round.number.desc()).limit(1))


def _warning(session: Session, project_id: int, settings: ProjectSettings, policy: Checkpoint | None) -> str | None:
    """Of the newest round learned from, and of the newest policy where rounds may be asked for by it."""
    told = select(Round.warning).where(Round.project_id == project_id, Round.state == "told")
    of_round = session.scalar(told.order_by(Round.number.desc()).limit(1))
    counts = policy is not None and settings.strategy in (AUTO, LEARNED)
    return together(of_round, said_of(policy.description) if policy is not None and counts else "") or None
