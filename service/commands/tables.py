"""How commands show tables: as wide as the terminal, and elsewhere with whole cells, for other programs to read."""

from rich import box
from rich.console import Console
from rich.table import Table

# Wider than any row.
_WIDTH_ELSEWHERE = 2000


def table(*columns: str) -> Table:
    """An empty table with these columns."""
    return Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)


def show(shown: Table) -> None:
    """Print a table."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_ELSEWHERE)
    console.print(shown)


def or_dash(value: object) -> str:
    """What stands in a cell: a dash for nothing."""
    return "-" if value is None else str(value)
