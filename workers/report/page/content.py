"""What a report is made of: sections with sentences, figures and tables, the same for HTML and Markdown."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, count
from typing import Literal

from workers.report.page.drawing import Picture

Mark = Literal["", "learned", "baseline", "muted", "held", "failed", "not-tested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Text, what stands small below it, how it is marked, and, for matrices, its heat in [0, 1]."""

    text: str
    detail: str = ""
    mark: Mark = ""
    heat: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A caption, the heads of columns, rows of as many cells. The first `words` columns hold words, the others numbers.

    `kind` says how it is set: prose wraps, a matrix has its heads on end.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: int = 1
    kind: Literal["numbers", "prose", "matrix"] = "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of the page: sentences, an alarm in large letters, points, figures, tables, and parts below it."""

    slug: str
    title: str
    sentences: tuple[str, ...] = ()
    alarm: str = ""
    points: tuple[str, ...] = ()
    figures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    parts: tuple["Section", ...] = ()


def slugs_of(texts: Iterable[str]) -> list[str]:
    """Texts as they may stand in file names and links, each unlike those before it: letters beyond a to z are not in them."""
    found: list[str] = []
    for text in texts:
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"
        tries = chain([plain], (f"{plain}-{number}" for number in count(2)))
        found.append(next(each for each in tries if each not in found))
    return found
