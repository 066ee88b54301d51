"""Who gets in: asks for the token and the role of every route that needs them before a byte of the body is read."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from service import auth
from service.errors import TooMany, Unauthorized
from service.failures import failure_response
from service.throttle import Throttle, address_of

_LOOKUPS = 4
_SUSPECT_LOOKUPS = 1


class _Gone(Exception):
    """The client waits for no answer any more."""


def _stays() -> bool:
    # A server that does not say.
    return False


class Door:
    """ASGI middleware: leaves the caller in the scope, or answers 401, 403 or 429 itself.

    Tokens are looked up by threads of their own, those from an address with too many wrong ones by one: guessing
    keeps neither routes nor other callers waiting.
    """

    def __init__(self, app: ASGIApp, *, routers: Sequence[APIRouter], throttle: Throttle) -> None:
        self._app = app
        self._roles = tuple(_roles(routers))
        self._throttle = throttle
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="door")
        self._suspect_lookups = ThreadPoolExecutor(_SUSPECT_LOOKUPS, thread_name_prefix="door-suspects")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, and go on to the route."""
        role = self._role(scope) if scope["type"] == "http" else None
        if role is not None:
            request = Request(scope)
            try:
                scope["caller"] = caller = await self._caller(request)
                auth.require_role(caller, role)
            except _Gone:
                return
            except Exception as error:
                await (await failure_response(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _role(self, scope: Scope) -> auth.Role | None:
        # A path or method that is not there has no role: whatever says so reads no body.
        return next((role for route, role in self._roles if route.matches(scope)[0] is Match.FULL), None)

    async def _caller(self, request: Request) -> auth.Caller:
        token = auth.presented(request.headers)
        if token is None:
            raise Unauthorized("This needs a token, sent as the header 'Authorization: Bearer rw_...'.")
        address = address_of(request.client.host if request.client else "")
        threads = self._suspect_lookups if self._throttle.wait(address) else self._lookups
        database = request.app.state.database
        gone = request.scope.get("gone", _stays)

        def looked_up() -> auth.Caller | None:
            if gone():
                raise _Gone
            return auth.caller_of(database, token)

        caller = await asyncio.get_running_loop().run_in_executor(threads, looked_up)
        if gone():
            raise _Gone
        if caller is not None:
            return caller
        if seconds := self._throttle.wait(address):
            sentence = f"Too many wrong tokens came from {address}; try again in {seconds} seconds, with the right one."
            raise TooMany(sentence, code="too_many_wrong_tokens", retry_after=seconds)
        self._throttle.count(address)
        raise Unauthorized("Nobody holds this token.")


def _roles(routers: Sequence[APIRouter]) -> Iterator[tuple[APIRoute, auth.Role]]:
    for router in routers:
        for route in router.routes:
            role = _asked(route.dependant) if isinstance(route, APIRoute) else None
            if isinstance(route, APIRoute) and role is not None:
                yield route, role


def _asked(dependant: Dependant) -> auth.Role | None:
    if isinstance(dependant.call, auth.Allowed):
        return dependant.call.role
    return next((role for each in dependant.dependencies if (role := _asked(each)) is not None), None)
