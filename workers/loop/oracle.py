"""Answers from ground truth, as a perfect annotator would."""

from collections.abc import Iterable, Sequence

import numpy as np

from service.domain.divided import AnyPool
from service.domain.regions import Box
from workers.datasets.base import ImageSource
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.round import LoopSettings, Proposal


class Oracle:
    """Knows the label maps of the pool's images."""

    def __init__(self, images: ImageSource) -> None:
        self._images = images

    def answer(self, proposal: Proposal) -> list[Answer]:
        """The true label map of every proposed region."""
        return [self._answer(each.image, each.cell, each.box, each.share) for each in proposal.regions]

    def answers_at(self, places: Iterable[Sequence[int]], settings: LoopSettings) -> list[Answer]:
        """The true label maps of the regions [image, cell], as they were given before a stop."""
        answers = []
        for image, cell in places:
            grid = settings.grid(self._images.size(image))
            answers.append(self._answer(image, cell, grid.box(cell), grid.share(cell)))
        return answers

    def _answer(self, image: int, cell: int, box: Box, share: float) -> Answer:
        label_map = self._images.label_map(image)[box.slices].copy()
        return Answer(image=image, cell=cell, box=box, label_map=label_map, share=share)


def restore(answers: Sequence[Answer], labelled: LabelledSet, pool: AnyPool) -> None:
    """Take in what was labelled before a stop: it counts as labelled, and is no longer in the pool."""
    labelled.add(answers)
    take(answers, pool)


def take(answers: Sequence[Answer], pool: AnyPool) -> None:
    """What is labelled is no longer in the pool."""
    images, cells = ([getattr(answer, name) for answer in answers] for name in ("image", "cell"))
    pool.take(pool.number(np.array(images, np.int64), np.array(cells, np.int64)))
