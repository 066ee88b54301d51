"""All rows of all tables as lines of JSON that a database of either kind takes, and such lines as rows again."""

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Date,
    DateTime,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    func,
    inspect,
    select,
    text,
    type_coerce,
)
from sqlalchemy.orm import Session

from service.store import removals

_AT_ONCE = 500
# Alembic's own, and what speaks of removals of the database that was copied.
_LEFT_OUT = frozenset({"alembic_version", "blob_removals", "removal_holds"})


def all_tables(connection: Connection) -> list[Table]:
    """The tables that are there, whatever release made them; one that others name comes before those."""
    known = MetaData()
    known.reflect(connection)
    return [table for table in known.sorted_tables if table.name not in _LEFT_OUT]


def row_counts(connection: Connection) -> dict[str, int]:
    """How many rows each table has."""
    counted = ((each.name, select(func.count()).select_from(each)) for each in all_tables(connection))
    return {name: connection.scalar(chosen) or 0 for name, chosen in counted}


def written(connection: Connection) -> Iterator[str]:
    """Lines: of each table its name and columns, then a list of values for each of its rows.

    Bytes are base64, moments ISO 8601 in UTC, and JSON is text as it is stored.
    """
    for table in all_tables(connection):
        columns = list(table.columns)
        yield json.dumps({"table": table.name, "columns": [each.name for each in columns]})
        chosen = select(*(_as_stored(each, connection) for each in columns)).order_by(*table.primary_key.columns)
        for row in connection.execution_options(yield_per=_AT_ONCE).execute(chosen):
            yield json.dumps([_plain(value) for value in row])


def _as_stored(column: Column[Any], connection: Connection) -> Any:
    # A JSON null and no value are different things to the database, and the same to what reads JSON.
    if not isinstance(column.type, JSON):
        return column
    sqlite = connection.dialect.name == "sqlite"
    return (type_coerce(column, Text) if sqlite else cast(column, Text)).label(column.name)


def _plain(value: Any) -> Any:
    match value:
        case bytes() | memoryview():
            return base64.b64encode(value).decode()
        case datetime():
            return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
        case date():
            return value.isoformat()
        case _:
            return value


def load(connection: Connection, lines: Iterable[str]) -> dict[str, int]:
    """Add the rows of such lines to tables of the same release that are empty; returns how many each table got."""
    tables = {table.name: table for table in all_tables(connection)}
    counts: dict[str, int] = {}
    table, waiting = "", list[dict[str, Any]]()
    names: list[str] = []
    for line in lines:
        value = json.loads(line)
        if isinstance(value, dict):
            _add(connection, tables, table, waiting)
            table, names, waiting = value["table"], value["columns"], []
            counts[table] = 0
            continue
        waiting.append(_typed(tables[table], dict(zip(names, value, strict=True))))
        counts[table] += 1
        if len(waiting) == _AT_ONCE:
            _add(connection, tables, table, waiting)
            waiting = []
    _add(connection, tables, table, waiting)
    return counts


def _typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    for name, value in row.items():
        type_ = table.columns[name].type
        if value is not None and isinstance(type_, LargeBinary):
            row[name] = base64.b64decode(value)
        elif value is not None and isinstance(type_, DateTime):
            row[name] = datetime.fromisoformat(value)
        elif value is not None and isinstance(type_, Date):
            row[name] = date.fromisoformat(value)
    return row


def _add(connection: Connection, tables: dict[str, Table], name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(_insert(tables[name], list(rows[0]), connection.dialect.name), rows)


def _insert(table: Table, names: list[str], dialect: str) -> Insert:
    values: dict[str, Any] = {}
    for name in names:
        column = table.columns[name]
        if not isinstance(column.type, JSON):
            values[name] = bindparam(name, type_=column.type)
        elif dialect == "sqlite":
            values[name] = bindparam(name, type_=Text)
        else:
            values[name] = cast(bindparam(name, type_=Text), JSON)
    return table.insert().values(values)


def numbers_given(connection: Connection) -> dict[str, int]:
    """The highest number that each table has given to a row, be it deleted since: none is given again."""
    found: dict[str, int] = {}
    counted: dict[str, int] = {}
    if connection.dialect.name == "sqlite":
        counted.update((name, last) for name, last in connection.execute(text("SELECT name, seq FROM sqlite_sequence")))
    for table in _numbered(connection):
        found[table.name] = max(connection.scalar(select(func.max(table.c.id))) or 0, counted.get(table.name, 0))
        if (sequence := _sequence(connection, table)) is not None:
            asked = text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")
            found[table.name] = max(found[table.name], connection.scalar(asked) or 0)
    return found


def _numbered(connection: Connection) -> list[Table]:
    return [each for each in all_tables(connection) if "id" in each.columns and isinstance(each.c.id.type, Integer)]


def _sequence(connection: Connection, table: Table) -> str | None:
    """What a table of PostgreSQL takes its numbers from."""
    if connection.dialect.name != "postgresql":
        return None
    asked = text("SELECT pg_get_serial_sequence(:name, 'id')")
    found: str | None = connection.scalar(asked, {"name": table.name})
    return found


def give_from(connection: Connection, numbers: dict[str, int]) -> None:
    """Tables go on after these numbers."""
    once = "SELECT 1 FROM sqlite_master WHERE name = :name AND sql LIKE '%AUTOINCREMENT%'"
    for table in _numbered(connection):
        given = {"name": table.name, "last": numbers.get(table.name, 0)}
        if given["last"] == 0:
            continue
        if (sequence := _sequence(connection, table)) is not None:
            connection.execute(text("SELECT setval(:name, :last)"), {**given, "name": sequence})
        elif connection.dialect.name == "sqlite" and connection.scalar(text(once), {"name": table.name}):
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), given)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), given)


def stray_rows(connection: Connection) -> int:
    """Rows that name others which are not there; PostgreSQL refuses them at once."""
    sqlite = connection.dialect.name == "sqlite"
    return len(connection.execute(text("PRAGMA foreign_key_check")).all()) if sqlite else 0


def is_migrated(connection: Connection) -> bool:
    """Whether tables were ever made here."""
    return bool(inspect(connection).get_table_names())


def named_bytes(session: Session) -> Iterator[str]:
    """The keys of all bytes that rows name, each once for each kind of row; for a session of one snapshot."""
    for key in removals.KEYS:
        chosen = select(key).where(removals.counts(key)).distinct().execution_options(yield_per=_AT_ONCE)
        yield from session.scalars(chosen)
