"""Names in archives: unlike each other wherever they are unpacked, and close to the original."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.archive_names import ArchiveNames, safe_stem

# What Windows does not let a name hold, and the names of its devices.
FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)}
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10))}


def taken(*names: str) -> list[str]:
    names_taken = ArchiveNames()
    return [names_taken.take(name, number) for number, name in enumerate(names, start=1)]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("street.png", "street"),
        ("two words.jpg", "two words"),
        ("Zürich.png", "Zürich"),
        ("archive.tar.gz", "archive.tar"),
        ("con.png", "_con"),
        ("Aux.left.png", "_Aux.left"),
        ("COM1.jpg", "_COM1"),
        ("lpt³.jpg", "_lpt³"),
        ("console.png", "console"),
        ('a<b>:"c|?*.png', "a_b___c___"),
        ("dots...png", "dots"),
        ("spaces  .png", "spaces"),
        (".hidden.png", "_hidden"),
        ("#1.png", "_1"),
        (" .png", "image"),
        ("Zu\u0308rich.png", "Zürich"),
        ("north/1.png", "north_1"),
        ("a.b/c.d.png", "a.b_c.d"),
    ],
)
def test_a_name_is_made_safe_and_otherwise_kept(name: str, stem: str) -> None:
    assert safe_stem(name) == stem


def test_images_of_one_stem_and_of_what_it_would_become_get_names_of_their_own() -> None:
    assert taken("a.png", "a.jpg", "a-2.png") == ["a", "a-2", "a-2-3"]


def test_a_name_that_comes_before_keeps_others_from_it() -> None:
    assert taken("a-3.png", "a.png", "a.jpg") == ["a-3", "a", "a-3-2"]


def test_names_differ_where_case_and_composition_are_ignored() -> None:
    assert taken("Street.png", "street.png", "é.png", "e\u0301.jpg", "É.webp") == [
        "Street",
        "street-2",
        "é",
        "é-4",
        "É-5",
    ]


def test_long_names_are_cut_and_still_differ() -> None:
    first, second = taken("道" * 200 + "1.png", "道" * 200 + "2.png")
    assert first == "道" * 50
    assert second == "道" * 50 + "-2"


@given(st.lists(st.text(min_size=1, max_size=12), max_size=30))
def test_any_names_become_safe_ones_that_differ(names: list[str]) -> None:
    stems = taken(*names)
    assert len({stem.casefold() for stem in stems}) == len(names)
    for stem in stems:
        assert not set(stem) & FORBIDDEN
        assert not stem.endswith((".", " "))
        assert stem.partition(".")[0].rstrip().casefold() not in DEVICES
