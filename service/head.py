"""Answers HEAD wherever GET is answered: the same status and headers, no body."""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ASKED = "regionwise.head"


def asked_by_head(scope: Scope) -> bool:
    """Whether what is answered as GET was asked for by HEAD."""
    return bool(scope.get(_ASKED))


class Head:
    """ASGI middleware. What would be sent piece by piece is not made any further than its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the application for what GET gives, and end with the headers."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A copy: the server looks at its own for whether a body may follow.
        asked = {**scope, "method": "GET", _ASKED: True}
        ended = False
        with anyio.CancelScope() as work:

            async def answer(message: Message) -> None:
                nonlocal ended
                if message["type"] == "http.response.start":
                    await send(message)
                elif message["type"] == "http.response.body" and not ended:
                    ended = True
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    if message.get("more_body", False):
                        work.cancel()

            try:
                await self._app(asked, receive, answer)
            finally:
                for found in ("route", "path_params"):  # which those outside ask for
                    if found in asked:
                        scope[found] = asked[found]
