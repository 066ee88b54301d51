"""Lines of the log: as JSON or as text, each with what it belongs to: request, caller, job."""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote

LogFormat = Literal["json", "text"]

_LEASE = re.compile(r"(/leases/)[^/]+")
_BEARER = re.compile(r"rw_[A-Za-z0-9_-]{8,}")

# A dictionary that is changed in place: threads that work for a request have a copy of the context, and note in the same one.
_BELONGS: ContextVar[dict[str, Any] | None] = ContextVar("regionwise_belongs", default=None)


@contextmanager
def belonging(**fields: Any) -> Iterator[None]:
    """Whatever is logged within, also by threads with a copy of the context, has these fields, and those noted meanwhile."""
    token = _BELONGS.set({**(_BELONGS.get() or {}), **fields})
    try:
        yield
    finally:
        _BELONGS.reset(token)


def note(**fields: Any) -> None:
    """Lines of this request or job have these fields from now on; outside of one, nothing happens."""
    belongs = _BELONGS.get()
    if belongs is not None:
        belongs.update(fields)


def noted() -> dict[str, Any]:
    """What lines have that are logged here and now."""
    return dict(_BELONGS.get() or {})


def request_id() -> str | None:
    """The request that this belongs to, by itself or by way of a job that it queued."""
    found = (_BELONGS.get() or {}).get("request_id")
    return None if found is None else str(found)


def path_of(scope: Mapping[str, Any]) -> str:
    """A request's path as lines of the log have it: masked, and what could break a line in percents."""
    return masked(quote(scope["path"], safe="/:@-._~!$&'()*+,;=[]"))


def masked(text: str) -> str:
    """A path or a sentence without tokens, of leases and of people."""
    return _BEARER.sub("rw_***", _LEASE.sub(r"\1***", text))


class Belonging(logging.Filter):
    """Gives each line what it belongs to, at the place where it is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.belongs = noted()
        return True


class JsonLine(logging.Formatter):
    """A line is one JSON object: time, level, logger, message, what it belongs to, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
            **getattr(record, "belongs", {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


class TextLine(logging.Formatter):
    """A line for people: time, level, logger, message, and in brackets the request and the job."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        belongs = getattr(record, "belongs", {})
        said = " ".join(f"{name}={belongs[name]}" for name in ("request_id", "job_id") if name in belongs)
        line = masked(super().format(record))
        if not said:
            return line
        first, newline, rest = line.partition("\n")
        return f"{first} [{said}]{newline}{rest}"


def configure(log_format: LogFormat, level: int | str) -> None:
    """Send the lines of the whole process to stderr, those of libraries from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if log_format == "json" else TextLine())
    handler.addFilter(Belonging())
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each.formatter, JsonLine | TextLine)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Each would say in its own way what the access line says; what goes wrong they say as warnings.
    for name in ("uvicorn.access", "httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Redacting(logging.Filter):
    """Of a logger or a handler: no record that passes shows a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record is changed."""
        if isinstance(record.msg, str):
            record.msg = masked(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(masked(each) if isinstance(each, str) else each for each in record.args)
        return True


def keep_out_of_logs() -> None:
    """Have the loggers that name requests' paths say them without tokens. Calling it again changes nothing."""
    for name in ("uvicorn.access", "uvicorn.error", "service.failures"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, Redacting) for each in logger.filters):
            logger.addFilter(Redacting())
