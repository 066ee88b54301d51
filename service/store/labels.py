"""Labels in the database: versions of a region's label map, all of a request or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from service.errors import Conflict, Invalid
from service.store import events, lease_ends, regions
from service.store.rounds import close_if_done
from service.tables import Label, Region


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
    locked, rounds = regions.lock_leased(session, given, annotator_id, [each.round_id for each in submissions])
    latest = newest_labels(session, [id for id, region in locked.items() if region.state == "labelled"])
    for region in locked.values():
        _check_labellable(region, latest.get(region.id), annotator_id)
    opened = [region for region in locked.values() if region.state == "open"]
    lease_ends.take_over(session, [region.id for region in opened], annotator_id, now=now, end="labelled")
    stored = [stored_label(each, latest.get(each.region_id), annotator_id, now) for each in submissions]
    session.add_all(each.label for each in stored if each.created)
    for region in opened:
        region.state = "labelled"
    _record(session, stored, locked, annotator_id, now)
    session.flush()
    for round_id in sorted({region.round_id for region in opened}):
        close_if_done(session, rounds[round_id], now)
    return stored


def newest_labels(session: Session, region_ids: Sequence[int]) -> dict[int, Label]:
    """The version that counts of each region that has a label."""
    found: dict[int, Label] = {}
    for start in range(0, len(region_ids), 5000):  # databases bound the parameters of a statement
        part = region_ids[start : start + 5000]
        chosen = select(Label).where(Label.region_id.in_(part)).order_by(Label.version).options(defer(Label.mask))
        found.update((label.region_id, label) for label in session.scalars(chosen))
    return found


def _check_labellable(region: Region, latest: Label | None, annotator_id: int) -> None:
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


def _record(
    session: Session, stored: Sequence[Stored], locked: dict[int, Region], annotator_id: int, now: datetime
) -> None:
    for label in (each.label for each in stored if each.created):
        events.record(
            session,
            now=now,
            kind="region_labelled",
            project_id=locked[label.region_id].project_id,
            annotator_id=annotator_id,
            region=label.region_id,
            version=label.version,
        )
