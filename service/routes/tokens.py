"""Routes of tokens: one's own, and for admins of the server those of others."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session

from service import auth
from service.auth import Caller
from service.deps import Now, Reader, Writer
from service.errors import Forbidden, NotFound
from service.schemas.errors import errors
from service.schemas.paging import After, Id, Limit, Page
from service.schemas.tokens import TokenCreated, TokenIn, TokenOut, token_out
from service.store import tokens as store
from service.store.annotators import get_annotator
from service.tables import Token

GROUP = {"name": "tokens", "description": "What people call with: several each, named, with or without an end."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))


async def _owner(id: Id, caller: auth.AnnotatorCaller) -> Caller:
    if caller.role != "admin" and caller.id != id:
        raise Forbidden("Tokens of others are for admins of the server.")
    return caller


Owner = Annotated[Caller, Depends(_owner)]


@router.get("/annotators/{id}/tokens")
def list_tokens(
    id: Id, caller: Owner, session: Reader, now: Now, limit: Limit = 100, after: After = 0
) -> Page[TokenOut]:
    """Somebody's tokens, oldest first: how each begins, when it was made, used last and runs out."""
    get_annotator(session, id)
    found = store.list_tokens(session, id, limit=limit + 1, after=after)
    return Page.cut([token_out(each, now) for each in found], limit, key=lambda each: each.id)


@router.post("/annotators/{id}/tokens", status_code=201, responses=errors(409, 413))
def add_token(id: Id, body: TokenIn, caller: Owner, session: Writer, now: Now) -> TokenCreated:
    """Make one more token, and show it once. None may outlast the token that it is asked for with."""
    ends = None if body.expires_in_days is None else now + timedelta(days=body.expires_in_days)
    _require_within(caller, ends)
    token, annotator = auth.new_token(), get_annotator(session, id)
    made = store.add_token(
        session, annotator, name=body.name, **auth.kept_of(token), now=now, expires_at=ends, by=caller.id
    )
    return TokenCreated(**token_out(made, now).model_dump(), token=token)


@router.post("/tokens/{id}/rotate", responses=errors(409))
def rotate_one_token(id: Id, caller: auth.AnnotatorCaller, session: Writer, now: Now) -> TokenCreated:
    """Make another token in place of this one, of the same name and lifetime, and show it once; this one stops working.

    In place of another than that which it is asked for with, none may outlast that.
    """
    token = auth.new_token()
    made = store.rotate_one(session, _own(session, id, caller), **auth.kept_of(token), now=now, by=caller.id)
    if id != caller.token_id:
        _require_within(caller, made.expires_at)
    return TokenCreated(**token_out(made, now).model_dump(), token=token)


@router.delete("/tokens/{id}", responses=errors(409))
def revoke_token(id: Id, caller: auth.AnnotatorCaller, session: Writer, now: Now) -> TokenOut:
    """Stop one token from working, for good."""
    return token_out(store.revoke(session, _own(session, id, caller), now=now, by=caller.id), now)


def _require_within(caller: Caller, ends: datetime | None) -> None:
    if caller.expires_at is not None and (ends is None or ends > caller.expires_at):
        sentence = f"Your token runs out at {caller.expires_at:%Y-%m-%d %H:%M} UTC: one that you make with it may not outlast it."
        raise Forbidden(sentence, code="outlasts_token")


def _own(session: Session, token_id: int, caller: Caller) -> Token:
    token = store.get_token(session, token_id)
    if caller.role != "admin" and token.annotator_id != caller.id:
        raise NotFound(f"There is no token {token_id}.")
    return token
