"""Who gets in: asks for the token and the role of every route that needs them before a byte of the body is read."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from service import auth, logs
from service.access import InProject
from service.errors import Unauthorized
from service.failures import failure_response
from service.throttle import Throttle, address_of

T = TypeVar("T")
_LOOKUPS = 2  # more would take the interpreter from whoever answers, and find no more tokens
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
        rules = tuple(rules_of(routers))
        # Most requests are for paths without a number in them: those are found at once.
        fixed = [each for each in rules if "{" not in each.route.path]
        self._fixed = {(method, each.route.path): each for each in fixed for method in each.route.methods or ()}
        # The others again after them: a route takes paths, such as one with a newline at its end, that are not just its own.
        self._rules = (*(each for each in rules if "{" in each.route.path), *fixed)
        self._throttle = throttle
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="door")
        self._suspect_lookups = ThreadPoolExecutor(_SUSPECT_LOOKUPS, thread_name_prefix="door-suspects")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask, and go on to the route."""
        rule = self._rule(scope) if scope["type"] == "http" else None
        if rule is not None:
            request = Request(scope)
            try:
                scope["caller"] = caller = await self._caller(request, rule.allowed)
                logs.note(user=caller.name)
                auth.require_role(caller, rule.allowed.role)
                if rule.there is not None and scope["method"] not in ("GET", "HEAD"):  # those have no body to speak of
                    rule.there.require(caller, _number_in(scope, rule))
            except _Gone:
                # Nobody reads it; without an answer the server would log a mistake of the service.
                await (await failure_response(request, ClientDisconnect()))(scope, receive, send)
                return
            except Exception as error:
                await (await failure_response(request, error))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _rule(self, scope: Scope) -> "Rule | None":
        # A path or method that is not there has no rule: whatever says so reads no body.
        found = self._fixed.get((scope["method"], scope["path"])) or next(
            (each for each in self._rules if each.route.matches(scope)[0] is Match.FULL), None
        )
        if found is not None:
            scope["route"] = found.route  # by which those who are refused here are counted too
        return found

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


@dataclass(frozen=True, slots=True)
class Rule:
    """Whom a route lets in: of a role on the server and, where its path has a project's number, of one there."""

    route: APIRoute
    allowed: auth.Allowed
    there: InProject | None


def rules_of(routers: Sequence[APIRouter]) -> Iterator[Rule]:
    """Whom each route lets in; routes that let everybody in are left out."""
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and (allowed := _asked(route.dependant, auth.Allowed)) is not None:
                yield Rule(route, allowed, _asked(route.dependant, InProject))


def _asked(dependant: Dependant, kind: type[T]) -> T | None:
    if isinstance(dependant.call, kind):
        return dependant.call
    return next((found for each in dependant.dependencies if (found := _asked(each, kind)) is not None), None)


def _number_in(scope: Scope, rule: Rule) -> int:
    """The project's number in the path; 0, which is nobody's, for what is no number: the route says so."""
    number = str(rule.route.matches(scope)[1]["path_params"]["id"])
    return int(number) if number.isascii() and number.isdigit() and len(number) < 20 else 0
