"""The map of CONTRIBUTING.md is of this house: every room is on it, and what it names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = PAGE.partition("## The map")[2].partition("```\n")[2].partition("```")[0]


def places_on_the_map() -> Iterator[Path]:
    """Each path on the map, from the root: entries that are indented belong to the arm above them."""
    arm = Path()
    for line in MAP.splitlines():
        inside = line.startswith("  ")
        found = re.match(r"\s*((?:[\w.]+(?:\.py|/)(?:, )?)+)", line)
        assert found is not None, line
        for name in found[1].split(", "):
            if not inside:
                arm = Path(name)
            yield arm / name if inside else Path(name)


PLACES = sorted(set(places_on_the_map()))
ROOMS = [
    path.parent.relative_to(ROOT)
    for arm in ("service", "models", "workers")
    for path in sorted((ROOT / arm).glob("*/__init__.py"))
]
ENTRIES = [path.relative_to(ROOT) for path in sorted((ROOT / "workers").glob("[a-z]*.py"))]
# In this page's text: paths of this repository, but for those that a recipe makes.
NAMED = sorted(
    {
        each
        for each in re.findall(r"`([\w./-]+/[\w./-]*)`", PAGE)
        if "NAME" not in each and Path(each).parts[0] in {path.name for path in ROOT.iterdir()}
    }
)


@pytest.mark.parametrize("room", [*ROOMS, *ENTRIES], ids=str)
def test_every_room_is_on_the_map(room: Path) -> None:
    assert room in PLACES, f"say on CONTRIBUTING.md's map what {room} owns and what it may import"


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_place_on_the_map_is_there(place: Path) -> None:
    assert (ROOT / place).exists()


@pytest.mark.parametrize("path", NAMED)
def test_every_path_that_the_page_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_paths_were_found_at_all() -> None:
    assert len(PLACES) > 25
    assert len(NAMED) > 30
