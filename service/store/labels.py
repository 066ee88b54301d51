"""Labels in the database: versions of a region's label map, all of a request or none."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session, defer

from service.domain.gold import GOLD
from service.domain.label_kinds import LabelKind
from service.errors import Invalid
from service.store import answering, comparisons, events, gold_answers, lease_ends
from service.store.answers import Answers
from service.store.lease_locks import Leased, lock_leased
from service.store.migrated import require_classes
from service.store.rounds import close_those_done
from service.store.settling import settle
from service.tables import Label, Region, by_dialect, one_or_many, table_of

# Built once: building takes longer than the database's answer.
_COLUMNS = (
    "region_id",
    "annotator_id",
    "version",
    "mask",
    "digest",
    "class_counts",
    "seconds",
    "idle_seconds",
    "created_at",
)
_ADD = insert(table_of(Label)).returning(table_of(Label).c.id, sort_by_parameter_order=True)
_DONE = by_dialect(
    lambda among: (
        update(table_of(Region)).where(among(table_of(Region).c.id, "ids")).values(state=bindparam("state_"), answers=1)
    )
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
    idle_seconds: float | None = None  # not among `seconds`
    lease_id: int | None = None  # labels that are imported have none
    class_changes: int = 0  # of the classes that it was checked by


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The label that a submission became, or was already."""

    label: Label
    created: bool


def submit(session: Session, submissions: Sequence[Submission], annotator_id: int, *, now: datetime) -> list[Stored]:
    """Store label maps: answers for open regions, new versions of the annotator's own labels.

    The same pixels again are the same label. Raises NotFound where the annotator was never given a region by that lease,
    Conflict where others hold or have labelled as much of a region as it wants, where a reviewer has decided about the
    annotator's label, or it was skipped, ClassesChanged where the label maps were checked by classes of before; nothing is
    stored then.
    """
    by_region = {each.region_id: each for each in submissions}
    if len(by_region) < len(submissions):
        raise Invalid("A request may label a region once.", code="duplicate_region")
    given = {each.region_id: each.lease_id for each in submissions}
    locked = lock_leased(session, given, annotator_id, [each.round_id for each in submissions])
    for each in submissions:
        require_classes(locked[each.region_id].class_changes, each.class_changes)
    if golden := {id for id, region in locked.items() if region.state == GOLD}:
        return _with_gold(session, submissions, locked, golden, annotator_id, now)
    return _submit(session, submissions, locked, annotator_id, now)


def _with_gold(
    session: Session,
    submissions: Sequence[Submission],
    locked: Mapping[int, Leased],
    golden: Collection[int],
    annotator_id: int,
    now: datetime,
) -> list[Stored]:
    """Some regions are gold: their labels teach nothing, and are stored apart from the others."""
    tests, others = ([each for each in submissions if (each.region_id in golden) is kind] for kind in (True, False))
    rest = {id: region for id, region in locked.items() if id not in golden}
    stored = {each.label.region_id: each for each in _submit(session, others, rest, annotator_id, now)}
    for region_id, each in gold_answers.answer(session, tests, annotator_id, now).items():
        stored[region_id] = Stored(label=each.label, created=each.created)
    return [stored[each.region_id] for each in submissions]


def _submit(
    session: Session,
    submissions: Sequence[Submission],
    locked: Mapping[int, Leased],
    annotator_id: int,
    now: datetime,
) -> list[Stored]:
    """Store label maps of regions that are locked, and of which none is gold."""
    given = {each.region_id: each.lease_id for each in submissions}
    plain = [region for region in locked.values() if region.plain]
    lease_ends.take_over(session, [region.id for region in plain], annotator_id, now=now, end="labelled")
    others = [region for region in locked.values() if not region.plain]
    known = answering.before(session, others, given, annotator_id, now) if others else {}
    stored = [_stored(each, known.get(each.region_id), annotator_id, now) for each in submissions]
    created = [each.label for each in stored if each.created]
    _write(session, created, locked, now)
    shared = [label.region_id for label in created if not locked[label.region_id].plain]
    comparisons.compare_labels(session, shared, annotator_id, now)
    _settle(session, plain, others, {each.region_id for each in created}, now)
    return stored


def _settle(
    session: Session, plain: Sequence[Leased], others: Sequence[Leased], changed: Collection[int], now: datetime
) -> None:
    """What becomes of regions whose labels are written; of plain ones, which most are, by as few statements as can be."""
    if not_plain := [region.id for region in others if region.id in changed]:
        settle(session, not_plain, now)
    for state, of_state in (
        ("labelled", [region for region in plain if not region.reviewed]),
        ("review", [region for region in plain if region.reviewed]),
    ):
        if of_state:
            values = {"ids": [region.id for region in of_state], "state_": state}
            connection = session.connection()
            connection.execute(_DONE[connection.dialect.name], values)
    if plain:
        close_those_done(session, [region.round_id for region in plain], now)


def _stored(submission: Submission, known: Answers | None, annotator_id: int, now: datetime) -> Stored:
    own = None if known is None else known.own(annotator_id)
    if known is not None and own is not None and own.id in known.rejected:
        own = None  # the same pixels again are an answer of their own
    version = 1 if known is None else known.next_version
    return stored_label(submission, own, annotator_id, now, version=version)


def _write(session: Session, labels: Sequence[Label], locked: Mapping[int, Leased], now: datetime) -> None:
    """Rows of new labels, which get their numbers, and an event for each: by statements, for this is the way of every label."""
    if not labels:
        return
    rows = [{name: getattr(label, name) for name in _COLUMNS} for label in labels]
    numbers = session.connection().execute(_ADD, one_or_many(rows)).scalars().all()
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


def stored_label(
    submission: Submission,
    latest: Label | None,
    annotator_id: int,
    now: datetime,
    *,
    version: int | None = None,
    kind: LabelKind = "annotated",
) -> Stored:
    """The label that a submission becomes, not yet in the session; `latest` itself where its pixels are the same.

    `version`: the one that comes after all others, where `latest` is not the newest.
    """
    if latest is not None and latest.digest == submission.digest:
        return Stored(label=latest, created=False)
    label = Label(
        region_id=submission.region_id,
        annotator_id=annotator_id,
        version=version or (1 if latest is None else latest.version + 1),
        kind=kind,
        mask=submission.mask,
        digest=submission.digest,
        class_counts=submission.class_counts,
        seconds=submission.seconds,
        idle_seconds=submission.idle_seconds,
        created_at=now,
    )
    return Stored(label=label, created=True)
