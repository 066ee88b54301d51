"""Firefox, told what to do over WebDriver BiDi, which it speaks by itself: https://w3c.github.io/webdriver-bidi/."""

import json
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_WITHIN = 60.0
_SPECIAL = {"Enter": "\ue007", "Control": "\ue009"}


class Firefox:
    """One window with one page."""

    def __init__(self, executable: str, profile: Path) -> None:
        """Start it with a profile of its own. Raises TimeoutError where it does not listen."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        own = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", str(port)]
        with (profile / "firefox.log").open("w") as log:
            self._process = subprocess.Popen([executable, *own], stdout=log, stderr=log)
        self._numbers = 0
        self._open = ExitStack()
        self._open.callback(self._end)
        self._socket = self._connected(port)
        self._call("session.new", capabilities={})
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]
        self._call("browsingContext.setViewport", context=self._context, viewport={"width": 1280, "height": 800})

    def close(self) -> None:
        """End it."""
        self._open.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def goto(self, url: str) -> None:
        """Open a page, as in a tab that was at none: where only what follows the # differs, too."""
        for place in ("about:blank", url):
            self._call("browsingContext.navigate", context=self._context, url=place, wait="complete")

    def value(self, expression: str) -> Any:
        """What JavaScript says in the page: a string, a number or a list of them."""
        target = {"context": self._context}
        told = self._call(
            "script.evaluate", expression=f"JSON.stringify({expression})", target=target, awaitPromise=True
        )
        assert told["type"] == "success", told
        return json.loads(told["result"].get("value", "null"))

    def wait_for(self, expression: str) -> Any:
        """What JavaScript says once it says something."""
        until = time.monotonic() + _WITHIN
        while not (found := self.value(expression)):
            assert time.monotonic() < until, f"{expression} came to nothing"
            time.sleep(0.1)
        return found

    def press(self, *keys: str) -> None:
        """Press keys one after the other; those with a + between them together."""
        for key in keys:
            parts = [_SPECIAL.get(each, each) for each in key.split("+")]
            downs = [{"type": "keyDown", "value": each} for each in parts]
            ups = [{"type": "keyUp", "value": each} for each in reversed(parts)]
            self._act({"type": "key", "id": "keyboard", "actions": [*downs, *ups]})

    def drag(self, places: Sequence[tuple[float, float]]) -> None:
        """Press at the first place of the window, move over the others, and let go."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 50} for x, y in places]
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        self._act({"type": "pointer", "id": "mouse", "actions": [moves[0], down, *moves[1:], up]})

    def _act(self, source: dict[str, Any]) -> None:
        self._call("input.performActions", context=self._context, actions=[source])

    def _connected(self, port: int) -> ClientConnection:
        until = time.monotonic() + _WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError):
                return self._open.enter_context(connect(f"ws://127.0.0.1:{port}/session", max_size=None))
            time.sleep(0.2)
        self.close()
        raise TimeoutError("Firefox does not listen.")

    def _call(self, method: str, **params: Any) -> Any:
        self._numbers += 1
        self._socket.send(json.dumps({"id": self._numbers, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(_WITHIN))).get("id") != self._numbers:
            pass  # an event
        assert answer["type"] == "success", answer
        return answer["result"]
