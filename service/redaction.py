"""Keeps proofs that stand in a path out of the server's own logs."""

import logging

from service.logs import masked


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
