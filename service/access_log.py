"""Follows each request from outside: its id, its line in the log, its count, and an answer to whatever nobody foresaw."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs
from service.failures import unforeseen

log = logging.getLogger(__name__)

OTHER = "other"  # no route of the API: its own pages, and what is not there
_METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A request that was answered: by the template of its route, not by its path, and the status, 0 where there was no answer."""

    method: str
    route: str
    status: int
    seconds: float


class Access:
    """ASGI middleware, outside all others. `count` is told of each request once it is answered."""

    def __init__(self, app: ASGIApp, *, count: Callable[[Served], None]) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the header X-Request-ID: the caller's, if it is a plain word of 64 characters at most, else a new one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, began, status = _request_id(scope), time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with logs.belonging(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            except Exception as error:
                if status:  # it must not look whole: the server cuts it off
                    log.error("%s %s broke off", scope["method"], logs.path_of(scope), exc_info=error)
                    raise
                await (await unforeseen(Request(scope), error))(scope, receive, answer)
            finally:
                self._ended(scope, status, time.perf_counter() - began)

    def _ended(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = str(getattr(scope.get("route"), "path", OTHER))
        self._count(Served(method=method, route=route, status=status, seconds=seconds))
        fields: dict[str, Any] = {
            "method": method,
            "route": route,
            "path": logs.path_of(scope),
            "status": status,
            "duration_ms": round(1000 * seconds, 1),
            "project": _project(scope, route),
        }
        said = {name: value for name, value in fields.items() if value is not None}
        noted = logs.noted()
        answer = f"{status} {noted['error']}" if "error" in noted else str(status)
        sentence = f"{noted.get('user', '-')} {method} {said['path']} {answer} {1000 * seconds:.1f} ms"
        log.info("%s", sentence, extra={"fields": said})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(given := str(value, "latin-1")):
            return given
    return uuid.uuid4().hex


def _project(scope: Scope, route: str) -> str | None:
    """The number of the project that a request says it is about."""
    if route.startswith("/projects/{id}"):
        number = scope.get("path_params", {}).get("id")  # not there where the door refused
        return None if number is None else str(number)
    if route == "/next-regions":
        named = parse_qs(scope["query_string"].decode("latin-1")).get("project", [])
        return str(named[0]) if named and named[0].isascii() and named[0].isdigit() else None
    return None
