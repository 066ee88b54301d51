"""Labels that were made elsewhere, in the database: regions of a round that nobody asked for, or versions of what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import String, cast, func, literal, select
from sqlalchemy.orm import Session

from service.domain.methods import IMPORT
from service.domain.regions import Box
from service.errors import NotFound
from service.schemas.project_settings import ProjectSettings
from service.store import events, lease_ends
from service.store.afterwards import learn_afterwards
from service.store.budget import grid_of
from service.store.jobs import queue_job
from service.store.labels import Submission, newest_labels, stored_label
from service.store.migrated import class_changes_of, require_classes
from service.store.pool import groups_of_split
from service.store.project_lock import lock_project
from service.store.regions import lock_regions
from service.store.rounds import close_those_done
from service.store.taken import cells_of
from service.tables import Image, Job, Label, Lease, Project, Region, Round

Status = Literal["labelled", "unchanged", "replaced", "differs", "held", "skipped"]
_AT_ONCE = 5000  # databases bound the parameters of a statement


class RegionsMoved(Exception):
    """Regions of the images were asked for since the label maps were looked at: look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLabel:
    """A checked label map (8-bit PNG of class ids) of a region of an image. `origin`: what is known of who made it, and when."""

    cell: int
    box: Box
    mask: bytes
    digest: str
    class_counts: list[int]
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLabels:
    """Labels of regions of an image of the pool, cut where its regions were `known` by their numbers."""

    image: Image
    known: frozenset[int]
    labels: Sequence[RegionLabel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a region: `version` is that of the label that counts now, 0 where there is none."""

    region_id: int
    image_id: int
    status: Status
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of all of them; `round_number`: of the round that has the new regions, None where there are none."""

    outcomes: Sequence[Outcome]
    round_number: int | None


def import_labels(
    session: Session,
    project_id: int,
    images: Sequence[ImageLabels],
    annotator_id: int,
    *,
    class_changes: int = 0,
    replace: bool,
    source: str,
    now: datetime,
) -> Imported:
    """Keep labels of regions, all or none. Regions that nobody asked for become a round that is learned from.

    A region that waits for its label gets it, unless another annotator holds it (`held`). Where there is a label, the same pixels
    are `unchanged`; others are a new version with `replace`, and else `differs`. Raises RegionsMoved, and writes nothing, where
    the images have other regions than they had, ClassesChanged where the classes have changed more often than `class_changes`.
    """
    waiting_id = session.scalar(_unlearned(project_id))
    image_ids = [each.image.id for each in images]
    there = _lock(session, image_ids, waiting_id)
    lock_project(session, project_id)
    require_classes(class_changes_of(session, project_id), class_changes)
    placed, now_there = _as_they_are(session, image_ids), cells_of(session, image_ids)
    if any(now_there.get(each.image.id, set()) != each.known for each in images):
        raise RegionsMoved
    wanted = {(each.image.id, label.cell): label for each in images for label in each.labels}
    new = {key: label for key, label in wanted.items() if key not in there}
    round_, made = _new_regions(session, project_id, new, placed, waiting_id, now)
    old = {key: region for key, region in there.items() if key in wanted}
    statuses = _statuses(session, old, annotator_id, now)
    labels = newest_labels(session, [region.id for region in old.values()])
    outcomes = []
    for key, label in wanted.items():
        region = made.get(key) or old[key]
        known = (statuses.get(key), labels.get(region.id))
        outcomes.append(_kept(session, region, label, *known, annotator_id, replace, now))
    waited = (old[key] for key, status in statuses.items() if status in ("open", "review"))
    opened = [region for region in waited if region.state == "labelled"]
    lease_ends.take_over(session, [region.id for region in opened], annotator_id, now=now, end="labelled")
    session.flush()
    close_those_done(session, {region.round_id for region in opened}, now)
    written = {each.region_id for each in outcomes if each.status in ("labelled", "replaced")}
    learn_afterwards(session, {region.round_id for region in old.values() if region.id in written}, now)
    _record(session, project_id, outcomes, round_, annotator_id, source, now)
    session.flush()
    return Imported(outcomes=outcomes, round_number=None if round_ is None else round_.number)


def _as_they_are(session: Session, image_ids: Sequence[int]) -> list[Image]:
    """The images at their places now that the project is locked. Raises NotFound for one that was deleted meanwhile."""
    chosen = select(Image).where(Image.id.in_(image_ids)).execution_options(populate_existing=True)
    found = {image.id: image for image in session.scalars(chosen)}
    if absent := [each for each in image_ids if each not in found]:
        raise NotFound(f"Image {absent[0]} was deleted while its label map was looked at.")
    return [found[image_id] for image_id in image_ids]


def _lock(session: Session, image_ids: Sequence[int], round_id: int | None) -> dict[tuple[int, int], Region]:
    """All regions of the images by image and number, locked, and one more round; rounds before regions, as everybody does."""
    rows = session.execute(select(Region.id, Region.round_id).where(Region.image_id.in_(image_ids))).all()
    ids = sorted(row.id for row in rows)
    rounds_of = {row.round_id for row in rows} | ({round_id} if round_id else set())
    locked, _ = lock_regions(session, ids[:_AT_ONCE], rounds_of)
    for start in range(_AT_ONCE, len(ids), _AT_ONCE):
        locked |= lock_regions(session, ids[start : start + _AT_ONCE], ())[0]
    return {(each.image_id, each.cell): each for each in locked.values()}


def _unlearned(project_id: int) -> Any:
    """The newest import's round whose `tell` no worker has begun: more regions may join it, and all are learned at once."""
    chosen = select(Round.id).join(Job, (Job.project_id == Round.project_id))
    chosen = chosen.where(Round.project_id == project_id, Round.state == "labelled", Round.strategy == IMPORT)
    chosen = chosen.where(Job.kind == "tell", Job.state == "queued", Job.attempt == 0)
    return chosen.where(Job.dedup_key == literal("tell:") + cast(Round.id, String)).order_by(Round.id.desc()).limit(1)


def _new_regions(
    session: Session,
    project_id: int,
    new: Mapping[tuple[int, int], RegionLabel],
    images: Sequence[Image],
    waiting_id: int | None,
    now: datetime,
) -> tuple[Round | None, dict[tuple[int, int], Region]]:
    if not new:
        return None, {}
    round_, firsts = _round(session, project_id, waiting_id, now), _first_numbers(session, project_id, images)
    round_.size += len(new)
    made = {
        (image_id, label.cell): Region(
            project_id=project_id,
            round_id=round_.id,
            image_id=image_id,
            cell=label.cell,
            number=firsts[image_id] + label.cell,
            row=label.box.row,
            col=label.box.col,
            height=label.box.height,
            width=label.box.width,
            score=0.0,
            state="labelled",
            answers=1,
        )
        for (image_id, _), label in new.items()
    }
    session.add_all(made.values())
    session.flush()
    return round_, made


def _round(session: Session, project_id: int, waiting_id: int | None, now: datetime) -> Round:
    """The round that waits to be learned from, if it still does, else a new one whose `tell` is queued."""
    # A worker that claims the job locks the project first, as has been done here.
    if waiting_id is not None and session.scalar(_unlearned(project_id)) == waiting_id:
        return session.get_one(Round, waiting_id)
    last = session.scalar(select(func.max(Round.number)).where(Round.project_id == project_id)) or 0
    round_ = Round(
        project_id=project_id,
        number=last + 1,
        state="labelled",
        size=0,
        strategy=IMPORT,
        seconds={},
        note="Labels that were imported.",
        created_at=now,
        opened_at=now,
        labelled_at=now,
    )
    session.add(round_)
    session.flush()
    payload = {"round_id": round_.id}
    queue_job(session, project_id=project_id, kind="tell", now=now, payload=payload, key=f"tell:{round_.id}")
    events.record(session, now=now, kind="round_labelled", project_id=project_id, round=round_.number)
    return round_


def _first_numbers(session: Session, project_id: int, images: Sequence[Image]) -> dict[int, int]:
    """By image the number in the pool of its region 0."""
    settings = ProjectSettings.model_validate(session.get_one(Project, project_id).settings)
    first, starts = 0, {}
    for group in groups_of_split(session, project_id, "pool"):
        regions = grid_of(group.height, group.width, settings).regions
        starts[group.id] = (first, regions)
        first += group.count * regions
    return {each.id: starts[each.group_id][0] + each.ordinal * starts[each.group_id][1] for each in images}


def _statuses(
    session: Session, regions: Mapping[tuple[int, int], Region], annotator_id: int, now: datetime
) -> dict[tuple[int, int], str]:
    """The states of regions; `held` for open ones that another annotator holds."""
    ids = [region.id for region in regions.values() if region.state == "open"]
    held = set[int]()
    for start in range(0, len(ids), _AT_ONCE):
        chosen = select(Lease.region_id).where(Lease.region_id.in_(ids[start : start + _AT_ONCE]))
        chosen = chosen.where(Lease.ended_at.is_(None), Lease.annotator_id != annotator_id, Lease.expires_at > now)
        held |= set(session.scalars(chosen))
    return {key: "held" if region.id in held else region.state for key, region in regions.items()}


def _kept(
    session: Session,
    region: Region,
    label: RegionLabel,
    status: str | None,
    latest: Label | None,
    annotator_id: int,
    replace: bool,
    now: datetime,
) -> Outcome:
    """Keep one label, if it is to be; `status`: of a region that was there."""

    def outcome(status: Status, version: int) -> Outcome:
        return Outcome(region_id=region.id, image_id=region.image_id, status=status, version=version)

    if status in ("held", "skipped"):
        return outcome("held" if status == "held" else "skipped", 0)
    submission = Submission(
        region_id=region.id,
        round_id=region.round_id,
        mask=label.mask,
        digest=label.digest,
        class_counts=label.class_counts,
        seconds=None,
    )
    stored = stored_label(submission, latest, annotator_id, now, kind="imported")
    if not stored.created:
        return outcome("unchanged", stored.label.version)
    if latest is not None and not replace:
        return outcome("differs", latest.version)
    session.add(stored.label)
    region.state, region.answers = "labelled", max(1, region.answers)
    events.record(
        session,
        now=now,
        kind="region_labelled",
        project_id=region.project_id,
        annotator_id=annotator_id,
        region=region.id,
        version=stored.label.version,
        imported=dict(label.origin),
    )
    return outcome("labelled" if latest is None else "replaced", stored.label.version)


def _record(
    session: Session,
    project_id: int,
    outcomes: Sequence[Outcome],
    round_: Round | None,
    annotator_id: int,
    source: str,
    now: datetime,
) -> None:
    counts = {status: sum(each.status == status for each in outcomes) for status in ("labelled", "replaced")}
    if not any(counts.values()):
        return
    told = {"round": None if round_ is None else round_.number, "source": source, **counts}
    events.record(session, now=now, kind="labels_imported", project_id=project_id, annotator_id=annotator_id, **told)
