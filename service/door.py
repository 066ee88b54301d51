"""Who gets in: asks for the token and the role of every route that needs them before a byte of the body is read."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from service import auth, logs
from service.errors import Unauthorized
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
        rules = tuple(_rules(routers))
        # Most requests are for paths without a number in them: those are found at once.
        fixed = (
            (method, route, rule) for route, rule in rules if "{" not in route.path for method in route.methods or ()
        )
        self._fixed = {(method, route.path): (route, rule) for method, route, rule in fixed}
        self._rules = tuple((route, rule) for route, rule in rules if "{" in route.path)
        self._throttle = throttle
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="door")
        self._suspect_lookups = ThreadPoolExecutor(_SUSPECT_LOOKUPS, thread_name_prefix="door-suspects")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, and go on to the route."""
        rule = self._rule(scope) if scope["type"] == "http" else None
        if rule is not None:
            request = Request(scope)
            try:
                scope["caller"] = caller = await self._caller(request, rule)
                auth.require_role(caller, rule.role)
                logs.note(user=caller.name)
            except _Gone:
                return
            except Exception as error:
                await (await failure_response(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _rule(self, scope: Scope) -> auth.Allowed | None:
        # A path or method that is not there has no rule: whatever says so reads no body.
        found = self._fixed.get((scope["method"], scope["path"])) or next(
            (each for each in self._rules if each[0].matches(scope)[0] is Match.FULL), None
        )
        if found is None:
            return None
        scope["route"] = found[0]  # by which those who are refused here are counted too
        return found[1]

    async def _caller(self, request: Request, rule: auth.Allowed) -> auth.Caller:
        shown = auth.presented(request)
        if shown is None:
            raise Unauthorized("This needs a token, sent as the header 'Authorization: Bearer rw_...'.")
        state = request.app.state
        if rule.setting is not None and _same(shown.secret, getattr(state.settings, rule.setting)):
            return auth.Caller(id=0, name=rule.setting, role=rule.role, token=shown.secret, memberships={})
        address = address_of(request)
        threads = self._suspect_lookups if self._throttle.wait(address) else self._lookups
        gone = request.scope.get("gone", _stays)

        def looked_up() -> auth.Caller | None:
            if gone():
                raise _Gone
            return auth.caller_of(state.database, shown, state.clock())

        caller = await asyncio.get_running_loop().run_in_executor(threads, looked_up)
        if gone():
            raise _Gone
        if caller is None:
            self._throttle.refuse(address)
        return caller


def _same(token: str, known: str) -> bool:
    return bool(known) and hmac.compare_digest(token.encode(), known.encode())


def _rules(routers: Sequence[APIRouter]) -> Iterator[tuple[APIRoute, auth.Allowed]]:
    for router in routers:
        for route in router.routes:
            rule = _asked(route.dependant) if isinstance(route, APIRoute) else None
            if isinstance(route, APIRoute) and rule is not None:
                yield route, rule


def _asked(dependant: Dependant) -> auth.Allowed | None:
    if isinstance(dependant.call, auth.Allowed):
        return dependant.call
    return next((rule for each in dependant.dependencies if (rule := _asked(each)) is not None), None)
