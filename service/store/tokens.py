"""Tokens in the database, by their hashes: named, listed, rotated, revoked, and when each was used last."""

import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound
from service.store import events
from service.tables import Annotator, Token

MOST = 50  # of one person that work, or would if they had not run out


def note_use(session: Session, token_id: int, now: datetime) -> None:
    """Remember that a token was used today."""
    used = update(Token).where(Token.id == token_id).values(last_used_on=now.date())
    session.execute(used, execution_options={"synchronize_session": False})


def add_token(
    session: Session,
    annotator: Annotator,
    *,
    name: str,
    token_hash: str,
    prefix: str,
    now: datetime,
    expires_at: datetime | None = None,
    by: int | None = None,
) -> Token:
    """One more token. Raises Conflict where the annotator is deactivated or has too many."""
    # Two at once are counted one after the other.
    session.execute(select(Annotator.id).where(Annotator.id == annotator.id).with_for_update())
    if not annotator.active:
        raise Conflict(f"{annotator.name} is deactivated; reactivate them first.", code="annotator_revoked")
    counted = select(func.count()).where(Token.annotator_id == annotator.id, Token.revoked_at.is_(None))
    if (session.scalar(counted) or 0) >= MOST:
        raise Conflict(f"{annotator.name} has {MOST} tokens already; revoke some first.", code="too_many_tokens")
    token = Token(annotator_id=annotator.id, name=name, token_hash=token_hash, prefix=prefix, created_at=now)
    token.expires_at = expires_at
    session.add(token)
    session.flush()
    _record(session, "token_added", token, now, by)
    return token


def get_token(session: Session, token_id: int) -> Token:
    """The token, locked until the transaction ends, or NotFound."""
    token = session.scalars(select(Token).where(Token.id == token_id).with_for_update()).one_or_none()
    if token is None:
        raise NotFound(f"There is no token {token_id}.")
    return token


def list_tokens(session: Session, annotator_id: int, *, limit: int, after: int) -> Sequence[Token]:
    """Tokens of somebody with ids above `after`, oldest first; revoked ones too."""
    chosen = select(Token).where(Token.annotator_id == annotator_id, Token.id > after)
    return session.scalars(chosen.order_by(Token.id).limit(limit)).all()


def revoke(session: Session, token: Token, *, now: datetime, by: int | None = None) -> Token:
    """The token stops working, for good; done already is as good."""
    if token.revoked_at is None:
        token.revoked_at = now
        annotator = session.get_one(Annotator, token.annotator_id)
        if annotator.token_hash == token.token_hash:
            annotator.token_hash = _of_no_token()
        _record(session, "token_revoked", token, now, by)
    return token


def rotate_one(
    session: Session, token: Token, *, token_hash: str, prefix: str, now: datetime, by: int | None = None
) -> Token:
    """Another token of the same name in place of this one, for as long as this one was made for. Raises Conflict if revoked."""
    if token.revoked_at is not None:
        raise Conflict(f"The token {token.name} was revoked; make a new one.", code="token_revoked")
    lifetime = None if token.expires_at is None else token.expires_at - token.created_at
    made = Token(annotator_id=token.annotator_id, name=token.name, token_hash=token_hash, prefix=prefix, created_at=now)
    made.expires_at = None if lifetime is None else now + lifetime
    revoke(session, token, now=now, by=by)
    session.add(made)
    session.flush()
    _record(session, "token_added", made, now, by)
    return made


def revoke_all(session: Session, annotator: Annotator, now: datetime) -> None:
    """No token of the annotator works any more."""
    working = update(Token).where(Token.annotator_id == annotator.id, Token.revoked_at.is_(None))
    session.execute(working.values(revoked_at=now))
    annotator.token_hash = _of_no_token()


def replace_all(
    session: Session,
    annotator: Annotator,
    *,
    token_hash: str,
    prefix: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> None:
    """A new token, and no other works any more."""
    revoke_all(session, annotator, now)
    annotator.token_hash = token_hash
    add_first(session, annotator, token_hash=token_hash, prefix=prefix, now=now, expires_at=expires_at)


def add_first(
    session: Session, annotator: Annotator, *, token_hash: str, prefix: str, now: datetime, expires_at: datetime | None
) -> None:
    """The token that somebody begins with, and begins again with."""
    first = Token(annotator_id=annotator.id, name="first", token_hash=token_hash, prefix=prefix, created_at=now)
    first.expires_at = expires_at
    session.add(first)
    session.flush()


def _of_no_token() -> str:
    # The release before lets in whose hash stands with the annotator.
    return f"revoked-{secrets.token_hex(16)}"


def _record(session: Session, kind: str, token: Token, now: datetime, by: int | None) -> None:
    events.record(session, now=now, kind=kind, annotator_id=by, token=token.id, of=token.annotator_id, name=token.name)
