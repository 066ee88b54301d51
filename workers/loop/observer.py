"""What a strategy is told of a round's candidates: described by the segmenter, compared with labels, seen by a policy."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.features import RegionRows, describe, embeddings
from models.influence import Influence
from models.observation import PAPER, RoundContext, View
from models.regionwise_view import shares_of
from models.segmenter import Segmenter
from models.strategies import Candidates, Strategy
from service.domain.metrics import class_counts, confusion_matrix
from workers.datasets.base import ImageSource
from workers.datasets.expecting import Expecting
from workers.loop.influencing import influence_of, region_gains
from workers.loop.labelled import LabelledSet, LabelledView
from workers.loop.round import LoopSettings, cells_in
from workers.training.convergence import device_of, same_size_runs
from workers.training.looking import seen

# Shapes: M candidates, S regions of D_S, C classes, L labelled regions, E channels of an embedding, F features, H x W pixels.

Cells = Mapping[int, NDArray[np.int64]]
"""Regions to look at: cells by the number of their image."""

LabelMaps = dict[int, NDArray[np.uint8]]
"""Predicted class indices by the number of the image."""


class Observer:
    """Looks at candidates, labelled regions and D_S with a segmenter as it is at the moment, each image once."""

    def __init__(
        self,
        *,
        images: ImageSource,
        state: ImageSource | None,
        truth: ImageSource | None,
        labelled: LabelledSet,
        settings: LoopSettings,
        budget: int | None,
        known: Sequence[ImageSource] = (),
        measured: ImageSource | None = None,
    ) -> None:
        """`truth` has label maps of `images`; `budget` is B, where it is known.

        known: images that are labelled as a whole and that the segmenter learns from; measured: those that an influence is
        on, without which there is none.
        """
        self.images, self._state, self._truth = images, state, truth
        self._labelled, self._settings, self._budget = labelled, settings, budget
        self._known, self._measured = known, measured

    @property
    def knows_truth(self) -> bool:
        """Whether true labels of the pool are there."""
        return self._truth is not None

    def candidates(
        self,
        segmenter: Segmenter | None,
        strategy: Strategy,
        known: Candidates,
        where: tuple[NDArray[np.int64], NDArray[np.int64]],
        generator: torch.Generator,
        *,
        predict: bool,
    ) -> tuple[Candidates, LabelMaps]:
        """The candidates with what the strategy looks at, and predicted label maps by image where those are wanted and computed.

        `where` holds the image and the cell of each candidate. One forward pass for each image that holds candidates, for
        each of D_S, and for each with labelled regions where the strategy needs those; none for a strategy that needs none.
        """
        if strategy.needs_truth or strategy.needs_gains:
            known = self._with_truth(known, segmenter, strategy, where, generator)
        if segmenter is None or not strategy.needs_segmenter:
            return known, {}
        view = (strategy.view or PAPER) if strategy.needs_policy else None
        vectors = strategy.vectors if view is None else strategy.vectors | view.vectors
        rows, maps = self._candidate_rows(segmenter, where, strategy.statistics, vectors, generator, keep_maps=predict)
        known = replace(known, rows=rows)
        if strategy.needs_labelled:
            channels = rows.vectors["embedding"].shape[1]
            known = replace(known, labelled_embeddings_LE=self._labelled_embeddings(segmenter, channels))
        if view is None:
            return known, maps
        state_rows, context = (
            self._round(segmenter, view, generator) if view.needs_state else (rows, self._context(rows))
        )
        actions_MA = view.actions(rows, context)
        labelled_C = self._labelled.cells * shares_of(context.labelled_counts_C, actions_MA)
        state_SF = view.state(state_rows, context)
        return replace(known, actions_MA=actions_MA, state_SF=state_SF, labelled_cells_C=labelled_C), maps

    def gains(
        self,
        segmenter: Segmenter,
        source: ImageSource,
        where: tuple[NDArray[np.int64], NDArray[np.int64]],
        generator: torch.Generator,
    ) -> Tensor:
        """(R,) float64: the influence of the true labels that the source has of regions, by their images and numbers there."""
        influence, (cells, order) = self._influence(segmenter, generator), _by_image(where)
        boxes = {
            image: [self._settings.grid(source.size(image)).box(cell) for cell in numbers.tolist()]
            for image, numbers in cells.items()
        }
        return region_gains(influence, segmenter, source, boxes)[order]

    def _influence(self, segmenter: Segmenter, generator: torch.Generator) -> Influence:
        """Of labels for the segmenter as it is, on some of the measured images, drawn from the generator."""
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        view = LabelledView(self.images, self._labelled)
        labelled = [(view, image) for image in sorted({example.image for example in self._labelled.examples})]
        whole = [(source, number) for source in self._known for number in range(len(source))]
        measured = [] if self._measured is None else [(self._measured, n) for n in range(len(self._measured))]
        return influence_of(segmenter, [*labelled, *whole], measured, rng)

    def state(self, segmenter: Segmenter, view: View, generator: torch.Generator) -> Tensor:
        """(S, F) rows of every region of D_S in its fixed order."""
        return view.state(*self._round(segmenter, view, generator))

    def rows(
        self,
        segmenter: Segmenter,
        source: ImageSource,
        cells: Cells,
        generator: torch.Generator,
        *,
        statistics: frozenset[str] = frozenset(),
        vectors: frozenset[str] = frozenset(),
        keep_maps: bool,
    ) -> tuple[RegionRows, LabelMaps]:
        """Rows of the wanted cells, image by image in the order of `cells`; label maps of predicted indices where kept."""
        parts: list[RegionRows] = []
        maps: LabelMaps = {}
        if isinstance(source, Expecting):
            source.expect(list(cells))
        influence = self._influence(segmenter, generator) if "influence" in vectors else None
        for run in same_size_runs(source, list(cells)):
            size = source.size(run[0])
            grid = self._settings.grid(size)
            described = describe(
                segmenter,
                seen(segmenter, source, run, device_of(segmenter)),
                [torch.from_numpy(grid.boxes(cells[number])) for number in run],
                size=size,
                statistics=statistics,
                vectors=vectors,
                influence=influence,
                generator=generator,
            )
            for number, each in zip(run, described, strict=True):
                parts.append(each.rows)
                if keep_maps:
                    maps[number] = each.classes_HW.cpu().numpy()
        return RegionRows.cat(parts), maps

    def _with_truth(
        self,
        known: Candidates,
        segmenter: Segmenter | None,
        strategy: Strategy,
        where: tuple[NDArray[np.int64], NDArray[np.int64]],
        generator: torch.Generator,
    ) -> Candidates:
        """The candidates with what of the truth the strategy needs."""
        assert self._truth is not None
        if strategy.needs_truth:
            by_image, order = _by_image(where)
            truth_MC = torch.from_numpy(self._true_counts(self._truth, by_image)[order])
            known = replace(known, truth_MC=truth_MC, labelled_counts_C=self._labelled_counts_C)
        if strategy.needs_gains and segmenter is not None:
            known = replace(known, gains_M=self.gains(segmenter, self._truth, where, generator))
        return known

    def _candidate_rows(
        self,
        segmenter: Segmenter,
        where: tuple[NDArray[np.int64], NDArray[np.int64]],
        statistics: frozenset[str],
        vectors: frozenset[str],
        generator: torch.Generator,
        *,
        keep_maps: bool,
    ) -> tuple[RegionRows, LabelMaps]:
        by_image, order = _by_image(where)
        rows, maps = self.rows(
            segmenter, self.images, by_image, generator, statistics=statistics, vectors=vectors, keep_maps=keep_maps
        )
        return rows[torch.as_tensor(order, device=rows.class_part_RC.device)], maps

    def _labelled_embeddings(self, segmenter: Segmenter, channels: int) -> Tensor:
        """(L, E) of the labelled regions, in an order that does not depend on who was labelled first."""
        examples = self._labelled.examples
        if len(examples) < self._labelled.regions:
            raise ValueError(
                f"Of {self._labelled.regions} labelled regions only {len(examples)} have a known place: add their answers."
            )
        boxes: dict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
        for example in sorted(examples, key=lambda each: (self.images.size(each.image), each.image, each.box)):
            boxes[example.image].append(example.box)
        parts = [
            embeddings(
                segmenter,
                seen(segmenter, self.images, run, device_of(segmenter)),
                [torch.tensor(boxes[number], dtype=torch.int64) for number in run],
                size=self.images.size(run[0]),
            )
            for run in same_size_runs(self.images, list(boxes))
        ]
        return torch.cat(parts) if parts else torch.zeros(0, channels, device=device_of(segmenter))

    def _true_counts(self, source: ImageSource, cells: Cells) -> NDArray[np.int64]:
        """(R, C) true pixels of each class in each of the cells, image by image."""
        counts = []
        for image, numbers in cells.items():
            grid, label_map_HW = self._settings.grid(source.size(image)), source.label_map(image)
            counts += [
                class_counts(label_map_HW[grid.box(cell).slices], self._settings.classes) for cell in numbers.tolist()
            ]
        return np.stack(counts)

    def _round(self, segmenter: Segmenter, view: View, generator: torch.Generator) -> tuple[RegionRows, RoundContext]:
        """Rows of every region of D_S in its fixed order, and the context of the round."""
        if self._state is None or not len(self._state):
            raise ValueError("The policy needs a state set: upload a few images to the split `state`.")
        wants_confusion = view.needs_confusion and self._state_truth_SC is not None
        rows, maps = self.rows(
            segmenter, self._state, self._state_cells, generator, vectors=view.vectors, keep_maps=wants_confusion
        )
        device = rows.class_part_RC.device
        return rows, replace(
            self._context(rows),
            state_truth_SC=None if self._state_truth_SC is None else self._state_truth_SC.to(device),
            state_confusion_CC=self._state_confusion(maps).to(device) if wants_confusion else None,
        )

    def _context(self, rows: RegionRows) -> RoundContext:
        """What is labelled, on the device of the rows."""
        device = rows.class_part_RC.device
        cells = self._labelled.cells + self._known_cells
        return RoundContext(
            labelled_LC=self._labelled.distributions().to(device),
            labelled_counts_C=self._labelled_counts_C.to(device),
            cells=cells,
            known_share=self._known_cells / cells if cells else 0.0,
            budget_share=min(1.0, self._labelled.cells / self._budget) if self._budget else 0.0,
        )

    @cached_property
    def _known_cells(self) -> float:
        counted = self._labelled.known_cells
        return cells_in(self._known, self._settings) if counted is None else counted

    @cached_property
    def _state_truth_SC(self) -> Tensor | None:
        """True pixels of each class in each region of D_S, which stay what they are; None without label maps."""
        assert self._state is not None
        try:
            return torch.from_numpy(self._true_counts(self._state, self._state_cells))
        except LookupError:
            return None

    @property
    def _state_cells(self) -> Cells:
        assert self._state is not None
        return {n: self._settings.grid(self._state.size(n)).cells for n in range(len(self._state))}

    @property
    def _labelled_counts_C(self) -> Tensor:
        return torch.from_numpy(self._labelled.counts().sum(axis=0))

    def _state_confusion(self, predicted: LabelMaps) -> Tensor:
        """(C, C), rows = truth, of predictions on D_S."""
        assert self._state is not None
        confusion = np.zeros((self._settings.classes, self._settings.classes), np.int64)
        for image, label_map_HW in predicted.items():
            confusion += confusion_matrix(self._state.label_map(image), label_map_HW, self._settings.classes)
        return torch.from_numpy(confusion)


def _by_image(where: tuple[NDArray[np.int64], NDArray[np.int64]]) -> tuple[Cells, NDArray[np.int64]]:
    """Candidates' cells by image, and the order that brings what was found image by image back to the candidates."""
    images, cells = where
    places: dict[int, list[int]] = defaultdict(list)
    for place, image in enumerate(images.tolist()):
        places[image].append(place)
    return {image: cells[there] for image, there in places.items()}, np.argsort(np.concatenate(list(places.values())))
