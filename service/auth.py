"""Who is calling: bearer tokens, of which only hashes are stored, roles, and the proofs of leases."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypedDict

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Row, bindparam, select
from sqlalchemy.exc import OperationalError, TimeoutError

from service.db import Database
from service.deps import Now, Store
from service.errors import Forbidden, Invalid, Unauthorized
from service.same_site import require_meant
from service.schemas.fields import Role as Role
from service.store.tokens import note_use
from service.tables import Annotator, BrowserSession, Membership, Token, UtcDateTime

log = logging.getLogger(__name__)

COOKIE = "regionwise_session"

RANKS: dict[str, int] = {"annotator": 0, "reviewer": 1, "admin": 2}

_bearer = HTTPBearer(
    auto_error=False, scheme_name="Token", description="The token printed when the annotator was created: `rw_...`."
)

_cookie = APIKeyCookie(
    name=COOKIE, auto_error=False, scheme_name="Session", description="A browser's session, begun with `POST /session`."
)


# Statements that every request or label needs are built once: building takes longer than the database's answer.
_HOLDER = (
    select(Annotator.id, Annotator.name, Annotator.role, Membership.project_id, Membership.role.label("role_there"))
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
    expires_at: datetime | None = None  # of the token


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


def lease_token(bearer: str, lease_id: int, region_id: int) -> str:
    """The proof that this caller was given this region by this lease: computed, never stored, the same each time."""
    return f"{lease_id}-{_lease_proof(bearer, lease_id, region_id)}"


def proven_lease(bearer: str, token: str, region_id: int) -> int:
    """The lease that a token proves. Raises Invalid where it is not this caller's or not of this region."""
    lease_id = claimed_lease(token)
    if not hmac.compare_digest(token.partition("-")[2], _lease_proof(bearer, lease_id, region_id)):
        raise _stray_token(region_id)
    return lease_id


def claimed_lease(token: str) -> int:
    """The lease that a token speaks of, proven or not. Raises Invalid for what cannot be a token."""
    number, _, proof = token.partition("-")
    # At most 18 digits: any such number fits the database's 64 bits.
    if not (number.isascii() and number.isdigit() and len(number) <= 18 and proof.isascii()):
        raise _stray_token()
    return int(number)


def _lease_proof(bearer: str, lease_id: int, region_id: int) -> str:
    return hmac.new(bearer.encode(), f"{lease_id}:{region_id}".encode(), hashlib.sha256).hexdigest()[:32]


def _stray_token(region_id: int | None = None) -> Invalid:
    of = "" if region_id is None else f" for region {region_id}"
    detail = {} if region_id is None else {"region_id": region_id}
    return Invalid(f"This is not a lease token of yours{of}.", code="bad_lease_token", detail=detail)


def authenticate(
    request: Request,
    database: Store,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    cookie: Annotated[str | None, Depends(_cookie)],
    now: Now,
) -> Caller:
    """The caller of this request, by token or by a session's cookie.

    Raises Unauthorized where there is neither, or it is nobody's or has run out; Forbidden where another site may have sent it.
    """
    if credentials is not None:
        return caller_of(database, credentials.credentials, now)
    if not cookie:
        raise Unauthorized("This needs a token, sent as the header 'Authorization: Bearer rw_...'.")
    require_meant(request)
    return caller_of_session(database, cookie, now)


def caller_of_session(database: Database, secret: str, now: datetime) -> Caller:
    """Whose browser holds this cookie, by one statement. Raises Unauthorized where nobody's does, or it has run out."""
    with database.read() as session:
        rows = session.execute(_BY_COOKIE, {"secret_hash": hash_token(secret), "now": now}).all()
    if not rows:
        raise Unauthorized("This session has ended: log in again.", code="session_ended")
    return _caller(database, rows, secret, now)


def caller_of(database: Database, token: str, now: datetime) -> Caller:
    """Who holds this token, by one statement. Raises Unauthorized where nobody does, or it has run out."""
    # A session of its own, closed before the route begins: one held while waiting for a thread could starve the others.
    with database.read() as session:
        rows = session.execute(_BY_TOKEN, {"token_hash": hash_token(token)}).all()
    if not rows:
        raise Unauthorized("Nobody holds this token.")
    return _caller(database, rows, token, now)


def _caller(database: Database, rows: Sequence[Row[Any]], token: str, now: datetime) -> Caller:
    held = rows[0]
    if held.expires_at is not None and held.expires_at <= now:
        raise Unauthorized(
            f"This token ran out at {held.expires_at:%Y-%m-%d %H:%M} UTC: make a new one.", code="token_expired"
        )
    if held.last_used_on != now.date():
        _note_use(database, held.token_id, now)
    memberships = {row.project_id: row.role_there for row in rows if row.project_id is not None}
    return Caller(
        id=held.id, name=held.name, role=held.role, token=token, memberships=memberships, expires_at=held.expires_at
    )


def _note_use(database: Database, token_id: int, now: datetime) -> None:
    """Once a day for each token. A database that cannot write keeps nobody out."""
    try:
        with database.write(durable=False) as session:
            note_use(session, token_id, now)
    except (OperationalError, TimeoutError) as error:
        log.warning("That token %s was used could not be noted: %s", token_id, error)


def require(role: Role) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency: the caller, if of this role on the server or a higher one. Raises Unauthorized or Forbidden."""

    async def allowed(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if RANKS.get(caller.role, -1) < RANKS[role]:
            raise Forbidden(f"This is for the role {role}; {caller.name} is {caller.role}.")
        return caller

    return allowed


AdminCaller = Annotated[Caller, Depends(require("admin"))]
AnnotatorCaller = Annotated[Caller, Depends(require("annotator"))]
