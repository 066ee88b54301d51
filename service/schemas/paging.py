"""Lists over the wire: cut into pages, each telling where the next one starts."""

from collections.abc import Callable
from typing import Annotated, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, Field

Item = TypeVar("Item")

MAX_ID = 2**63 - 1
MAX_LIMIT = 500

Id = Annotated[int, Path(ge=1, le=MAX_ID, description="The number of the thing.", examples=[1])]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most.")]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Where to go on: the `next` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """A part of a list, in order."""

    items: list[Item] = Field(description="The items of this page.")
    next: int | None = Field(description="Pass it as `after` for the next page; null on the last.", examples=[100])

    @classmethod
    def cut(cls, found: list[Item], limit: int, *, key: Callable[[Item], int]) -> "Page[Item]":
        """A page of what was `found` when asked for one more than `limit`; `key` is what the list is ordered by."""
        items = found[:limit]
        return cls(items=items, next=key(items[-1]) if len(found) > limit else None)

    @classmethod
    def cut_at(cls, every: list[Item], limit: int, after: int) -> "Page[Item]":
        """A page of a list that is there as a whole; `after` is how many items are before."""
        items = every[after : after + limit]
        return cls(items=items, next=after + limit if len(every) > after + limit else None)
