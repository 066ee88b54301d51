"""Turns every failure into one kind of response: {"error": {"code", "message", "detail"}}."""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service import logs
from service.blobs import BlobMissing
from service.disks import is_full
from service.errors import Later, ServiceError

log = logging.getLogger(__name__)

_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    422: "invalid_request",
    503: "busy",
}
_MOST_PROBLEMS = 100
_LONGEST = 500  # characters of the caller's own that an answer repeats


def error_response(
    status: int, code: str, message: str, *, detail: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An error as JSON; in ASCII, so that whatever a request contained can be repeated in it."""
    logs.note(error=code)
    body = json.dumps({"error": {"code": code, "message": message, "detail": detail or {}}})
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Install the handlers of every kind of failure."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def failure_response(request: Request, error: Exception) -> Response:
    """The response to a failure that no route has met yet."""
    return await next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)(request, error)


async def _service_error(request: Request, error: Exception) -> Response:
    failure = cast(ServiceError, error)
    headers = {"WWW-Authenticate": _challenge(failure.status)} if failure.status in (401, 403) else {}
    if isinstance(failure, Later):
        headers["Retry-After"] = str(failure.retry_after)
    return error_response(failure.status, failure.code, failure.message, detail=failure.detail, headers=headers)


def _challenge(status: int) -> str:
    return 'Bearer realm="regionwise"' + (', error="insufficient_scope"' if status == 403 else "")


async def _invalid_request(request: Request, error: Exception) -> Response:
    return invalid_request(cast(RequestValidationError, error).errors())


def invalid_request(problems: Sequence[Any]) -> Response:
    """A 422 that names each field that does not fit and says why."""
    # Sentences of our own rules come with pydantic's words before them.
    listed = [
        {"at": _place(each["loc"]), "message": each["msg"].removeprefix("Value error, ")[:_LONGEST]}
        for each in problems[:_MOST_PROBLEMS]
        # Said of every field that would follow from others, once any of those is wrong.
        if each["type"] != "default_factory_not_called"
    ]
    sentence = "; ".join(f"{each['at']}: {each['message'].rstrip('.')}" for each in listed[:5])
    if len(listed) > 5:
        sentence += f"; and {len(listed) - 5}{' or' if len(problems) > _MOST_PROBLEMS else ''} more"
    return error_response(422, "invalid_request", f"{sentence}.", detail={"errors": listed})


def _place(parts: Sequence[Any]) -> str:
    # Some of it are names that a caller made up.
    return ".".join(str(part)[:100] for part in parts)[:_LONGEST]


async def _http_exception(request: Request, error: Exception) -> Response:
    failure = cast(HTTPException, error)
    if is_full(error):  # while the body was put into a temporary file, say
        return _disk_full(request, error)
    if failure.status_code == 400:  # a body that is neither JSON nor a form, though it says so
        return error_response(422, "invalid_request", f"The body cannot be read: {failure.detail}.")
    code = _CODES.get(failure.status_code, "error")
    plain = failure.detail == HTTPStatus(failure.status_code).phrase
    message = _plain_sentence(request, failure.status_code) if plain else str(failure.detail)
    return error_response(failure.status_code, code, message, headers=dict(failure.headers or {}))


def _plain_sentence(request: Request, status: int) -> str:
    if status == 404:
        return f"There is nothing at {request.url.path[:_LONGEST]}."
    if status == 405:
        return f"{request.url.path[:_LONGEST]} does not know the method {request.method}."
    return f"{HTTPStatus(status).phrase}."


async def _gone(request: Request, error: Exception) -> Response:
    # Nobody reads it: the connection was given up, by the client or for being too slow, before the body was there.
    return error_response(408, "too_slow", "The connection ended before the body did.")


async def _integrity_error(request: Request, error: Exception) -> Response:
    log.warning("%s %s met a change made at the same moment: %s", request.method, logs.path_of(request.scope), error)
    return error_response(409, "conflict", "Somebody changed the same thing at the same moment; please try again.")


async def _value_out_of_range(request: Request, error: Exception) -> Response:
    log.warning(
        "%s %s carried a value that the database cannot hold: %s", request.method, logs.path_of(request.scope), error
    )
    return error_response(422, "invalid_request", "A number or text of the request is beyond what can be stored.")


async def _database_away(request: Request, error: Exception) -> Response:
    if is_full(error):
        return _disk_full(request, error)
    log.error("%s %s could not be served by the database: %s", request.method, logs.path_of(request.scope), error)
    sentence = "The database does not answer or is busy; please try again."
    return error_response(503, "database_unavailable", sentence, headers={"Retry-After": "1"})


async def _storage_failed(request: Request, error: Exception) -> Response:
    if is_full(error):
        return _disk_full(request, error)
    log.error("%s %s could not read or write its files: %s", request.method, logs.path_of(request.scope), error)
    if isinstance(error, BlobMissing):
        sentence = f"Bytes that the service keeps are missing: have an operator bring {error.key} back from the backup."
        return error_response(503, "blob_missing", sentence, detail={"key": error.key})
    sentence = (
        "The service cannot read or write its files; please try again, and tell an operator, whose log says more."
    )
    return error_response(503, "storage_unavailable", sentence)


def _disk_full(request: Request, error: Exception) -> Response:
    log.error("%s %s found the disk full: %s", request.method, logs.path_of(request.scope), error)
    sentence = (
        "The service's disk is full, and nothing was kept of this request: have an operator make room, then try again."
    )
    return error_response(507, "disk_full", sentence)


async def unforeseen(request: Request, error: Exception) -> Response:
    """Log what nobody foresaw, and answer without its insides."""
    log.error("%s %s failed", request.method, logs.path_of(request.scope), exc_info=error)
    return error_response(500, "internal", "The service made a mistake; its log says more.")


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    ServiceError: _service_error,
    RequestValidationError: _invalid_request,
    HTTPException: _http_exception,
    ClientDisconnect: _gone,
    IntegrityError: _integrity_error,
    DataError: _value_out_of_range,
    OperationalError: _database_away,
    TimeoutError: _database_away,
    OSError: _storage_failed,
    Exception: unforeseen,
}
