"""Who is calling: bearer tokens, of which only hashes are stored, and roles."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy import bindparam, select

from service.db import Database
from service.errors import Forbidden
from service.schemas.fields import Role as Role
from service.tables import Annotator, Membership

RANKS: dict[str, int] = {"annotator": 0, "reviewer": 1, "admin": 2}

_bearer = HTTPBearer(
    auto_error=False, scheme_name="Token", description="The token printed when the annotator was created: `rw_...`."
)


# Statements that every request or label needs are built once: building takes longer than the database's answer.
_HOLDER = (
    select(Annotator.id, Annotator.name, Annotator.role, Membership.project_id, Membership.role.label("role_there"))
    .join(Membership, Membership.annotator_id == Annotator.id, isouter=True)
    .where(Annotator.token_hash == bindparam("token_hash"), Annotator.active.is_(True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The annotator behind a request, their role by project, and the token that it came with."""

    id: int
    name: str
    role: str
    token: str
    memberships: Mapping[int, str]


def new_token() -> str:
    """A fresh random token of 256 bits."""
    return f"rw_{secrets.token_urlsafe(32)}"


def hash_token(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex. Tokens are random, so that no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def presented(headers: Mapping[str, str]) -> str | None:
    """The token that a request came with, found by its headers' names in lower case; None: it came with none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def caller_of(database: Database, token: str) -> Caller | None:
    """Whoever holds the token now; None where nobody does. Asked for each request: who was shut out is out at once."""
    # A session of its own, closed before the route begins: one held while waiting for a thread could starve the others.
    with database.read() as session:
        rows = session.execute(_HOLDER, {"token_hash": hash_token(token)}).all()
    if not rows:
        return None
    memberships = {row.project_id: row.role_there for row in rows if row.project_id is not None}
    return Caller(id=rows[0].id, name=rows[0].name, role=rows[0].role, token=token, memberships=memberships)


def require_role(caller: Caller, role: Role) -> None:
    """Raises Forbidden for a caller of a lower role."""
    if RANKS.get(caller.role, -1) < RANKS[role]:
        raise Forbidden(f"This is for the role {role}; {caller.name} is {caller.role}.")


async def authenticate(request: Request, _: Annotated[object, Depends(_bearer)]) -> Caller:
    """The caller whom the door has let in (service/door.py)."""
    caller: Caller = request.scope["caller"]
    return caller


@dataclass(frozen=True, slots=True)
class Allowed:
    """A dependency: the caller, if of this role or a higher one. The door knows by it whom a route lets in.

    `setting` names one that holds a token which is let in too, without the database: it may be away.
    """

    role: Role
    setting: str | None = None

    async def __call__(self, caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        """Raises Forbidden."""
        require_role(caller, self.role)
        return caller


AdminCaller = Annotated[Caller, Depends(Allowed("admin"))]
AnnotatorCaller = Annotated[Caller, Depends(Allowed("annotator"))]
