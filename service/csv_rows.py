"""Rows as CSV, sent while they are read: for spreadsheets, in place of pages of JSON."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, get_args, get_origin

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

Format = Annotated[
    Literal["json", "csv"] | None,
    Query(description="csv: all rows as CSV, as with `Accept: text/csv`; json: a page of them."),
]
CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/csv": {"schema": {"type": "string"}}},
        "description": "A page of JSON, or all rows as CSV, the names of fields first.",
    }
}
_AT_ONCE = 500


async def _wants_csv(request: Request, format: Format = None) -> bool:
    accepted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    return format == "csv" or (format is None and accepted == "text/csv")


WantsCsv = Annotated[bool, Depends(_wants_csv)]

Part = Callable[[int, int], tuple[Sequence[BaseModel], int | None]]
"""Of a limit and where to go on: rows, and where the next go on, None after the last."""


def csv_response(name: str, kind: type[BaseModel], part: Part) -> StreamingResponse:
    """All rows of a kind as CSV, some read at a time. Lists and objects in a row are left out."""
    fields = [each for each, info in kind.model_fields.items() if not _is_nested(info.annotation)]
    return StreamingResponse(
        _lines(fields, part),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _is_nested(annotation: Any) -> bool:
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return any(get_origin(each) is not None or issubclass(each, BaseModel) for each in kinds)


def _lines(fields: Sequence[str], part: Part) -> Iterator[str]:
    yield _line(fields)
    after: int | None = 0
    while after is not None:
        rows, after = part(_AT_ONCE, after)
        yield "".join(_line([_cell(getattr(row, field)) for field in fields]) for row in rows)


def _cell(value: object) -> object:
    # A spreadsheet would take a name that begins so for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()
