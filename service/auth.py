"""Who is calling: bearer tokens, of which only hashes are stored, roles, and the proofs of leases."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import bindparam, select

from service import logs
from service.deps import Store
from service.errors import Forbidden, Invalid, Unauthorized
from service.schemas.fields import Role as Role
from service.tables import Annotator

RANKS: dict[str, int] = {"annotator": 0, "reviewer": 1, "admin": 2}

_bearer = HTTPBearer(
    auto_error=False, scheme_name="Token", description="The token printed when the annotator was created: `rw_...`."
)

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]

# Statements that every request or label needs are built once: building takes longer than the database's answer.
_HOLDER = select(Annotator.id, Annotator.name, Annotator.role).where(
    Annotator.token_hash == bindparam("token_hash"), Annotator.active.is_(True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The annotator behind a request, and the token that it came with."""

    id: int
    name: str
    role: str
    token: str


def new_token() -> str:
    """A fresh random token of 256 bits."""
    return f"rw_{secrets.token_urlsafe(32)}"


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


def authenticate(database: Store, credentials: Credentials) -> Caller:
    """The caller of this request. Raises Unauthorized where the token is missing or nobody's."""
    if credentials is None:
        raise Unauthorized("This needs a token, sent as the header 'Authorization: Bearer rw_...'.")
    token = credentials.credentials
    # A session of its own, closed before the route begins: one held while waiting for a thread could starve the others.
    with database.read() as session:
        row = session.execute(_HOLDER, {"token_hash": hash_token(token)}).one_or_none()
    if row is None:
        raise Unauthorized("Nobody holds this token.")
    logs.note(user=row.name)
    return Caller(id=row.id, name=row.name, role=row.role, token=token)


def require(role: Role) -> Callable[..., Caller]:
    """A dependency: the caller, if of this role or a higher one. Raises Unauthorized or Forbidden."""

    def allowed(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if RANKS.get(caller.role, -1) < RANKS[role]:
            raise Forbidden(f"This is for the role {role}; {caller.name} is {caller.role}.")
        return caller

    return allowed


AdminCaller = Annotated[Caller, Depends(require("admin"))]
ReviewerCaller = Annotated[Caller, Depends(require("reviewer"))]
AnnotatorCaller = Annotated[Caller, Depends(require("annotator"))]
