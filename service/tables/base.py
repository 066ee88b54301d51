"""What every table shares: keys, times in UTC, names of constraints."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
    any_,
    bindparam,
)
from sqlalchemy.orm import DeclarativeBase

Statement = TypeVar("Statement")
Among = Callable[[Any, str], ColumnElement[bool]]
"""That a column of numbers is among the values of the parameter of that name, a list."""

Key = BigInteger().with_variant(Integer, "sqlite")
NUMBERED_ONCE: dict[str, Any] = {"sqlite_autoincrement": True}
"""Of tables whose rows may be deleted: a number that was given is never given again, as PostgreSQL has it."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC, on databases that keep the zone and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can speak of it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain attribute
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        bytes: LargeBinary,
    }


def table_of(entity: type[Base]) -> Table:
    """The table behind an entity, for statements that go without the ORM: those that every label needs."""
    return cast(Table, entity.__table__)


def one_or_many(rows: list[dict[str, Any]]) -> dict[str, Any] | list[dict[str, Any]]:
    """Rows for a statement of Core, a single one by itself: of many, SQLAlchemy takes much more trouble."""
    return rows[0] if len(rows) == 1 else rows


def by_dialect(build: Callable[[Among], Statement]) -> Mapping[str, Statement]:
    """A statement for each dialect, by its name, built with what says there that a number is among some.

    As many parameters as there are values make another statement for each number of them, which is written anew at every call;
    PostgreSQL takes them as one.
    """
    return {
        "sqlite": build(lambda column, name: column.in_(bindparam(name, expanding=True))),
        "postgresql": build(lambda column, name: column == any_(bindparam(name, type_=ARRAY(BigInteger)))),
    }
