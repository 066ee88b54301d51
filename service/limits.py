"""Bounds the bytes of a request's body, whether it says its length or streams."""

import re

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.failures import error_response

_UPLOAD = re.compile(r"/projects/[^/]+/(images(/references)?|label-maps)/?")


class BodyLimit:
    """ASGI middleware: uploads of images and label maps hold `upload_bytes`, other bodies `other_bytes`; beyond that, 413."""

    def __init__(self, app: ASGIApp, *, upload_bytes: int, other_bytes: int) -> None:
        self._app = app
        self._upload_bytes = upload_bytes
        self._other_bytes = other_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by Content-Length at once; count what is streamed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_bytes if _UPLOAD.fullmatch(scope["path"]) else self._other_bytes
        if _declared_length(scope) > limit:
            await error_response(413, "too_large", _sentence(limit))(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # More digits than this are too many bytes, and no need to convert them.
            return int(value) if len(value) < 20 else 10**20
    return 0


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, _sentence(limit))
        return message

    return counted


def _sentence(limit: int) -> str:
    return f"The request's body may hold {limit:,} bytes at most."
