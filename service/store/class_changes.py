"""Changes of a project's classes in the database: found, and written whole, with the labels that they make others of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.domain.class_shares import carried, shares
from service.domain.classes import ClassSet
from service.domain.job_kinds import ROUND_KINDS
from service.errors import Conflict, NotFound
from service.store import class_labels, events
from service.store.class_labels import Counting, Drawn, Migrated, in_parts
from service.store.migrated import ClassesChanged
from service.store.project_lock import lock_project
from service.store.rounds import lock_rounds
from service.tables import ClassChange, Job, Project, Region, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A change as it is asked for. `told`: its kind and what it was told; `reverts`: the number of what it takes back."""

    project_id: int
    before: ClassSet
    after: ClassSet
    told: dict[str, Any]
    by: int
    reverts: int | None = None

    @property
    def reads_otherwise(self) -> bool:
        """Whether networks have other classes by it, and not just other names or colours of them."""
        return self.before.ids != self.after.ids or self.before.known_ids != self.after.known_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a network predicts of a region that waits for its label, an 8-bit PNG of class ids."""

    region_id: int
    png: bytes
    height: int
    width: int


def list_changes(session: Session, project_id: int, *, limit: int, after: int) -> Sequence[ClassChange]:
    """Changes with numbers above `after`, first to last."""
    chosen = select(ClassChange).where(ClassChange.project_id == project_id, ClassChange.number > after)
    return session.scalars(chosen.order_by(ClassChange.number).limit(limit)).all()


def get_change(session: Session, project_id: int, number: int) -> ClassChange:
    """The project's change of this number, or NotFound."""
    chosen = select(ClassChange).where(ClassChange.project_id == project_id, ClassChange.number == number)
    change = session.scalars(chosen).one_or_none()
    if change is None:
        raise NotFound(f"The project has no change of classes {number}.", code="class_change_not_found")
    return change


def classes_at(session: Session, project: Project, numbers: Sequence[int]) -> dict[int, ClassSet]:
    """By the numbers of changes, 0 for none, the project's classes after them and before the next."""
    now = ClassSet.from_json(project.classes)
    found = {now.changes: now}
    wanted = set(numbers) - found.keys()
    if wanted:
        # Not as they were before the next: there may be none yet, and these have changed since the project was read.
        chosen = select(ClassChange).where(ClassChange.project_id == project.id)
        rows = session.scalars(chosen.where(ClassChange.number.in_([max(1, each) for each in wanted]))).all()
        found |= {each.number: ClassSet.from_json(each.classes_after) for each in rows}
        found |= {each.number - 1: ClassSet.from_json(each.classes_before) for each in rows if each.number == 1}
    return found


def require_no_job(session: Session, project_id: int) -> None:
    """Raises Conflict while a job that an admin starts has begun: what it has made so far is of the classes that there are."""
    chosen = select(Job).where(Job.project_id == project_id, Job.kind.not_in((*ROUND_KINDS, "evaluate")))
    begun = (Job.state == "running") | ((Job.state == "queued") & (Job.started_at.is_not(None) | (Job.progress > 0)))
    job = session.scalars(chosen.where(begun).limit(1)).first()
    if job is not None:
        sentence = f"Job {job.id} ({job.kind}) has begun with the classes that there are: cancel it or wait."
        raise Conflict(sentence, code="job_running", detail={"job_id": job.id})


def write(
    session: Session,
    ordered: Ordered,
    looked_at: Counting,
    migrated: Callable[[Sequence[Drawn]], list[Migrated]],
    in_todays_ids: Callable[[bytes, int, int], bytes],
    *,
    now: datetime,
) -> ClassChange:
    """Change the classes, and with them every label that counts and every prediction that waits: all or nothing.

    `looked_at` is what there was before: what is the same still is not read again. `migrated` makes the new versions,
    `in_todays_ids` of a prediction (PNG, height, width) the one by the new classes. Raises ClassesChanged where others have
    changed the classes, or begun a round, in between; Conflict while a job goes on.
    """
    # Whoever writes labels, regions or figures of a round locks it: until this ends, nobody does.
    rounds = _rounds(session, ordered.project_id)
    lock_rounds(session, rounds)
    drawn = class_labels.still_concerned(session, ordered.project_id, ordered.before, ordered.after, looked_at)
    waiting = predictions(session, ordered.project_id) if ordered.reads_otherwise else []
    concerned = {each.region_id for each in drawn} | {each.region_id for each in waiting}
    there = _lock_regions(session, sorted(concerned))
    drawn = [each for each in drawn if each.region_id in there]
    waiting = [each for each in waiting if each.region_id in there]
    lock_project(session, ordered.project_id)
    chosen = select(Project).where(Project.id == ordered.project_id).execution_options(populate_existing=True)
    project = session.scalars(chosen).one()
    if project.classes.get("changes", 0) != ordered.before.changes or _rounds(session, project.id) != rounds:
        raise ClassesChanged
    if ordered.reads_otherwise:
        require_no_job(session, project.id)
    project.classes = ordered.after.to_json()
    labels = class_labels.add_versions(session, migrated(drawn), ordered.by, now)
    made = {"labels": len(labels), "predictions": _rewrite(session, waiting, in_todays_ids)}
    if labels:
        made |= {"first_label": min(labels), "last_label": max(labels)}
    change = ClassChange(
        project_id=project.id,
        number=ordered.after.changes,
        change={**ordered.told, **made},
        classes_before=ordered.before.to_json(),
        classes_after=project.classes,
        annotator_id=ordered.by,
        reverts=ordered.reverts,
        created_at=now,
    )
    session.add(change)
    told = {**ordered.told, "reverts": ordered.reverts, "labels": len(labels)}
    events.record(
        session,
        now=now,
        kind="classes_changed",
        project_id=project.id,
        annotator_id=ordered.by,
        number=change.number,
        change=told,
    )
    session.flush()
    return change


def note_learned(session: Session, round_id: int, class_changes: int) -> None:
    """Figures and regions of a round are about to be written that were computed with classes that were changed so often.

    The round is locked until the transaction ends. Raises ClassesChanged where they have been changed since.
    """
    lock_rounds(session, [round_id])
    chosen = select(Project.classes["changes"].as_integer()).join(Round, Round.project_id == Project.id)
    if (session.scalar(chosen.where(Round.id == round_id)) or 0) != class_changes:
        raise ClassesChanged
    values = {"class_changes": class_changes} | _pool_shares(session, round_id, class_changes)
    session.execute(update(Round).where(Round.id == round_id).values(values))


def _pool_shares(session: Session, round_id: int, class_changes: int) -> dict[str, Any]:
    """What the round's candidates were predicted to hold, by other classes than then, if it was; None where nobody knows."""
    chosen = select(Round.pool_shares, Round.class_changes, Project).join(Project, Round.project_id == Project.id)
    of_then, number, project = session.execute(chosen.where(Round.id == round_id)).one()
    if of_then is None or number == class_changes:
        return {}
    classes = classes_at(session, project, [number, class_changes])
    return {"pool_shares": shares(carried(of_then, classes[number], classes[class_changes]))}


def _lock_regions(session: Session, region_ids: Sequence[int]) -> set[int]:
    """Lock regions by their ids, after their rounds; returns those that are there: whoever deletes an image locks no round."""
    there = set[int]()
    for part in in_parts(region_ids):
        there |= set(
            session.scalars(select(Region.id).where(Region.id.in_(part)).order_by(Region.id).with_for_update())
        )
    return there


def _rounds(session: Session, project_id: int) -> list[int]:
    return list(session.scalars(select(Round.id).where(Round.project_id == project_id).order_by(Round.id)))


def predictions(session: Session, project_id: int) -> list[Predicted]:
    """What is predicted of regions without a label that counts, by their ids."""
    columns = select(Region.id, Region.prediction, Region.height, Region.width)
    chosen = columns.where(Region.project_id == project_id, Region.state.in_(("open", "review")))
    return [
        Predicted(region_id=id, png=png, height=height, width=width)
        for id, png, height, width in session.execute(chosen.order_by(Region.id))
        if png is not None
    ]


def _rewrite(session: Session, waiting: Sequence[Predicted], in_todays_ids: Callable[[bytes, int, int], bytes]) -> int:
    """Bring predictions that hold retired classes up to date; returns how many. Their regions are locked."""
    changes = []
    for each in waiting:
        png = in_todays_ids(each.png, each.height, each.width)
        if png is not each.png:
            changes.append({"id": each.region_id, "prediction": png})
    if changes:
        session.execute(update(Region), changes)
    return len(changes)
