"""Sessions of browsers in the database, by the hash of what their cookie holds."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.errors import Unauthorized
from service.store import events
from service.tables import BrowserSession, Token


def begin(
    session: Session, *, token_hash: str, secret_hash: str, now: datetime, expires_at: datetime
) -> BrowserSession:
    """Log a browser in by a token that works, which `service/auth.py` has found. Those that ran out are forgotten."""
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))
    token = session.scalars(
        select(Token).where(Token.token_hash == token_hash, Token.revoked_at.is_(None))
    ).one_or_none()
    if token is None:
        raise Unauthorized("Nobody holds this token.")  # it was revoked at this moment
    ends = expires_at if token.expires_at is None else min(expires_at, token.expires_at)
    begun = BrowserSession(token_id=token.id, secret_hash=secret_hash, created_at=now, expires_at=ends)
    session.add(begun)
    session.flush()
    events.record(session, now=now, kind="session_begun", annotator_id=token.annotator_id, token=token.id)
    return begun


def end(session: Session, secret_hash: str) -> None:
    """Log a browser out; done already is as good."""
    session.execute(delete(BrowserSession).where(BrowserSession.secret_hash == secret_hash))
