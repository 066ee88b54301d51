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
    """The service refused; `code` is for programs, the message for people, `detail` has the values in it."""

    def __init__(self, status: int, code: str, message: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(f"{message} ({status} {code})" if status else message)
        self.status, self.code, self.message, self.detail = status, code, message, detail or {}


class Client:
    """Calls with a bearer token. Requests are safe to repeat: the service answers a repeated post as it did the first."""

    def __init__(self, server: str, token: str, *, tries: int = 6, timeout: float = 60.0) -> None:
        """Raises ValueError for what is no address."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=server, headers=headers, timeout=timeout)
        except httpx.InvalidURL as error:
            raise ValueError(f"{server} is no address of a server, such as http://127.0.0.1:8000: {error}.") from error
        self._tries = tries

    @property
    def server(self) -> str:
        """The address that is called."""
        return str(self._http.base_url).rstrip("/")

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of a response. Raises ApiError for a refusal, for a server that stays away, and for another program."""
        response = self._send(method, path, **request)
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger(response) from error

    def content(self, path: str) -> bytes:
        """The bytes of a response."""
        return self._send("GET", path).content

    def download(
        self, path: str, to: Path, *, received: Callable[[int], None] = lambda size: None, **request: Any
    ) -> int:
        """Write a response to a file as it comes; returns its size. One that breaks off leaves the file as it was.

        `received` is told how many bytes there are already.
        Raises ApiError as `call` does, and for what breaks off, and ValueError, before anything is asked for, for what is no file
        in a folder that is there.
        """
        _require_file(to)
        beside = to.with_name(f".{to.name}.{uuid4().hex}")

        def receive() -> httpx.Response:
            with self._http.stream("GET", path, **request) as response:
                if not response.is_success:
                    response.read()
                    return response
                _write(response, beside, received)
                return response

        try:
            self._tried(receive)
            beside.replace(to)
            return to.stat().st_size
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()

    def pages(self, path: str, after: int = 0, **narrowed: Any) -> Iterator[Any]:
        """The items of a list from behind `after`, page after page; `narrowed` are further parameters of the route."""
        following: int | None = after
        while following is not None:
            page = self.call("GET", path, params={**narrowed, "after": following, "limit": 200})
            yield from page["items"]
            following = page["next"]

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._tried(lambda: self._http.request(method, path, **request))

    def _tried(self, attempt_once: Callable[[], httpx.Response]) -> httpx.Response:
        for attempt in range(self._tries):
            last = attempt == self._tries - 1
            try:
                response = attempt_once()
            except httpx.TransportError as error:
                if last:
                    sentence = (
                        f"{self.server} does not answer ({error}). Start it with `regionwise serve`, or name the server that "
                        "is meant with --server or REGIONWISE_SERVER."
                    )
                    raise ApiError(0, "unreachable", sentence) from error
            else:
                if response.is_success:
                    return response
                if last or response.status_code not in RETRIED_STATUSES:
                    raise self._refusal(response)
            time.sleep(min(8.0, 0.25 * 2**attempt))
        raise AssertionError("unreachable")

    def _refusal(self, response: httpx.Response) -> ApiError:
        try:
            error = response.json()["error"]
            status, code, message = response.status_code, str(error["code"]), str(error["message"])
            detail = dict(error["detail"])
        except (ValueError, KeyError, TypeError):
            return self._stranger(response)
        # A token that somebody else would accept is the commonest mistake: which server refused it is half the answer.
        return ApiError(status, code, f"{self.server} says: {message}" if status == 401 else message, detail)

    def _stranger(self, response: httpx.Response) -> ApiError:
        sentence = f"{self.server} answers {response.request.url.path} as regionwise never does"
        return ApiError(response.status_code, "error", f"{sentence}: does another program listen there?")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _require_file(to: Path) -> None:
    if to.is_dir():
        raise ValueError(f"{to} is a folder: name the file to write in it, such as {to / 'export.zip'}.")
    if not to.parent.is_dir():
        raise ValueError(f"There is no folder {to.parent} to write {to.name} to: make it before.")


def _write(response: httpx.Response, path: Path, received: Callable[[int], None]) -> None:
    with path.open("wb") as file:
        try:
            for piece in response.iter_bytes():
                file.write(piece)
                received(file.tell())
        except httpx.TransportError as error:
            sentence = f"What the server sent broke off after {file.tell():,} bytes: {error}"
            raise ApiError(0, "broken_off", sentence) from error
