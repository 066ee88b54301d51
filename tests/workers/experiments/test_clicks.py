"""Polygon clicks of regions: what the outlines say, counted once, and put into records where they are missing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.domain.outlines import polygon_clicks
from service.domain.regions import Grid
from tests.workers.conftest import Rectangles
from tests.workers.tiny import tiny_bench, tiny_experiment
from workers.experiments.clicks import Clicks, add_clicks, clicks_of_split
from workers.experiments.stages import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return tiny_bench(tiny_experiment(tmp_path), tmp_path)


def test_they_are_the_outlines_of_the_regions_own_label_map(bench: Bench) -> None:
    clicks = clicks_of_split(bench, "pool")
    source = bench.split("pool")
    # Cells of 16 x 16, four in a row: cell 5 is the second of the second row.
    assert clicks.of([[3, 5]]) == polygon_clicks(source.label_map(3)[16:32, 16:32])
    assert clicks.of([[0, 0], [5, 11]]) == clicks.of([[0, 0]]) + clicks.of([[5, 11]])
    assert clicks.total == clicks.of([[image, cell] for image in range(6) for cell in range(12)])


def test_images_of_different_sizes_are_kept_apart() -> None:
    two, three = (Grid(height=4, width=4 * cells, cell_height=4, cell_width=4) for cells in (2, 3))
    clicks = Clicks(np.array([1, 2, 4, 8, 16]), [two, three], Rectangles(2))
    assert clicks.of([[0, 1], [1, 0], [1, 2]]) == 2 + 4 + 16
    with pytest.raises(ValueError, match="5 counts for 4 regions"):
        Clicks(np.array([1, 2, 4, 8, 16]), [two, two], Rectangles(2))


def test_quarters_have_clicks_of_their_own(bench: Bench) -> None:
    divided = replace(bench, experiment=bench.experiment.model_copy(update={"levels": 2}))
    clicks, source = clicks_of_split(divided, "pool"), bench.split("pool")
    # Five regions of each cell: itself, then its quarters of 8 x 8; the last is the one below right.
    assert clicks.of([[3, 5 * 5]]) == polygon_clicks(source.label_map(3)[16:32, 16:32])
    assert clicks.of([[3, 5 * 5 + 4]]) == polygon_clicks(source.label_map(3)[24:32, 24:32])
    assert clicks.total == clicks_of_split(bench, "pool").total


def test_they_are_counted_once(bench: Bench) -> None:
    first = clicks_of_split(bench, "pool").total

    def refuse(done: float, text: str) -> None:
        raise AssertionError(text)

    assert clicks_of_split(replace(bench, report=refuse), "pool").total == first
    smaller = bench.experiment.model_copy(update={"cell_width": 8})
    assert clicks_of_split(replace(bench, experiment=smaller), "pool").total != first


def test_a_record_gets_those_of_its_first_regions_where_they_are_missing(bench: Bench) -> None:
    asked = [[0, 1], [2, 3], [4, 5]]
    record = {"asked": asked, "budgets": {"2": {"regions": 2}, "3": {"regions": 3, "clicks": 7}, "9": {"regions": 9}}}
    clicks = clicks_of_split(bench, "pool")
    for _ in range(2):
        add_clicks(record, bench)
        assert record["budgets"] == {
            "2": {"regions": 2, "clicks": clicks.of(asked[:2])},
            "3": {"regions": 3, "clicks": 7},
            "9": {"regions": 9},  # measured earlier, on a longer way that the record does not hold any more
        }
