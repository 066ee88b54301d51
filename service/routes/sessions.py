"""Routes of a browser's session: begun with a token, kept in a cookie that no script reads, ended."""

from datetime import timedelta
from typing import cast

from fastapi import APIRouter, Depends, Request, Response

from service import auth
from service.auth import COOKIE, Caller
from service.deps import Now, ServiceSettings, Store, Writer
from service.same_site import require_same_site
from service.schemas.errors import errors
from service.schemas.sessions import SessionIn, SessionOut, WhoOut
from service.store import browser_sessions as store
from service.throttle import Throttle, address_of

GROUP = {
    "name": "session",
    "description": "For browsers: logging in with a token, and out. With the cookie, whatever changes something needs the header "
    "`X-Requested-With: regionwise`.",
}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403))


@router.post("/session", status_code=201, responses=errors(409, 413, 429), dependencies=[Depends(require_same_site)])
def log_in(
    body: SessionIn, request: Request, response: Response, database: Store, settings: ServiceSettings, now: Now
) -> SessionOut:
    """Log this browser in with a token: the answer sets a cookie, which works like the token until it runs out."""
    caller = auth.caller_of(database, auth.Presented(body.token), now)
    if caller is None:
        cast(Throttle, request.app.state.throttle).refuse(address_of(request))
    secret = auth.new_token()
    with database.write() as session:
        begun = store.begin(
            session,
            token_hash=auth.hash_token(body.token),
            secret_hash=auth.hash_token(secret),
            now=now,
            expires_at=now + timedelta(hours=settings.session_hours),
        )
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int((begun.expires_at - now).total_seconds()),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return SessionOut(**_who(caller).model_dump(), expires_at=begun.expires_at)


@router.get("/session")
async def get_session(caller: auth.AnnotatorCaller) -> WhoOut:
    """Who is calling, by cookie or token, and in which projects."""
    return _who(caller)


@router.delete("/session", responses=errors(409))
def log_out(caller: auth.AnnotatorCaller, request: Request, response: Response, session: Writer) -> WhoOut:
    """Log this browser out: its cookie works no more. The token goes on working."""
    if secret := request.cookies.get(COOKIE):
        store.end(session, auth.hash_token(secret))
    response.delete_cookie(COOKIE, path="/", secure=request.url.scheme == "https", httponly=True, samesite="strict")
    return _who(caller)


def _who(caller: Caller) -> WhoOut:
    return WhoOut(annotator_id=caller.id, name=caller.name, role=caller.role, projects=dict(caller.memberships))
