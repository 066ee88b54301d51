"""L_t: the labelled regions, their class distributions, and label maps that ignore everything else."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit import Example
from service.domain.classes import IGNORE
from service.domain.metrics import class_counts
from service.domain.regions import Box
from workers.datasets.base import ImageSource
from workers.datasets.forwarding import Forwarding


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A labelled region of the pool. `label_map` holds class indices, height x width of `box`; `share` is its size in cells."""

    image: int
    cell: int
    box: Box
    label_map: NDArray[np.uint8]
    share: float = 1.0


def example_of(image: int, box: Box) -> Example:
    """A labelled region as training on crops takes it."""
    return Example(image=image, box=(box.row, box.col, box.height, box.width))


class LabelledSet:
    """Labelled regions by image. Only their own pixels are kept, so that memory follows the labels, not the images."""

    def __init__(self, classes: int, earlier_counts: NDArray[np.int64] | None = None) -> None:
        """`earlier_counts` (L, C): pixel counts of regions whose label maps are not needed here."""
        self._classes = classes
        self._by_image: dict[int, list[Answer]] = defaultdict(list)
        self._counts = [] if earlier_counts is None else [np.asarray(earlier_counts, np.int64).reshape(-1, classes)]
        self.regions = 0 if earlier_counts is None else len(earlier_counts)
        self.cells = float(self.regions)  # what all regions are together; as many where none is part of a cell
        self.known_cells: float | None = (
            None  # in images that are labelled as a whole, where that was counted elsewhere
        )
        self.examples: list[Example] = []

    def add(self, answers: Sequence[Answer], *, counted: bool = True) -> list[Example]:
        """Take labelled regions in; `counted=False` where their counts were among the earlier ones. Returns their examples."""
        examples = []
        for answer in answers:
            box = answer.box
            if answer.label_map.shape != (box.height, box.width):
                raise ValueError(
                    f"Region {answer.image}:{answer.cell} is {box}, its label map {answer.label_map.shape}."
                )
            self._by_image[answer.image].append(answer)
            examples.append(example_of(answer.image, box))
            if counted:
                self._counts.append(class_counts(answer.label_map, self._classes)[None])
                self.regions += 1
                self.cells += answer.share
        self.examples.extend(examples)
        return examples

    def copy(self) -> "LabelledSet":
        """Another that holds the same; what is added to one is not in the other."""
        other = LabelledSet(self._classes)
        for image, answers in self._by_image.items():
            other._by_image[image] = list(answers)
        other._counts, other.examples = list(self._counts), list(self.examples)
        other.regions, other.cells, other.known_cells = self.regions, self.cells, self.known_cells
        return other

    @property
    def answers(self) -> list[Answer]:
        """All that were added, image by image."""
        return [answer for answers in self._by_image.values() for answer in answers]

    def counts(self) -> NDArray[np.int64]:
        """(L, C) labelled pixels of each class in each region."""
        return np.concatenate(self._counts) if self._counts else np.zeros((0, self._classes), np.int64)

    def distributions(self) -> Tensor:
        """(L, C) float32 rows that sum to 1; regions without one labelled pixel are left out."""
        counts = self.counts()
        totals = counts.sum(axis=1, keepdims=True)
        kept = totals[:, 0] > 0
        return torch.from_numpy((counts[kept] / totals[kept]).astype(np.float32))

    def label_map(self, image: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The image's label map, height x width, IGNORE outside its labelled regions."""
        label_map = np.full(size, IGNORE, np.uint8)
        for answer in self._by_image.get(image, ()):
            label_map[answer.box.slices] = answer.label_map
        return label_map


class LabelledView(Forwarding):
    """The pool's images with the labels that were given."""

    def __init__(self, images: ImageSource, labelled: LabelledSet) -> None:
        super().__init__(images)
        self._labelled = labelled

    def label_map(self, number: int) -> NDArray[np.uint8]:
        return self._labelled.label_map(number, self.size(number))
