"""Secrets in the database: made once, the same for every process."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from service.tables import Secret

_INSERT = {
    "sqlite": sqlite_insert(Secret).on_conflict_do_nothing(index_elements=["name"]),
    "postgresql": postgresql_insert(Secret).on_conflict_do_nothing(index_elements=["name"]),
}


def kept_secret(session: Session, name: str) -> str | None:
    """The secret of this name, None where nobody has made it yet."""
    return session.scalar(select(Secret.value).where(Secret.name == name))


def keep_secret(session: Session, name: str, value: str, *, now: datetime) -> None:
    """Keep a secret, unless there is one of this name: of several processes that make one, the first has its way."""
    session.execute(_INSERT[session.get_bind().dialect.name], {"name": name, "value": value, "created_at": now})
