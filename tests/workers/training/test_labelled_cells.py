"""What a head is fitted to does not depend on the order in which it came, and a copy goes its own way."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from models.refit import Windows
from service.domain.regions import Grid
from tests.workers.conftest import Rectangles
from tests.workers.games import POOL, STATE, frozen_loop, frozen_segmenter
from workers.training import refitting
from workers.training.feature_cache import FeatureCache
from workers.training.looking import features_kept_in
from workers.training.refitting import LabelledCells

LARGE = Rectangles(1, 5, (480, 480))
GRID = frozen_loop().grid((48, 64))


def add(cells: LabelledCells, image: int, *numbers: int) -> None:
    cells.add(POOL, image, np.asarray(POOL.label_map(image)), [GRID.box(number) for number in numbers])


def drawn(cells: LabelledCells) -> Windows:
    return cells.draw(16, 8, torch.Generator().manual_seed(1))


def same(first: Windows, second: Windows) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def with_state() -> LabelledCells:
    cells = LabelledCells(frozen_segmenter())
    cells.add_whole(STATE, 0, [GRID.box(number) for number in GRID.cells.tolist()])
    return cells


def test_what_is_drawn_does_not_depend_on_the_order_of_regions() -> None:
    first, second = with_state(), with_state()
    add(first, 0, 3, 7)
    drawn(first)
    add(first, 2, 1)
    add(first, 0, 5)
    add(second, 2, 1)
    add(second, 0, 7, 5, 3)
    assert len(first) == len(second) == GRID.regions + 4
    assert torch.equal(first.counts_C, second.counts_C)
    assert same(drawn(first), drawn(second))


def test_what_is_added_to_a_copy_is_not_in_the_other() -> None:
    cells = with_state()
    before = drawn(cells)
    copy = cells.copy()
    assert same(drawn(copy), before)
    add(copy, 1, 0, 4)
    assert (len(cells), len(copy)) == (GRID.regions, GRID.regions + 2)
    assert same(drawn(cells), before)
    assert not same(drawn(copy), before)
    assert copy.counts_C.sum() > cells.counts_C.sum()


def test_of_an_image_with_many_regions_no_more_is_held_than_of_the_whole() -> None:
    whole = torch.randn(96, 120, 120).half()
    cells = LabelledCells(frozen_segmenter())
    with mock.patch.object(refitting, "features", return_value=whole.numpy()):
        large = Grid(height=480, width=480, cell_height=32, cell_width=32)
        for number in large.cells[::7].tolist():
            cells.add(POOL, 0, np.zeros((480, 480), np.uint8), [large.box(number)])
        cells.add_whole(LARGE, 0, [large.box(number) for number in large.cells.tolist()])
    parts = {seen.data_ptr(): seen.numel() for seen in cells._seen if seen.numel() < whole.numel()}
    assert parts
    assert sum(parts.values()) < whole.numel()


def test_what_comes_when_much_is_held_is_mapped_from_files_and_the_same_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = with_state()
    add(held, 0, 3, 7)
    monkeypatch.setattr(refitting, "MOST_HELD", 1)  # of the first image all is held
    with features_kept_in(FeatureCache(tmp_path)):
        mapped = with_state()
        add(mapped, 0, 3, 7)
        add(mapped, 0, 5)
        assert same(drawn(mapped), drawn(with_regions(held, 5)))
    first, *others = {seen.data_ptr(): seen for seen in mapped._seen}.values()
    assert mapped._held == first.numel()
    assert len(others) == 2  # the same image is mapped whenever regions of it come
    assert len(list(tmp_path.rglob("*.npy"))) == 2


def with_regions(cells: LabelledCells, *numbers: int) -> LabelledCells:
    add(cells, 0, *numbers)
    return cells
