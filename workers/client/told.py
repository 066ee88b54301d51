"""What an import would do, for people to read before it does."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workers.client.planning import Plan

MOST = 20  # lines of a list that are printed


def tell_plan(console: Console, plan: Plan, name: str) -> None:
    """Print images by split, what label maps hold by class, and what is wrong."""
    splits = ", ".join(f"{split} {count}" for split, count in plan.by_split.items())
    console.print(f"Project {name}: {len(plan.entries)} images ({splits}), {plan.label_maps} label maps", markup=False)
    if plan.label_maps:
        console.print(_classes(plan))
    if plan.moved:
        title, there = plan.moved[0]
        more = f" ({len(plan.moved) - 1} more are like it)" if len(plan.moved) > 1 else ""
        console.print(f"{title} is in the split {there} of the project, and stays there{more}.", markup=False)
    _list(console, "These files cannot be taken:", [f"{name}: {reason}" for name, reason in plan.bad])
    _list(
        console,
        "The same picture under several names, of which the first is taken:",
        [", ".join(each) for each in plan.twins],
    )
    _list(console, "The same picture in several splits:", [", ".join(each) for each in plan.leaks])
    _list(
        console, "These files are called as no images are, and are left out:", [_title(path) for path in plan.left_out]
    )


def _title(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _classes(plan: Plan) -> Table:
    table = Table("Class", "Id", "Pixels", "Images")
    census = plan.census
    whole, counts = census.pixels or 1, zip(census.pixels_C.tolist(), census.images_C.tolist(), strict=True)
    for each, (pixels, images) in zip(plan.classes.classes, counts, strict=True):
        table.add_row(Text(each.name), str(each.id), f"{pixels / whole:.2%}", str(images))
    table.add_row("ignored", str(plan.classes.ignore_id), f"{census.share_ignored:.2%}", "")
    return table


def _list(console: Console, title: str, lines: list[str]) -> None:
    if not lines:
        return
    console.print(title, style="yellow")
    for line in lines[:MOST]:
        console.print(f"  {line}", markup=False, highlight=False)
    if len(lines) > MOST:
        console.print(f"  and {len(lines) - MOST} more")
