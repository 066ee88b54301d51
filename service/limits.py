"""Bounds a request's body, whether it says its length or streams: its bytes, the values in its JSON, and its time."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.failures import error_response
from service.json_values import most_values

_UPLOAD = re.compile(r"/projects/[^/]+/(images(/references)?|label-maps)")
_LARGE = re.compile(r"/labels|/regions/[^/]+/reviews|/projects/[^/]+/checkpoints")
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})

MOST_OF_NO_BODY = 4 << 10
MOST_OF_A_FORM = 256 << 10
"""Bytes of most bodies: a project's, of 255 classes with long names, takes 150 KB."""
MOST_VALUES = 20_000
MOST_LABEL_VALUES = 500_000
_ROOM = 64 << 20  # of all bodies that wait in memory; those below a share may go beyond
_SHARE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """`upload`: bytes of uploads of images and label maps. `other`: of labels and policies."""

    upload: int
    other: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A body may take so many seconds, and one more for each `bytes_per_second` that have come."""

    seconds: float
    bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """Of one body; `values` bounds JSON, which takes many times its bytes once it is read. None: a form, which goes to disk."""

    size: int
    values: int | None


class BodyLimit:
    """ASGI middleware: 413 for bodies that are too large, 422 for too many values, 408 for too slow, 503 where too many wait."""

    def __init__(self, app: ASGIApp, *, sizes: Sizes, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._sizes = sizes
        self._pace = pace
        self._clock = clock
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by Content-Length at once; count what is streamed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        bounds = self._bounds(scope["method"], scope["path"], headers.get("content-type", ""))
        if _declared_length(headers) > bounds.size:
            await error_response(413, "too_large", _sentence(bounds.size))(scope, receive, send)
            return
        body = _Body(self, receive, bounds)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.let_go()

    def _bounds(self, method: str, path: str, content_type: str) -> _Bounds:
        if method in _WITHOUT_BODY:
            return _Bounds(size=MOST_OF_NO_BODY, values=MOST_VALUES)
        form = content_type.lower().startswith("multipart/form-data")
        if _UPLOAD.fullmatch(path) and form:
            return _Bounds(size=self._sizes.upload, values=None)
        if _LARGE.fullmatch(path):
            return _Bounds(size=self._sizes.other, values=None if form else MOST_LABEL_VALUES)
        return _Bounds(size=min(MOST_OF_A_FORM, self._sizes.other), values=None if form else MOST_VALUES)


class _Body:
    """One request's body on its way in."""

    def __init__(self, limit: BodyLimit, receive: Receive, bounds: _Bounds) -> None:
        self._limit = limit
        self._receive = receive
        self._bounds = bounds
        self._seen = 0
        self._values = 0
        self._waited = 0.0
        self._complete = False

    async def receive(self) -> Message:
        """What comes next. Raises HTTPException for what is too much or too slow."""
        # After the body, this waits for the client to go away.
        message = await (self._receive() if self._complete else self._in_time())
        if message["type"] == "http.request":
            self._count(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        return message

    def let_go(self) -> None:
        """The request has ended, and its body is not needed any more."""
        if self._bounds.values is not None:
            self._limit._held -= self._seen

    async def _in_time(self) -> Message:
        # Only what is spent waiting for the client counts: it is not to blame for a busy service.
        pace, begun = self._limit._pace, self._limit._clock()
        allowed = pace.seconds + self._seen / pace.bytes_per_second
        try:
            async with asyncio.timeout(allowed - self._waited):
                message = await self._receive()
        except TimeoutError as error:
            sentence = f"The body came too slowly: {self._seen:,} bytes in {allowed:,.0f} seconds."
            raise HTTPException(408, sentence, headers={"Connection": "close"}) from error
        self._waited += self._limit._clock() - begun
        return message

    def _count(self, part: bytes) -> None:
        self._seen += len(part)
        if self._bounds.values is not None:
            self._limit._held += len(part)
        if self._seen > self._bounds.size:
            raise HTTPException(413, _sentence(self._bounds.size))
        if self._bounds.values is None:
            return
        self._values += most_values(part)
        if self._values > self._bounds.values:
            sentence = (
                f"The request's body may hold {self._bounds.values:,} values at most: send it in parts, or as a file."
            )
            raise HTTPException(422, sentence)
        if self._limit._held > _ROOM and self._seen > _SHARE:
            raise HTTPException(
                503, "Too many large bodies come at once; please try again.", headers={"Retry-After": "2"}
            )


def _declared_length(headers: Headers) -> int:
    value = headers.get("content-length", "")
    if not (value.isascii() and value.isdigit()):
        return 0
    # More digits than this are too many bytes, and no need to convert them.
    return int(value) if len(value) < 20 else 10**20


def _sentence(limit: int) -> str:
    return f"The request's body may hold {limit:,} bytes at most."
