"""Who is calling: bearer tokens, of which only hashes are stored, sessions of browsers, and roles."""

import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypedDict

from fastapi import Depends, Request
from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import OperationalError, TimeoutError

from service.db import Database
from service.errors import Forbidden, Unauthorized
from service.same_site import require_meant
from service.schemas.fields import Role as Role
from service.store.tokens import note_use
from service.tables import Annotator, BrowserSession, Membership, Token, UtcDateTime

log = logging.getLogger(__name__)

COOKIE = "regionwise_session"

RANKS: dict[str, int] = {"annotator": 0, "reviewer": 1, "admin": 2}

SCHEMES = {
    "Token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token printed when the annotator was created: `rw_...`.",
    },
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A browser's session, begun with `POST /session`.",
    },
}
"""For OpenAPI: either will do."""


# Statements that every request or label needs are built once: building takes longer than the database's answer.
_HOLDER = (
    select(Annotator.id, Annotator.name, Annotator.role, Membership.project_id, Membership.role.label("role_there"))
    .add_columns(Membership.paused_at, Membership.tested)
    .add_columns(Token.id.label("token_id"), Token.expires_at, Token.last_used_on)
    .select_from(Token)
    .join(Annotator, Token.annotator_id == Annotator.id)
    .join(Membership, Membership.annotator_id == Annotator.id, isouter=True)
    .where(Annotator.active.is_(True), Token.revoked_at.is_(None))
)
_BY_TOKEN = _HOLDER.where(Token.token_hash == bindparam("token_hash"))
_BY_COOKIE = _HOLDER.join(BrowserSession, BrowserSession.token_id == Token.id).where(
    BrowserSession.secret_hash == bindparam("secret_hash"),
    BrowserSession.expires_at > bindparam("now", type_=UtcDateTime),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The annotator behind a request, their role by project, and the token, or session's secret, that it came with."""

    id: int
    name: str
    role: str
    token: str
    memberships: Mapping[int, str]
    paused: frozenset[int] = frozenset()  # projects in which no regions are given to them
    tested: frozenset[int] = frozenset()  # projects in which they were given gold regions
    expires_at: datetime | None = None  # of the token
    token_id: int | None = None
    cookie: bool = False


def new_token() -> str:
    """A fresh random token of 256 bits."""
    return f"rw_{secrets.token_urlsafe(32)}"


class Kept(TypedDict):
    """What is stored of a token: its hash, and its first letters (24 of 256 bits), by which it is told from others."""

    token_hash: str
    prefix: str


def kept_of(token: str) -> Kept:
    """What is stored of a token."""
    return {"token_hash": hash_token(token), "prefix": token[:7]}


def hash_token(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex. Tokens are random, so that no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request came with: a token, or the secret of a browser's session."""

    secret: str
    cookie: bool = False


def presented(request: Request) -> Presented | None:
    """What the request came with, the token before the cookie; None: with neither.

    Raises Forbidden for a cookie that another site may have had sent.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return Presented(token.strip())
    if secret := request.cookies.get(COOKIE):
        require_meant(request)
        return Presented(secret, cookie=True)
    return None


def caller_of(database: Database, shown: Presented, now: datetime) -> Caller | None:
    """Who holds this now, by one statement; None where nobody does. Asked for each request: who was shut out is out at once.

    Raises Unauthorized for a token or a session that has run out.
    """
    found, values = (
        (_BY_COOKIE, {"secret_hash": hash_token(shown.secret), "now": now})
        if shown.cookie
        else (_BY_TOKEN, {"token_hash": hash_token(shown.secret)})
    )
    # A connection of its own, given back before the route begins: one held while waiting for a thread could starve the others.
    with database.ask() as connection:
        rows = connection.execute(found, values).all()
    if rows:
        return _caller(database, rows, shown, now)
    if shown.cookie:
        raise Unauthorized("This session has ended: log in again.", code="session_ended")
    return None


def _caller(database: Database, rows: Sequence[Row[Any]], shown: Presented, now: datetime) -> Caller:
    held = rows[0]
    if held.expires_at is not None and held.expires_at <= now:
        raise Unauthorized(
            f"This token ran out at {held.expires_at:%Y-%m-%d %H:%M} UTC: make a new one.", code="token_expired"
        )
    if held.last_used_on != now.date():
        _note_use(database, held.token_id, now)
    memberships = {row.project_id: row.role_there for row in rows if row.project_id is not None}
    return Caller(
        id=held.id,
        name=held.name,
        role=held.role,
        token=shown.secret,
        memberships=memberships,
        paused=frozenset(row.project_id for row in rows if row.paused_at is not None),
        tested=frozenset(row.project_id for row in rows if row.tested),
        expires_at=held.expires_at,
        token_id=held.token_id,
        cookie=shown.cookie,
    )


def caller_again(database: Database, caller: Caller, now: datetime) -> Caller:
    """Who was let in a while ago, as they are now. Raises Unauthorized where they would not be let in any more."""
    found = caller_of(database, Presented(caller.token, cookie=caller.cookie), now)
    if found is None:
        raise Unauthorized("Nobody holds this token any more.")
    return found


def _note_use(database: Database, token_id: int, now: datetime) -> None:
    """Once a day for each token. A database that cannot write keeps nobody out."""
    try:
        with database.write(durable=False) as session:
            note_use(session, token_id, now)
    except (OperationalError, TimeoutError) as error:
        log.warning("That token %s was used could not be noted: %s", token_id, error)


def require_role(caller: Caller, role: Role) -> None:
    """Raises Forbidden for a caller of a lower role."""
    if RANKS.get(caller.role, -1) < RANKS[role]:
        raise Forbidden(f"This is for the role {role}; {caller.name} is {caller.role}.")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A dependency: the caller, if of this role or a higher one. The door knows by it whom a route lets in.

    `setting` names one that holds a token which is let in too, without the database: it may be away.
    """

    role: Role
    setting: str | None = None

    async def __call__(self, request: Request) -> Caller:
        """The caller whom the door has let in (service/door.py)."""
        caller: Caller = request.scope["caller"]
        return caller


AdminCaller = Annotated[Caller, Depends(Allowed("admin"))]
AnnotatorCaller = Annotated[Caller, Depends(Allowed("annotator"))]
