"""How large images are divided: every pixel once, regions whole, nothing that is of no use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.regions import Grid
from service.domain.usable import UselessImage, require_usable
from service.domain.windowed import windows_of

sides = st.integers(8, 9000)


@given(sides, sides, st.integers(8, 4096), st.integers(8, 4096))
def test_every_pixel_is_in_one_window_and_every_region_too(height: int, width: int, high: int, wide: int) -> None:
    windows = windows_of(height, width, (high, wide))
    assert sum(each.area for each in windows) == height * width
    whole = Grid(height=height, width=width, cell_height=high, cell_width=wide)
    found = 0
    for each in windows:
        assert each.row % high == 0
        assert each.col % wide == 0
        found += Grid(height=each.height, width=each.width, cell_height=high, cell_width=wide).regions
    assert found == whole.regions


def test_a_slide_of_40000_pixels_a_side_is_some_hundred_windows_that_are_of_use() -> None:
    windows = windows_of(40_000, 40_000, (90, 80))
    assert len(windows) == 21 * 20
    assert {(each.height, each.width) for each in windows} == {(1980, 2000), (400, 2000)}
    for each in windows:
        require_usable(each.height, each.width, "pool", labelled=False)


def test_windows_lie_row_by_row() -> None:
    places = np.array([(each.row, each.col) for each in windows_of(4100, 4200, (1000, 1000))])
    assert places.tolist() == [[0, 0], [0, 2000], [2000, 0], [2000, 2000]]


@pytest.mark.parametrize(
    ("size", "code"), [((7, 90_000), "too_small"), ((8, 1 << 21), "too_large"), ((400_000,) * 2, "too_large")]
)
def test_what_is_too_small_or_too_large_is_refused(size: tuple[int, int], code: str) -> None:
    with pytest.raises(UselessImage) as refused:
        windows_of(*size, (90, 80))
    assert refused.value.code == code
