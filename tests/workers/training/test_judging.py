"""Heads that have not seen an image judge what is labelled in it."""

import numpy as np
import pytest

from models.frozen import FrozenSegmenter
from models.refit import RefitSettings
from service.domain.classes import IGNORE
from service.domain.regions import Grid
from tests.workers.threads import SIZE, Threads
from workers.datasets.base import Subset
from workers.datasets.forwarding import Forwarding
from workers.training import judging
from workers.training.building import Architecture, fresh_segmenter, with_fresh_head
from workers.training.convergence import confusions
from workers.training.judging import Judge, confusions_of, judges
from workers.training.refitting import LabelledCells

SOURCE = Threads(5, 1)
# Of regions that are no whole number of cells: what is judged around them is labelled as IGNORE.
GRID = Grid(height=SIZE[0], width=SIZE[1], cell_height=29, cell_width=33)
SETTINGS = RefitSettings(first_steps=20, steps=2, window=8, folds=2)


class Labelled(Forwarding):
    """The source, with one region of each image labelled."""

    def label_map(self, number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        found, box = np.full(SIZE, IGNORE, np.uint8), GRID.box(number + 1)
        found[box.slices] = super().label_map(number)[box.slices]
        return found


VIEW = Labelled(SOURCE)


@pytest.fixture(scope="module")
def segmenter() -> FrozenSegmenter:
    architecture = Architecture(
        name="efficientnet-lite0", frozen=True, width=4, dropout=0.0, stride=8, magnification=1.0
    )
    made = fresh_segmenter(architecture, 2, [SOURCE], 0, "cpu")
    assert isinstance(made, FrozenSegmenter)
    return made


def cells_of(segmenter: FrozenSegmenter) -> LabelledCells:
    cells = LabelledCells(segmenter, [VIEW])
    for number in range(len(VIEW)):
        cells.add(VIEW, number, VIEW.label_map(number), [GRID.box(number + 1)])
    return cells


def test_each_image_is_held_out_once_and_its_judge_is_fitted_to_the_others(segmenter: FrozenSegmenter) -> None:
    made = list(judges(segmenter, cells_of(segmenter), SETTINGS, 3, steps=2))
    held_out = [judge.unseen.images() for judge in made]
    assert sorted(key for keys in held_out for key in keys) == [(0, number) for number in range(5)]
    assert [len(keys) for keys in held_out] == [3, 2]
    assert all(bool(judge.head.fitted) for judge in made)
    assert not bool(segmenter.fitted)


def test_regions_are_judged_wherever_they_lie(segmenter: FrozenSegmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    # As many as there are images, each of which has nine: every ninth would lie in one corner.
    monkeypatch.setattr(judging, "JUDGED", 5)
    cells = LabelledCells(segmenter, [SOURCE])
    for number in range(5):
        cells.add_whole(SOURCE, number, [GRID.box(cell) for cell in GRID.cells.tolist()])
    places = {(part.rows.start, part.cols.start) for part in Judge(head=segmenter, unseen=cells, seed=4).parts()}
    assert len(places) > 2


@pytest.mark.parametrize("stride", [8, 4, 2])
def test_confusions_at_regions_are_those_of_whole_images_there(segmenter: FrozenSegmenter, stride: int) -> None:
    head = with_fresh_head(segmenter, 1, stride=stride)
    found = confusions_of(Judge(head=head, unseen=cells_of(head)), lambda key: VIEW.label_map(key[1]))
    expected = confusions(head, Subset(VIEW, range(5)), classes=2)
    assert sorted(found) == [(0, number) for number in range(5)]
    np.testing.assert_array_equal([found[key] for key in sorted(found)], expected)
    wholly_labelled = confusions_of(Judge(head=head, unseen=cells_of(head)), lambda key: SOURCE.label_map(key[1]))
    np.testing.assert_array_equal(
        [wholly_labelled[key] for key in sorted(found)], expected
    )  # what lies beside it is not judged
    areas = [GRID.box(number + 1).height * GRID.box(number + 1).width for number in range(5)]
    assert [int(confusion.sum()) for confusion in expected] == areas
