"""Where a policy plays: by name."""

import re
from typing import Annotated

from pydantic import StringConstraints

from service.domain.classes import CAMVID

OWN = "own"
# As long as a city's that names each of 255 classes, and some.
Source = Annotated[str, StringConstraints(max_length=1100)]
_STREETS = re.compile(r"streets:(\d{1,9})(?::(\d{1,3}(?:-\d{1,3}){0,254}))?")
_SHAPES = re.compile(r"shapes:(\d{1,9})")


def check_sources(sources: tuple[str, ...], *, repeats: bool) -> None:
    """Raises ValueError with a sentence for what is no source, for none at all, and, without `repeats`, for one named twice."""
    if not sources:
        raise ValueError('A policy plays on one source or several: ["own"], say.')
    if not repeats and len(set(sources)) < len(sources):
        raise ValueError(
            'A policy plays on one source or several, each named once: ["own"], say. A search may name one again.'
        )
    for source in sources:
        if source != OWN and world_of(source) is None:
            city_of(source)


def require_project_classes(sources: tuple[str, ...]) -> None:
    """Raises ValueError for sources that have other classes than the project: some of them, or their own."""
    others = [source for source in sources if _has_classes_of_its_own(source)]
    if others:
        raise ValueError(
            f"A policy without class_relative is bound to the project's classes, and {', '.join(others)} has others: leave such "
            "sources out, or leave class_relative at true."
        )


def _has_classes_of_its_own(source: str) -> bool:
    if source == OWN:
        return False
    return world_of(source) is not None or city_of(source)[1] not in (None, tuple(range(len(CAMVID))))


def world_of(source: str) -> int | None:
    """The seed of a world of shapes; None for another source."""
    found = _SHAPES.fullmatch(source)
    return None if found is None else int(found[1])


def city_of(source: str) -> tuple[int, tuple[int, ...] | None]:
    """The seed of a city of streets, and the classes to play with there; None: all. Raises ValueError for another source."""
    found = _STREETS.fullmatch(source)
    if found is None:
        raise ValueError(
            f'A policy plays on "own", on "streets:SEED" or "streets:SEED:0-1-3", or on "shapes:SEED", not on {source!r}.'
        )
    return int(found[1]), tuple(int(each) for each in found[2].split("-")) if found[2] else None
