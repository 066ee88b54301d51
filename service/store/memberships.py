"""Memberships in the database: who has which role in a project, and what an annotator was given there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    and_,
    bindparam,
    exists,
    insert,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Session

from service.domain.gold import GOLD
from service.errors import Conflict, NotFound
from service.store import events
from service.store.turns import one_at_a_time
from service.tables import Annotator, Checkpoint, Image, Job, Label, Lease, Membership, Project, Region, Round

GivenKind = Literal["image", "region"]
Kind = Literal["image", "region", "round", "job", "checkpoint"]
NewMembers = Literal["everyone"] | Sequence[tuple[str, str | None]]
"""By name, each with a role, or none for that which they have on the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody of a project, and their role there."""

    annotator: Annotator
    membership: Membership


# Statements that many requests need are built once: building takes longer than the database's answer.
_PROJECT = {
    kind: select(table.project_id).where(table.id == bindparam("id"))
    for kind, table in (
        ("image", Image),
        ("region", Region),
        ("round", Round),
        ("job", Job),
        ("checkpoint", Checkpoint),
    )
}
# The round that holds gold regions is nobody's to see.
_PROJECT["round"] = _PROJECT["round"].where(Round.state != GOLD)


def _given(chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a region of these is held by the annotator, or was labelled by them."""
    # A lease that ran out counts until somebody else takes the region, as it does for labels.
    mine: BindParameter[int] = bindparam("annotator")
    held = exists().where(chosen, Lease.region_id == Region.id, Lease.annotator_id == mine, Lease.ended_at.is_(None))
    return or_(held, exists().where(chosen, Label.region_id == Region.id, Label.annotator_id == mine))


_GIVEN = {
    "image": select(Image.project_id, _given(Region.image_id == bindparam("id"))).where(Image.id == bindparam("id")),
    "region": select(Region.project_id, _given(Region.id == bindparam("id"))).where(Region.id == bindparam("id")),
}


def project_of(session: Session, kind: Kind, number: int) -> int | None:
    """The project of an image, a region, a job or a checkpoint; None where there is no such row."""
    return session.scalar(_PROJECT[kind], {"id": number})


def project_and_given(session: Session, kind: GivenKind, number: int, annotator_id: int) -> tuple[int | None, bool]:
    """The project of an image or a region, and whether the annotator holds or has labelled (a region of) it.

    The project is None where there is no such row.
    """
    row = session.execute(_GIVEN[kind], {"id": number, "annotator": annotator_id}).one_or_none()
    return (None, False) if row is None else (row[0], bool(row[1]))


def list_members(session: Session, project_id: int, *, limit: int, after: int) -> list[Member]:
    """Members with annotator ids above `after`, in order of these."""
    chosen = select(Annotator, Membership).join(Membership, Membership.annotator_id == Annotator.id)
    chosen = chosen.where(Membership.project_id == project_id, Annotator.id > after)
    rows = session.execute(chosen.order_by(Annotator.id).limit(limit))
    return [_member(row) for row in rows]


def _member(row: Row[Annotator, Membership]) -> Member:
    return Member(annotator=row[0], membership=row[1])


def get_member(session: Session, project_id: int, annotator_id: int) -> Member:
    """The member, or NotFound."""
    chosen = select(Annotator, Membership).join(Membership, Membership.annotator_id == Annotator.id)
    chosen = chosen.where(Membership.project_id == project_id, Annotator.id == annotator_id)
    row = session.execute(chosen.with_for_update(of=Membership)).one_or_none()
    if row is None:
        raise NotFound(f"Annotator {annotator_id} is no member of project {project_id}.", code="member_not_found")
    return _member(row)


def add_member(
    session: Session, project_id: int, *, name: str, role: str | None, now: datetime, by: int | None = None
) -> tuple[Member, bool]:
    """Make somebody a member by their name, in their own role if none is given; whether they were not one before.

    Raises NotFound where nobody is called so, Conflict where they are a member in another role already, or deactivated.
    """
    annotator = session.scalars(select(Annotator).where(Annotator.name == name)).one_or_none()
    if annotator is None:
        raise NotFound(f"Nobody is called {name}.", code="annotator_not_found", detail={"name": name})
    if not annotator.active:
        raise Conflict(f"{name} is deactivated; an admin can reactivate them.", code="annotator_deactivated")
    wanted = role or annotator.role
    known = select(Membership).where(Membership.project_id == project_id, Membership.annotator_id == annotator.id)
    membership = session.scalars(known).one_or_none()
    if membership is not None:
        if membership.role != wanted:
            sentence = f"{name} is a member as {membership.role} already; change the role with PATCH."
            raise Conflict(sentence, code="member_exists", detail={"annotator_id": annotator.id})
        return Member(annotator=annotator, membership=membership), False
    membership = Membership(project_id=project_id, annotator_id=annotator.id, role=wanted, created_at=now)
    session.add(membership)
    session.flush()
    _record(session, "member_added", membership, now, by)
    return Member(annotator=annotator, membership=membership), True


def change_member(
    session: Session, project_id: int, annotator_id: int, *, role: str, now: datetime, by: int | None = None
) -> Member:
    """Another role for a member. Raises NotFound."""
    member = get_member(session, project_id, annotator_id)
    if member.membership.role != role:
        member.membership.role = role
        _record(session, "member_changed", member.membership, now, by)
    return member


def remove_member(
    session: Session, project_id: int, annotator_id: int, *, now: datetime, by: int | None = None
) -> Member:
    """Nothing of the project is theirs to see any more; regions that they hold are free, labels stay. Raises NotFound."""
    one_at_a_time(session, annotator_id)  # a lease that is just being given is seen, and ended
    member = get_member(session, project_id, annotator_id)
    own = select(Region.id).where(Region.project_id == project_id)
    held = update(Lease).where(Lease.annotator_id == annotator_id, Lease.ended_at.is_(None), Lease.region_id.in_(own))
    session.execute(held.values(ended_at=now, end="released"), execution_options={"synchronize_session": False})
    session.delete(member.membership)
    _record(session, "member_removed", member.membership, now, by)
    return member


def _record(session: Session, kind: str, membership: Membership, now: datetime, by: int | None) -> None:
    events.record(
        session,
        now=now,
        kind=kind,
        project_id=membership.project_id,
        annotator_id=by,
        member=membership.annotator_id,
        role=membership.role,
    )


def begin(session: Session, project: Project, members: NewMembers, now: datetime, *, by: int | None) -> None:
    """The first members of a new project: who makes it, as its admin, and those named. Raises NotFound or Conflict of these."""
    if by is not None:
        session.add(Membership(project_id=project.id, annotator_id=by, role="admin", created_at=now))
        session.flush()
    if members == "everyone":
        enroll_everybody(session, project, now)
        return
    for name, role in members:
        # Whoever makes a project and names themselves, too, is its admin.
        if session.scalar(select(Annotator.id).where(Annotator.name == name)) != by:
            add_member(session, project.id, name=name, role=role, now=now, by=by)


def enroll_everybody(session: Session, project: Project, now: datetime) -> None:
    """Whoever is active becomes a member in their own role, unless they are one."""
    there = exists().where(Membership.project_id == project.id, Membership.annotator_id == Annotator.id)
    _enroll(session, and_(Project.id == project.id, Annotator.active.is_(True), ~there), now)


def enroll_in_open_projects(session: Session, annotator: Annotator, now: datetime) -> None:
    """Somebody who may call from now on becomes a member, in their own role, of the projects that are open to all."""
    session.flush()
    there = exists().where(Membership.project_id == Project.id, Membership.annotator_id == annotator.id)
    _enroll(session, and_(Project.open_to_all.is_(True), Annotator.id == annotator.id, ~there), now)


def _enroll(session: Session, who: ColumnElement[bool], now: datetime) -> None:
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        # Somebody who is added while a project is opened is seen by whoever comes second.
        session.execute(text("LOCK TABLE memberships IN SHARE ROW EXCLUSIVE MODE"))
    columns = ("project_id", "annotator_id", "role", "created_at")
    stamp = bindparam("now", now, type_=Membership.created_at.type)
    rows = (
        select(Project.id, Annotator.id, Annotator.role, stamp).select_from(Project).join(Annotator, true()).where(who)
    )
    session.execute(insert(Membership).from_select(columns, rows), execution_options={"synchronize_session": False})
