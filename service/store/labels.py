"""Labels in the database: versions of a region's label map, all of a request or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session, defer

from service.errors import Conflict, Invalid
from service.store import events, lease_ends, regions
from service.store.regions import Leased
from service.store.rounds import close_those_done
from service.tables import Label, Region, table_of

# Built once: building takes longer than the database's answer.
_COLUMNS = ("region_id", "annotator_id", "version", "mask", "digest", "class_counts", "seconds", "created_at")
_ADD = insert(table_of(Label)).returning(table_of(Label).c.id, sort_by_parameter_order=True)
_LABELLED = (
    update(table_of(Region)).where(table_of(Region).c.id.in_(bindparam("ids", expanding=True))).values(state="labelled")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A checked label map of a region that the annotator was given by `lease_id`. `digest` is of its pixels."""

    region_id: int
    round_id: int
    mask: bytes
    digest: str
    class_counts: list[int]
    seconds: float | None
    lease_id: int | None = None  # labels that are imported have none


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The label that a submission became, or was already."""

    label: Label
    created: bool


def submit(session: Session, submissions: Sequence[Submission], annotator_id: int, *, now: datetime) -> list[Stored]:
    """Store label maps: first versions of open regions, new versions of the annotator's own labels.

    The same pixels again are the same label. Raises NotFound where the annotator was never given a region by that lease,
    Conflict where another annotator holds or has labelled a region, or it was skipped; nothing is stored then.
    """
    by_region = {each.region_id: each for each in submissions}
    if len(by_region) < len(submissions):
        raise Invalid("A request may label a region once.", code="duplicate_region")
    given = {each.region_id: each.lease_id for each in submissions}
    locked = regions.lock_leased(session, given, annotator_id, [each.round_id for each in submissions])
    latest = newest_labels(session, [id for id, region in locked.items() if region.state == "labelled"])
    for region in locked.values():
        _check_labellable(region, latest.get(region.id), annotator_id)
    opened = [region for region in locked.values() if region.state == "open"]
    lease_ends.take_over(session, [region.id for region in opened], annotator_id, now=now, end="labelled")
    stored = [stored_label(each, latest.get(each.region_id), annotator_id, now) for each in submissions]
    _write(session, [each.label for each in stored if each.created], locked, now)
    if opened:
        session.connection().execute(_LABELLED, {"ids": [region.id for region in opened]})
        close_those_done(session, [region.round_id for region in opened], now)
    return stored


def _write(session: Session, labels: Sequence[Label], locked: Mapping[int, Leased], now: datetime) -> None:
    """Rows of new labels, which get their numbers, and an event for each: by statements, for this is the way of every label."""
    if not labels:
        return
    rows = [{name: getattr(label, name) for name in _COLUMNS} for label in labels]
    numbers = session.connection().execute(_ADD, rows).scalars().all()
    for label, number in zip(labels, numbers, strict=True):
        label.id = number
    events.record_many(
        session,
        [
            {
                "at": now,
                "project_id": locked[label.region_id].project_id,
                "annotator_id": label.annotator_id,
                "kind": "region_labelled",
                "detail": {"region": label.region_id, "version": label.version},
            }
            for label in labels
        ],
    )


def newest_labels(session: Session, region_ids: Sequence[int]) -> dict[int, Label]:
    """The version that counts of each region that has a label."""
    found: dict[int, Label] = {}
    for start in range(0, len(region_ids), 5000):  # databases bound the parameters of a statement
        part = region_ids[start : start + 5000]
        chosen = select(Label).where(Label.region_id.in_(part)).order_by(Label.version).options(defer(Label.mask))
        found.update((label.region_id, label) for label in session.scalars(chosen))
    return found


def _check_labellable(region: Leased, latest: Label | None, annotator_id: int) -> None:
    if region.state == "skipped":
        sentence = f"Region {region.id} has been skipped."
    elif latest is not None and latest.annotator_id != annotator_id:
        sentence = f"Region {region.id} has been labelled by another annotator."
    else:
        return
    raise Conflict(sentence, code=f"region_{region.state}", detail={"region_id": region.id})


def stored_label(submission: Submission, latest: Label | None, annotator_id: int, now: datetime) -> Stored:
    """The label that a submission becomes, not yet in the session; `latest` itself where its pixels are the same."""
    if latest is not None and latest.digest == submission.digest:
        return Stored(label=latest, created=False)
    label = Label(
        region_id=submission.region_id,
        annotator_id=annotator_id,
        version=1 if latest is None else latest.version + 1,
        mask=submission.mask,
        digest=submission.digest,
        class_counts=submission.class_counts,
        seconds=submission.seconds,
        created_at=now,
    )
    return Stored(label=label, created=True)
