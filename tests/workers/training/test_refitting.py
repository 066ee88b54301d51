"""Windows around labelled regions: what they hold, how they are drawn, and labels that come later."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.frozen import FrozenSegmenter
from service.domain.classes import IGNORE
from service.domain.regions import Box, Grid
from tests.models.eyes import seeded, some_segmenter
from tests.workers.conftest import Rectangles
from workers.training import refitting
from workers.training.refitting import AROUND, LabelledCells

STRIDE, WINDOW = 8, 6


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features say where they are: the first the cell's number in its image plus one, the second its column plus one."""

    def features(segmenter: FrozenSegmenter, source: Rectangles, number: int) -> np.ndarray:
        rows, cols = (-(-side // STRIDE) for side in source.size(number))
        numbers = 1 + np.arange(rows * cols).reshape(rows, cols)
        return np.stack([numbers, 1 + np.tile(np.arange(cols), (rows, 1))]).astype(np.float16)

    monkeypatch.setattr(refitting, "features", features)


def labelled(size: tuple[int, int], boxes: dict[Box, int]) -> np.ndarray:
    """A label map with a class in each box."""
    label_map = np.full(size, IGNORE, np.uint8)
    for box, name in boxes.items():
        label_map[box.slices] = name
    return label_map


def cells_with(size: tuple[int, int], boxes: dict[Box, int], count: int = 1) -> tuple[LabelledCells, Rectangles]:
    cells, source = LabelledCells(some_segmenter(stride=STRIDE)), Rectangles(count, size=size)
    cells.add(source, 0, labelled(size, boxes), list(boxes))
    return cells, source


def drawn(cells: LabelledCells, count: int = 64, window: int = WINDOW) -> list[tuple[Tensor, Tensor]]:
    seen, shares = cells.draw(count, window, seeded())
    assert seen.dtype == torch.float16
    assert shares.dtype == torch.float32
    return list(zip(seen, shares, strict=True))


BOX = Box(row=40, col=80, height=16, width=24)  # cells 5 and 6, columns 10 to 12


def test_a_window_holds_its_region_wherever_it_is_drawn_to_lie() -> None:
    cells, _ = cells_with((128, 160), {BOX: 1})
    firsts = set()
    for seen, shares in drawn(cells):
        assert seen.shape == (2, WINDOW, WINDOW)
        assert shares.sum((1, 2)).tolist() == [0, 6, 0]
        firsts.add((int(seen[0].min()) - 1) // 20)
    assert firsts == {1, 2, 3, 4, 5}  # every row from which six rows hold rows 5 and 6


def test_features_and_shares_are_mirrored_together_and_half_of_the_time() -> None:
    cells, _ = cells_with((128, 160), {BOX: 1})
    mirrored = 0
    for seen, shares in drawn(cells, 200):
        rows, cols = (shares[1] > 0).nonzero(as_tuple=True)
        assert sorted(set((seen[0, rows, cols].int() - 1).tolist())) == [110, 111, 112, 130, 131, 132]
        mirrored += bool(seen[1, 0, 0] > seen[1, 0, -1])
    assert 70 < mirrored < 130


def test_a_region_larger_than_a_window_holds_it() -> None:
    cells, _ = cells_with((128, 160), {Box(row=16, col=8, height=80, width=96): 2})
    for _, shares in drawn(cells):
        assert bool((shares[2] == 1).all())


def test_a_region_at_the_edge_is_cut_off_with_its_image() -> None:
    box = Box(row=120, col=150, height=11, width=13)  # of an image of 131 x 163: 17 x 21 cells, the last cut off
    cells, _ = cells_with((131, 163), {box: 0})
    for seen, shares in drawn(cells):
        assert bool((seen[0] > 0).all())
        assert float(64 * shares.sum()) == box.area


def test_what_a_small_image_lacks_is_neither_seen_nor_labelled() -> None:
    cells, _ = cells_with((24, 32), {Box(row=0, col=0, height=24, width=32): 1})
    for seen, shares in drawn(cells):
        inside = seen[0] > 0
        assert int(inside.sum()) == 3 * 4
        assert bool((inside == (shares[1] == 1)).all())
        assert not bool(inside[3:].any())


def test_of_a_large_image_only_the_part_around_a_region_is_kept() -> None:
    size = (1000, 1200)
    box = Box(row=480, col=640, height=16, width=8)  # rows 60 and 61, column 80
    cells, _ = cells_with(size, {box: 1})
    assert [tuple(seen.shape) for seen in cells._seen] == [(2, 2 + 2 * AROUND, 1 + 2 * AROUND)]
    for seen, shares in drawn(cells, window=24):
        rows, cols = (shares[1] > 0).nonzero(as_tuple=True)
        assert (seen[1, rows, cols].int() - 1).tolist() == [80, 80]


def test_labels_that_come_later_are_in_the_windows_of_earlier_regions() -> None:
    later = Box(row=40, col=64, height=16, width=16)  # beside BOX, columns 8 and 9
    cells, source = cells_with((128, 160), {BOX: 1})
    cells.add(source, 0, labelled((128, 160), {BOX: 1, later: 2}), [later])
    assert len(cells) == 2
    assert cells.counts_C.tolist() == [0, BOX.area, later.area]
    of_first = [cells._window(0, 8, seeded(seed))[1] for seed in range(20)]
    assert {float(shares[1].sum()) for shares in of_first} == {6}
    assert max(float(shares[2].sum()) for shares in of_first) == 4


def test_regions_of_all_images_are_drawn_with_the_same_chance() -> None:
    cells, source = cells_with((128, 160), {BOX: 1}, count=2)
    other = Rectangles(1, size=(128, 160))
    grid = Grid(height=128, width=160, cell_height=64, cell_width=80)
    cells.add_whole(other, 0, [grid.box(cell) for cell in range(3)])
    cells.add(source, 1, labelled((128, 160), {BOX: 2}), [BOX])
    assert len(cells) == 5
    counts = np.bincount([n for _ in range(50) for n in cells._drawn(20, seeded(_))], minlength=5)
    np.testing.assert_allclose(counts / 1000, 0.2, atol=0.04)


def test_images_of_one_number_in_two_sources_are_told_apart() -> None:
    cells, _ = cells_with((128, 160), {BOX: 1})
    other = Rectangles(1, size=(64, 64))
    cells.add(other, 0, labelled((64, 64), {Box(row=0, col=0, height=8, width=8): 0}), [])
    assert cells.counts_C.tolist() == [64, BOX.area, 0]


def test_without_a_region_nothing_is_drawn_and_nothing_counted() -> None:
    cells = LabelledCells(some_segmenter())
    assert cells.counts_C.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="nothing labelled"):
        cells.draw(2, WINDOW, seeded())


def test_the_same_generator_draws_the_same_windows() -> None:
    cells, _ = cells_with((128, 160), {BOX: 1, Box(row=0, col=0, height=9, width=9): 0})
    for one, other in zip(cells.draw(8, WINDOW, seeded(1)), cells.draw(8, WINDOW, seeded(1)), strict=True):
        assert torch.equal(one, other)
