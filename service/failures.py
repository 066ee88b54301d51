"""Turns every failure into one kind of response: {"error": {"code", "message", "detail"}}."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import ServiceError
from service.headers import GUARDS, NOT_KEPT

log = logging.getLogger(__name__)

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def error_response(
    status: int, code: str, message: str, *, detail: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An error as JSON; in ASCII, so that whatever a request contained can be repeated in it."""
    body = json.dumps({"error": {"code": code, "message": message, "detail": detail or {}}})
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Install the handlers of every kind of failure."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(IntegrityError, _integrity_error)
    app.add_exception_handler(DataError, _value_out_of_range)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(TimeoutError, _database_away)
    app.add_exception_handler(Exception, _unforeseen)


async def _service_error(request: Request, error: Exception) -> Response:
    failure = cast(ServiceError, error)
    headers = {"WWW-Authenticate": _challenge(failure.status)} if failure.status in (401, 403) else None
    return error_response(failure.status, failure.code, failure.message, detail=failure.detail, headers=headers)


def _challenge(status: int) -> str:
    return 'Bearer realm="regionwise"' + (', error="insufficient_scope"' if status == 403 else "")


async def _invalid_request(request: Request, error: Exception) -> Response:
    return invalid_request(cast(RequestValidationError, error).errors())


def invalid_request(problems: Sequence[Any]) -> Response:
    """A 422 that names each field that does not fit and says why."""
    # Sentences of our own rules come with pydantic's words before them.
    listed = [
        {"at": ".".join(str(part) for part in each["loc"]), "message": each["msg"].removeprefix("Value error, ")}
        for each in problems
        # Said of every field that would follow from others, once any of those is wrong.
        if each["type"] != "default_factory_not_called"
    ]
    sentence = "; ".join(f"{each['at']}: {each['message'].rstrip('.')}" for each in listed[:5])
    if len(listed) > 5:
        sentence += f"; and {len(listed) - 5} more"
    return error_response(422, "invalid_request", f"{sentence}.", detail={"errors": listed[:100]})


async def _http_exception(request: Request, error: Exception) -> Response:
    failure = cast(HTTPException, error)
    if failure.status_code == 400:  # a body that is neither JSON nor a form, though it says so
        return error_response(422, "invalid_request", f"The body cannot be read: {failure.detail}.")
    code = _CODES.get(failure.status_code, "error")
    plain = failure.detail == HTTPStatus(failure.status_code).phrase
    message = _plain_sentence(request, failure.status_code) if plain else str(failure.detail)
    return error_response(failure.status_code, code, message, headers=dict(failure.headers or {}))


def _plain_sentence(request: Request, status: int) -> str:
    if status == 404:
        return f"There is nothing at {request.url.path}."
    if status == 405:
        return f"{request.url.path} does not know the method {request.method}."
    return f"{HTTPStatus(status).phrase}."


async def _integrity_error(request: Request, error: Exception) -> Response:
    log.warning("%s %s met a change made at the same moment: %s", request.method, request.url.path, error)
    return error_response(409, "conflict", "Somebody changed the same thing at the same moment; please try again.")


async def _value_out_of_range(request: Request, error: Exception) -> Response:
    log.warning("%s %s carried a value that the database cannot hold: %s", request.method, request.url.path, error)
    return error_response(422, "invalid_request", "A number or text of the request is beyond what can be stored.")


async def _database_away(request: Request, error: Exception) -> Response:
    log.error("%s %s could not be served by the database: %s", request.method, request.url.path, error)
    sentence = "The database does not answer or is busy; please try again."
    return error_response(503, "database_unavailable", sentence, headers={"Retry-After": "1"})


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    # This answer passes no middleware.
    headers = GUARDS | NOT_KEPT
    return error_response(500, "internal", "The service made a mistake; its log says more.", headers=headers)
