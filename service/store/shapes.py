"""Which tables and columns a database has, and what is in those that another lacks."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, func, select


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A table with its rows, or a column of it with those in which it has a value."""

    table: str
    column: str | None
    rows: int

    def __str__(self) -> str:
        counted = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        if self.column is None:
            return f"the table {self.table} with {counted}"
        return f"{self.column} of {self.table}, which has a value in {counted}"


def shape_of(connection: Connection) -> dict[str, set[str]]:
    """The columns of each table."""
    return {table.name: {each.name for each in table.columns} for table in _tables(connection).sorted_tables}


def lost(connection: Connection, other: Mapping[str, Set[str]]) -> list[Loss]:
    """What the tables and columns hold that the other database does not have."""
    found: list[Loss] = []
    for table in _tables(connection).sorted_tables:
        if table.name == "alembic_version":
            continue
        if table.name not in other:
            rows = connection.scalar(select(func.count()).select_from(table)) or 0
            found.append(Loss(table=table.name, column=None, rows=rows))
            continue
        for column in table.columns:
            if column.name not in other[table.name]:
                rows = connection.scalar(select(func.count(column)).select_from(table)) or 0
                found.append(Loss(table=table.name, column=column.name, rows=rows))
    return found


def _tables(connection: Connection) -> MetaData:
    known = MetaData()
    known.reflect(connection)
    return known
