"""An HTTP client of the service for scripts: retries what may be retried, and turns error bodies into sentences."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

RETRIED_STATUSES = frozenset({429, 502, 503, 504})


class ApiError(Exception):
    """The service refused; `code` is for programs, the message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status, self.code = status, code


class Client:
    """Calls with a bearer token. Requests are safe to repeat: the service answers a repeated post as it did the first."""

    def __init__(self, server: str, token: str, *, tries: int = 6, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=server, headers=headers, timeout=timeout)
        self._tries = tries

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of a response. Raises ApiError for a refusal, and for a server that stays away."""
        response = self._send(method, path, **request)
        return response.json()

    def content(self, path: str) -> bytes:
        """The bytes of a response."""
        return self._send("GET", path).content

    def download(self, path: str, to: Path, **request: Any) -> int:
        """Write a response to a file as it comes; returns its size. One that breaks off leaves the file as it was.

        Raises ApiError as `call` does, and for what breaks off.
        """
        beside = to.with_name(f".{to.name}.{uuid4().hex}")

        def receive() -> httpx.Response:
            with self._http.stream("GET", path, **request) as response:
                if not response.is_success:
                    response.read()
                    return response
                _write(response, beside)
                return response

        try:
            self._tried(receive)
            beside.replace(to)
            return to.stat().st_size
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()

    def pages(self, path: str) -> Iterator[Any]:
        """The items of a list, page after page."""
        after: int | None = 0
        while after is not None:
            page = self.call("GET", path, params={"after": after, "limit": 200})
            yield from page["items"]
            after = page["next"]

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._tried(lambda: self._http.request(method, path, **request))

    def _tried(self, attempt_once: Callable[[], httpx.Response]) -> httpx.Response:
        for attempt in range(self._tries):
            last = attempt == self._tries - 1
            try:
                response = attempt_once()
            except httpx.TransportError as error:
                if last:
                    sentence = f"{self._http.base_url} does not answer: {error}"
                    raise ApiError(0, "unreachable", sentence) from error
            else:
                if response.is_success:
                    return response
                if last or response.status_code not in RETRIED_STATUSES:
                    raise _refusal(response)
            time.sleep(min(8.0, 0.25 * 2**attempt))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _write(response: httpx.Response, path: Path) -> None:
    with path.open("wb") as file:
        try:
            for piece in response.iter_bytes():
                file.write(piece)
        except httpx.TransportError as error:
            sentence = f"What the server sent broke off after {file.tell():,} bytes: {error}"
            raise ApiError(0, "broken_off", sentence) from error


def _refusal(response: httpx.Response) -> ApiError:
    try:
        error = response.json()["error"]
        return ApiError(response.status_code, error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        return ApiError(response.status_code, "error", response.text[:200])
