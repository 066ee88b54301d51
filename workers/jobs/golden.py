"""Gold regions: cells of D_T whose truth tests something, drawn by the project's seed beside each round."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from models.segmenter import Segmenter
from service.domain.gold import is_telling, turns_wished
from service.domain.masks import encode_label_png
from service.store.round_values import NewGold
from service.store.snapshots import AskSnapshot
from workers.chance import numpy_generator
from workers.jobs.predicting import Predicted, predicted
from workers.jobs.project import ProjectData, ProjectImages

_TRIES = 20
"""Cells that are looked at for each gold region that is wished: where most truths are blank there are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A cell of an image of D_T, by the image's number there."""

    image: int
    cell: int


def gold_regions(
    project: ProjectData,
    known: AskSnapshot,
    cells: Sequence[int],
    segmenter: Segmenter | None,
    labelled_counts_C: NDArray[np.int64] | None = None,
) -> list[NewGold]:
    """As many new gold regions as the project's share wishes for a round of these cells, divided as those are.

    They are predicted where there is a segmenter to, as a round's regions are.
    """
    wished = turns_wished(len(cells), project.settings.gold_share)
    if not wished:
        return []
    images = project.images_of(known.train)
    drawn = _drawn(project, known, images, cells, wished)
    places = {number: (each.image, each.cell) for number, each in enumerate(drawn)}
    found = Predicted() if segmenter is None else predicted(project, segmenter, images, places, labelled_counts_C)
    palette, gold = project.classes.palette(), []
    for number, each in enumerate(drawn):
        box = project.grid(*images.size(each.image)).box(each.cell)
        gold.append(
            NewGold(
                image_id=images.row(each.image).id,
                cell=each.cell,
                box=box,
                truth=encode_label_png(_truth(project, images, each), palette),
                prediction=found.maps.get(number),
                hints=found.hints.get(number),
            )
        )
    return gold


def _drawn(
    project: ProjectData, known: AskSnapshot, images: ProjectImages, cells: Sequence[int], wished: int
) -> list[_Cell]:
    """Cells that are not gold yet and whose truth is telling, each once."""
    if not len(images):
        return []
    taken = {(images.number(group, ordinal), cell) for group, ordinal, cell in known.gold_cells}
    found: list[_Cell] = []
    for each in islice(_candidates(project, known.round.number, images, cells), _TRIES * wished):
        if (each.image, each.cell) not in taken and _is_telling(project, images, each):
            found.append(each)
        taken.add((each.image, each.cell))
        if len(found) == wished:
            break
    return found


def _candidates(
    project: ProjectData, round_number: int, images: ProjectImages, cells: Sequence[int]
) -> Iterator[_Cell]:
    """Cells at random for ever, each of the part of its cell that one of the round's regions is."""
    chance = numpy_generator(project.settings.seed, "gold", round_number)
    while True:
        image = int(chance.integers(len(images)))
        grid = project.grid(*images.size(image))
        cell = int(chance.choice(grid.cells)) + int(chance.choice(cells)) % grid.per_cell
        yield _Cell(image=image, cell=cell)


def _is_telling(project: ProjectData, images: ProjectImages, each: _Cell) -> bool:
    grid = project.grid(*images.size(each.image))
    if images.row(each.image).label_key is None or not grid.exist([each.cell])[0]:
        return False
    return is_telling(_truth(project, images, each), project.classes.ignore_id)


def _truth(project: ProjectData, images: ProjectImages, each: _Cell) -> NDArray[np.uint8]:
    """The class ids of a cell."""
    box = project.grid(*images.size(each.image)).box(each.cell)
    return project.classes.to_ids(np.ascontiguousarray(images.label_map(each.image)[box.slices]))
