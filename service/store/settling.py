"""What becomes of a region when somebody has labelled or skipped it: done, to be reviewed, skipped, or open for others.

The rule: a region is done once as many label maps as its overlap are there and agree, and waits for a review where they do not,
or where the project has all reviewed. It is skipped once as many as its overlap have skipped it, or nobody is left to ask; but
where somebody has drawn a label of it, it waits for a review instead. Who can be asked: active members who are not paused and
have neither labelled nor skipped it; annotators alone, in a project that has as many of them as the region's overlap. A region
whose label was rejected goes to those whose labels were rejected once nobody else can be asked (priority 2).
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import ColumnElement, Exists, Select, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session, aliased, defer

from service.domain.agreement import agree, majority
from service.domain.classes import ClassSet
from service.domain.label_forms import stored_form
from service.domain.masks import decode_label_png
from service.errors import NotFound
from service.schemas.project_settings import ProjectSettings
from service.store import events
from service.store.afterwards import learn_afterwards
from service.store.answers import Answers, answers_of, has_drawn, has_skipped, has_standing
from service.store.regions import lock_regions
from service.store.rounds import close_those_done
from service.tables import Annotator, Label, Lease, Membership, Project, Region, Round, UtcDateTime

AGAIN = 2
"""The priority of a region that those may have whose labels of it were rejected."""
_AT_ONCE = 100


def settle(session: Session, region_ids: Collection[int], now: datetime) -> None:
    """Decide what becomes of regions, locked with their rounds, of which somebody has labelled, skipped or rejected one."""
    ids = sorted(region_ids)
    session.flush()
    chosen = select(Region).where(Region.id.in_(ids)).order_by(Region.id).options(defer(Region.prediction))
    regions = session.scalars(chosen.execution_options(populate_existing=True)).all()
    answers = answers_of(session, ids)
    alone = set(session.connection().execute(_ALONE, {"ids": ids}).scalars())
    for region in regions:
        _decide(session, region, answers[region.id], alone=region.id in alone, now=now)
    session.flush()
    close_those_done(session, [region.round_id for region in regions], now)
    learn_afterwards(session, {region.round_id for region in regions if region.state == "labelled"}, now)


def settle_those_left(session: Session, project_id: int, now: datetime) -> None:
    """Decide about open regions of a project that nobody is left for: members were removed or paused, or leases ran out.

    Those that another transaction has settled meanwhile stay as they are. Locks rounds, then regions.
    """
    found = session.connection().execute(_LEFT_OPEN, {"project": project_id, "now": now}).all()
    if not found:
        return
    with suppress(NotFound):  # deleted meanwhile: whoever asks next sees to the rest
        locked, _ = lock_regions(session, [row.id for row in found], [row.round_id for row in found])
        settle(session, [id for id, region in locked.items() if region.state == "open"], now)


def _decide(session: Session, region: Region, answers: Answers, *, alone: bool, now: datetime) -> None:
    standing = answers.standing
    region.answers = len(standing)
    if region.answers >= region.overlap:
        region.state = _of_labels(session, region, standing, answers.next_version, now)
        return
    skips = select(func.count(Lease.annotator_id.distinct())).where(Lease.region_id == region.id)
    skipped = session.scalar(skips.where(Lease.end == "skipped")) or 0
    if _is_held(session, region.id, now) or not (alone or skipped >= region.overlap):
        region.state = "open"
    elif alone and not standing and session.connection().scalar(_REJECTED_LEFT, {"id": region.id}) is not None:
        region.state, region.priority = "open", AGAIN
    else:
        region.state = "review" if answers.versions else "skipped"


def _is_held(session: Session, region_id: int, now: datetime) -> bool:
    chosen = select(Lease.id).where(Lease.region_id == region_id, Lease.ended_at.is_(None), Lease.expires_at > now)
    return session.scalar(chosen.limit(1)) is not None


def _of_labels(session: Session, region: Region, standing: Sequence[Label], version: int, now: datetime) -> str:
    """The state of a region that has as many labels as it wants; where several agree, what they agree on is a version."""
    project = session.get_one(Project, region.project_id)
    settings = ProjectSettings.model_validate(project.settings)
    if settings.review == "all" or settings.learn_from == "reviewed":
        return "review"
    if region.overlap == 1:
        return "labelled"
    # Regions are small, and this is done once for several label maps: decoded here, though a transaction is open.
    classes, size = ClassSet.from_json(project.classes), {"height": region.height, "width": region.width}
    maps = [classes.in_todays_ids(decode_label_png(each.mask, **size)) for each in standing]
    if not agree(maps, settings.agreement, settings.agreement_threshold):
        return "review"
    agreed_HW, strict_HW = majority(maps)
    if settings.learn_from == "majority":
        agreed_HW[~strict_HW] = classes.ignore_id
    mask, digest, counts = stored_form(agreed_HW, classes.to_indices(agreed_HW), classes)
    last = standing[-1]
    label = Label(region_id=region.id, annotator_id=last.annotator_id, version=version, kind="agreed", created_at=now)
    label.mask, label.digest, label.class_counts = mask, digest, counts
    session.add(label)
    events.record(
        session,
        now=now,
        kind="labels_agreed",
        project_id=region.project_id,
        region=region.id,
        version=version,
        labels=[each.id for each in standing],
    )
    return "labelled"


def _anybody(who: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there is an active member of `Region`'s project who is not paused, and of whom `who` is true."""
    member = exists().where(Membership.annotator_id == Annotator.id, *_takes_part(Membership, Annotator), who)
    return member.correlate(Region)


def _takes_part(membership: type[Membership], annotator: type[Annotator]) -> tuple[ColumnElement[bool], ...]:
    return membership.project_id == Region.project_id, annotator.active.is_(True), membership.paused_at.is_(None)


def _fresh() -> ColumnElement[bool]:
    """Whether a member can be asked who has neither labelled the region nor skipped it."""
    member, person = aliased(Membership), aliased(Annotator)
    annotators = select(func.count()).select_from(member).join(person, member.annotator_id == person.id)
    annotators = annotators.where(*_takes_part(member, person), member.role == "annotator")
    asked = or_(Membership.role == "annotator", Region.overlap > annotators.correlate(Region).scalar_subquery())
    return and_(asked, ~_of(has_drawn), ~_of(has_skipped))


def _rejected() -> ColumnElement[bool]:
    """Whether a member's label of the region was rejected, and they have drawn or skipped none since."""
    return and_(_of(has_drawn), ~_of(has_standing), ~_of(has_skipped))


def _of(what: Callable[[ColumnElement[int]], Exists]) -> ColumnElement[bool]:
    """What is true of a member and a region, within a statement of both."""
    return what(Annotator.id.expression).correlate(Region, Annotator)


def _left_open() -> Select[int, int]:
    """Open regions of `project` that nobody holds `now` and nobody is left for, and their rounds."""
    held = exists().where(
        Lease.region_id == Region.id,
        Lease.ended_at.is_(None),
        Lease.expires_at > bindparam("now", type_=UtcDateTime),
    )
    chosen = select(Region.id, Region.round_id).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.project_id == bindparam("project"), Region.state == "open")
    chosen = chosen.where(or_(Region.overlap > 1, Region.priority > 0), or_(Round.state == "open", Region.priority > 0))
    chosen = chosen.where(~held, ~_anybody(_fresh()), ~and_(Region.priority >= AGAIN, _anybody(_rejected())))
    return chosen.limit(_AT_ONCE)


# Built once: building takes longer than the database's answer.
_LEFT_OPEN = _left_open()
_ALONE = select(Region.id).where(~_anybody(_fresh()), Region.id.in_(bindparam("ids", expanding=True)))
_REJECTED_LEFT = select(Region.id).where(Region.id == bindparam("id"), _anybody(_rejected()))
