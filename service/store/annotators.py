"""Annotators in the database: who may call, by the hash of their token."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound
from service.store import events, lease_ends, tokens
from service.store.memberships import enroll_in_open_projects
from service.tables import Annotator

_FIRST = 7_461_020_233  # any number, but the same in all processes


def add_first_admin(session: Session, *, name: str, token_hash: str, prefix: str, now: datetime) -> Annotator | None:
    """An admin where there is none, and None where there is one: of several processes that ask at once, one adds.

    Raises Conflict where somebody who is no admin has the name.
    """
    if session.get_bind().dialect.name == "postgresql":  # on SQLite there is just one writer anyway
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FIRST})
    if session.scalar(select(Annotator.id).where(Annotator.role == "admin").limit(1)) is not None:
        return None
    return add_annotator(session, name=name, role="admin", token_hash=token_hash, prefix=prefix, now=now)


def add_annotator(
    session: Session,
    *,
    name: str,
    role: str,
    token_hash: str,
    now: datetime,
    prefix: str = "",
    expires_at: datetime | None = None,
    by: int | None = None,
) -> Annotator:
    """A new annotator with a token, which begins with `prefix`; `by` is who added it. Raises Conflict where the name is taken."""
    if session.scalar(select(Annotator.id).where(Annotator.name == name)) is not None:
        raise Conflict(f"There is an annotator {name} already.", code="annotator_exists", detail={"name": name})
    annotator = Annotator(name=name, role=role, token_hash=token_hash, active=True, created_at=now)
    session.add(annotator)
    session.flush()
    tokens.add_first(session, annotator, token_hash=token_hash, prefix=prefix, now=now, expires_at=expires_at)
    enroll_in_open_projects(session, annotator, now)
    events.record(session, now=now, kind="annotator_added", annotator_id=by, added=annotator.id, name=name, role=role)
    return annotator


def get_annotator(session: Session, annotator_id: int) -> Annotator:
    """The annotator, or NotFound."""
    annotator = session.get(Annotator, annotator_id)
    if annotator is None:
        raise NotFound(f"There is no annotator {annotator_id}.")
    return annotator


def list_annotators(session: Session, *, limit: int, after: int) -> Sequence[Annotator]:
    """Annotators with ids above `after`, oldest first."""
    return session.scalars(select(Annotator).where(Annotator.id > after).order_by(Annotator.id).limit(limit)).all()


def deactivate(session: Session, annotator_id: int, *, now: datetime, by: int | None = None) -> Annotator:
    """The annotator's tokens stop working, and their leases end; what they labelled stays.

    Raises Conflict for the last active admin.
    """
    # Every active admin is locked, so that two who remove each other at once do not leave the service without one.
    admins = select(Annotator).where(Annotator.role == "admin", Annotator.active.is_(True)).order_by(Annotator.id)
    freed = lease_ends.lock_held(session, annotator_id)
    # Keys to their rows may be taken meanwhile: whoever labels does so while he holds regions that may be waited for here.
    active = session.scalars(admins.with_for_update(key_share=True)).all()
    annotator = get_annotator(session, annotator_id)
    if not annotator.active:
        return annotator
    if [admin.id for admin in active] == [annotator_id]:
        raise Conflict(f"{annotator.name} is the last admin; add another one first.", code="last_admin")
    annotator.active = False
    tokens.revoke_all(session, annotator, now)
    lease_ends.end_all(session, annotator_id, now=now)
    events.record(
        session, now=now, kind="annotator_deactivated", annotator_id=by, deactivated=annotator_id, freed=freed
    )
    return annotator


def rotate(
    session: Session,
    annotator_id: int,
    *,
    token_hash: str,
    now: datetime,
    prefix: str = "",
    expires_at: datetime | None = None,
    by: int | None = None,
) -> Annotator:
    """Another token in place of all of the annotator's, which stop working. Raises Conflict where they are deactivated.

    Leases stay as they are, and so do their tokens.
    """
    annotator = _locked(session, annotator_id)
    if not annotator.active:
        raise Conflict(f"{annotator.name} is deactivated; reactivate them first.", code="annotator_revoked")
    tokens.replace_all(session, annotator, token_hash=token_hash, prefix=prefix, now=now, expires_at=expires_at)
    events.record(session, now=now, kind="token_rotated", annotator_id=by, rotated=annotator_id)
    return annotator


def reactivate(
    session: Session,
    annotator_id: int,
    *,
    token_hash: str,
    now: datetime,
    prefix: str = "",
    expires_at: datetime | None = None,
    by: int | None = None,
) -> Annotator:
    """Somebody who was deactivated may call again, by a new token alone. Raises Conflict where they may already."""
    annotator = _locked(session, annotator_id)
    if annotator.active:
        raise Conflict(f"{annotator.name} is not deactivated.", code="annotator_active")
    annotator.active = True
    tokens.replace_all(session, annotator, token_hash=token_hash, prefix=prefix, now=now, expires_at=expires_at)
    enroll_in_open_projects(session, annotator, now)
    events.record(session, now=now, kind="annotator_reactivated", annotator_id=by, reactivated=annotator_id)
    return annotator


def named(session: Session, name: str) -> Annotator:
    """The annotator of this name, or NotFound."""
    annotator = session.scalars(select(Annotator).where(Annotator.name == name)).one_or_none()
    if annotator is None:
        raise NotFound(f"Nobody is called {name}.", code="annotator_not_found", detail={"name": name})
    return annotator


def _locked(session: Session, annotator_id: int) -> Annotator:
    annotator = session.scalar(select(Annotator).where(Annotator.id == annotator_id).with_for_update())
    if annotator is None:
        raise NotFound(f"There is no annotator {annotator_id}.")
    return annotator
