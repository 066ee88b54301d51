"""Temperatures found by cross-validation over labelled images."""

from dataclasses import replace

import torch

from models.frozen import FrozenSegmenter
from models.refit import RefitSettings
from service.domain.regions import Grid
from tests.workers.conftest import Rectangles
from workers.training.building import Architecture, fresh_segmenter
from workers.training.calibrating import calibrate, is_due
from workers.training.judging import judges
from workers.training.refitting import LabelledCells

SETTINGS = RefitSettings(first_steps=60, steps=5, folds=2)
GRID = Grid(height=48, width=64, cell_height=16, cell_width=16)


def labelled(images: int) -> tuple[FrozenSegmenter, LabelledCells]:
    source = Rectangles(images, 3)
    architecture = Architecture(
        name="efficientnet-lite0", frozen=True, width=4, dropout=0.0, stride=4, magnification=1.0
    )
    segmenter = fresh_segmenter(architecture, 3, [source], 0, "cpu")
    assert isinstance(segmenter, FrozenSegmenter)
    cells = LabelledCells(segmenter)
    for number in range(images):
        cells.add_whole(source, number, [GRID.box(cell) for cell in GRID.cells.tolist()])
    return segmenter, cells


def found(segmenter: FrozenSegmenter, cells: LabelledCells) -> None:
    calibrate(segmenter, cells, judges(segmenter, cells, SETTINGS, 1, steps=15))


def test_a_temperature_is_found_and_nothing_else_changes() -> None:
    segmenter, cells = labelled(3)
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    found(segmenter, cells)
    after = segmenter.state_dict()
    assert {key for key in after if not torch.equal(after[key], before[key])} == {"temperature", "calibrated_with"}
    assert int(segmenter.calibrated_with) == len(cells) == 36
    first = float(segmenter.temperature)
    found(segmenter, cells)
    assert float(segmenter.temperature) == first


def test_it_is_found_anew_once_labels_have_tripled_with_more_images_than_one_and_where_wanted() -> None:
    segmenter, cells = labelled(3)
    segmenter.calibrated_with.fill_(12)
    assert is_due(segmenter, cells, SETTINGS)
    assert not is_due(segmenter, cells, replace(SETTINGS, folds=0))
    segmenter.calibrated_with.fill_(13)
    assert not is_due(segmenter, cells, SETTINGS)
    assert not is_due(*labelled(1), SETTINGS)
