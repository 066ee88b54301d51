"""Errors that reach the caller: a status, a code for programs and a sentence for people."""

from typing import Any


class ServiceError(Exception):
    """Raised where the fault is known; one handler turns it into a response."""

    status = 400
    code = "bad_request"

    def __init__(self, message: str, *, code: str | None = None, detail: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.detail = detail or {}


class Unauthorized(ServiceError):
    """No token, or one that nobody holds."""

    status = 401
    code = "unauthorized"


class Forbidden(ServiceError):
    """The caller's role does not reach this."""

    status = 403
    code = "forbidden"


class NotFound(ServiceError):
    """Nothing of that id."""

    status = 404
    code = "not_found"


class Conflict(ServiceError):
    """The request was fine, but somebody or something came first."""

    status = 409
    code = "conflict"


class Gone(ServiceError):
    """It was there, and is not kept any more."""

    status = 410
    code = "gone"


class TooLarge(ServiceError):
    """More bytes or pixels than the settings allow."""

    status = 413
    code = "too_large"


class Invalid(ServiceError):
    """The request's content does not fit."""

    status = 422
    code = "invalid"


class Later(ServiceError):
    """Nothing is wrong but that it is too much; the same may be asked again, after `retry_after` seconds."""

    def __init__(self, message: str, *, code: str | None = None, retry_after: int = 5) -> None:
        super().__init__(message, code=code, detail={"retry_after": retry_after})
        self.retry_after = retry_after


class TooMany(Later):
    """One caller or address asks for more than its share."""

    status = 429
    code = "too_many"


class Busy(Later):
    """All callers together ask for more than there is room for."""

    status = 503
    code = "busy"


class Unavailable(ServiceError):
    """The request was fine, but what the service keeps cannot be had now."""

    status = 503
    code = "unavailable"
