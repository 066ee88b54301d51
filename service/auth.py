"""Who is calling: bearer tokens, of which only hashes are stored, and roles."""

import hashlib
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import bindparam, select

from service.deps import Store
from service.errors import Forbidden, Unauthorized
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


def authenticate(
    database: Store, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The caller of this request. Raises Unauthorized where the token is missing or nobody's."""
    if credentials is None:
        raise Unauthorized("This needs a token, sent as the header 'Authorization: Bearer rw_...'.")
    token = credentials.credentials
    # A session of its own, closed before the route begins: one held while waiting for a thread could starve the others.
    with database.read() as session:
        rows = session.execute(_HOLDER, {"token_hash": hash_token(token)}).all()
    if not rows:
        raise Unauthorized("Nobody holds this token.")
    memberships = {row.project_id: row.role_there for row in rows if row.project_id is not None}
    return Caller(id=rows[0].id, name=rows[0].name, role=rows[0].role, token=token, memberships=memberships)


def require(role: Role) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A dependency: the caller, if of this role on the server or a higher one. Raises Unauthorized or Forbidden."""

    async def allowed(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if RANKS.get(caller.role, -1) < RANKS[role]:
            raise Forbidden(f"This is for the role {role}; {caller.name} is {caller.role}.")
        return caller

    return allowed


AdminCaller = Annotated[Caller, Depends(require("admin"))]
AnnotatorCaller = Annotated[Caller, Depends(require("annotator"))]
