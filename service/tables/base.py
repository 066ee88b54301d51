"""What every table shares: keys, times in UTC, names of constraints."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, LargeBinary, MetaData, Table, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

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
