"""ActiveLearner.ask and .tell: the one path by which regions are chosen and learned from, live and in simulation."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.features import RegionRows, action_rows, describe, state_rows
from models.fit import Example, crops, make_optimizer, train_pass
from models.segmenter import Segmenter
from models.strategies import Candidates, Strategy
from service.domain.metrics import iou_per_class, mean_iou
from service.domain.pool import Pool
from workers.chance import numpy_generator, torch_generator
from workers.datasets.base import ImageSource
from workers.labelled import Answer, LabelledSet
from workers.proposal import LoopSettings, Proposal, ProposedRegion, RoundResult, choose
from workers.training import (
    device_of,
    image_tensor,
    load_momentum,
    measure,
    momentum_tensors,
    same_size_runs,
    stack_images,
)

# Shapes: K chosen regions, M candidates, N candidates of one pool, S regions of D_S, C classes, F features, A action features.


class ActiveLearner:
    """Chooses regions and learns from their labels. Everything random follows from the seed and the round's number."""

    def __init__(
        self,
        *,
        segmenter: Segmenter | None,
        strategy: Strategy,
        pool: Pool,
        labelled: LabelledSet,
        images: ImageSource,
        state: ImageSource | None,
        reward: ImageSource | None,
        settings: LoopSettings,
        seed: int,
    ) -> None:
        """`images` are the pool's, numbered as the pool numbers them; `state` is D_S and `reward` D_R, where there are any."""
        self.segmenter, self.strategy, self.pool, self.labelled = segmenter, strategy, pool, labelled
        self.images, self.state, self.reward = images, state, reward
        self.settings, self.seed = settings, seed
        self._optimizer = None if segmenter is None else make_optimizer(segmenter, settings.train)
        self._miou: tuple[float, NDArray[np.float64]] | None = None

    def resume(self, momentum: dict[str, Tensor], miou: tuple[float, NDArray[np.float64]] | None) -> None:
        """Go on from where another learner stopped: its momentum, and the mIoU (mean, per class) of the same weights."""
        if self._optimizer is not None:
            load_momentum(self._optimizer, momentum)
        self._miou = miou

    @property
    def momentum(self) -> dict[str, Tensor]:
        """What the optimizer remembers between rounds."""
        return {} if self._optimizer is None else momentum_tensors(self._optimizer)

    def ask(
        self,
        count: int | None = None,
        *,
        round_number: int,
        epsilon: float = 0.0,
        keep_rows: bool = False,
        predict: bool = False,
    ) -> Proposal:
        """Choose `count` regions (default K) and take them out of the pool.

        With `epsilon`, each choice is random with that probability. `keep_rows` computes the state and action rows whatever
        the strategy; `predict` adds the segmenter's label map of every chosen region.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "draw"):
            pools = self._draw(count or self.settings.batch_size, round_number)
        if not pools:
            return Proposal(round_number=round_number, strategy=self.strategy.name, regions=(), seconds=seconds)
        numbers, sizes = np.concatenate(pools), [len(pool) for pool in pools]
        with _timed(seconds, "describe"):
            candidates, label_maps = self._candidates(
                numbers, sizes, round_number, keep_rows=keep_rows, predict=predict
            )
        with _timed(seconds, "score"):
            scores = (
                self.strategy.scores(candidates, torch_generator(self.seed, "scores", round_number))
                .double()
                .cpu()
                .numpy()
            )
            rng = numpy_generator(self.seed, "epsilon", round_number)
            chosen = choose(scores, sizes, self.settings.protocol, epsilon, rng)
        picked = numbers[chosen]
        self.pool.take(picked)
        with _timed(seconds, "predict"):
            if predict:
                label_maps |= self._missing_label_maps(picked, label_maps, round_number)
        by_pool = candidates.actions_MA is not None and self.settings.protocol == "per-pool"
        return Proposal(
            round_number=round_number,
            strategy=self.strategy.name,
            regions=self._proposed(picked, scores[chosen], label_maps),
            state_SF=candidates.state_SF,
            actions=tuple(torch.split(candidates.actions_MA, sizes))
            if by_pool and candidates.actions_MA is not None
            else (),
            chosen=tuple((chosen - np.cumsum([0, *sizes[:-1]])).tolist()) if by_pool else (),
            seconds=seconds,
        )

    def tell(self, answers: Sequence[Answer], *, round_number: int, measured: bool = True) -> RoundResult:
        """Learn from labelled regions: docs/method.md 2, steps 5 and 6. Without `measured` (or D_R) mIoU and reward are None."""
        if self.segmenter is None or self._optimizer is None:
            raise ValueError("There is no segmenter to train.")
        seconds: dict[str, float] = {}
        examples = self.labelled.add(answers)
        with _timed(seconds, "measure"):
            before = self.measured_miou() if measured else None
        with _timed(seconds, "train"):
            loss = self._train(examples, round_number)
            self._miou = None
        with _timed(seconds, "measure"):
            after = self.measured_miou() if measured else None
        counts = LabelledSet(self.settings.classes)
        counts.add(answers)
        return RoundResult(
            round_number=round_number,
            miou_before=before[0] if before else None,
            miou_after=after[0] if after else None,
            reward=100 * (after[0] - before[0]) if before and after else None,
            iou_per_class=after[1] if after else None,
            class_counts=counts.counts().sum(axis=0),
            loss=loss,
            seconds=seconds,
        )

    def measured_miou(self) -> tuple[float, NDArray[np.float64]] | None:
        """mIoU on D_R and IoU per class (NaN for an absent class) of the segmenter as it is now; None without D_R."""
        if self._miou is None and self.segmenter is not None and self.reward is not None and len(self.reward):
            confusion = measure(self.segmenter, self.reward, classes=self.settings.classes)
            self._miou = (mean_iou(confusion), iou_per_class(confusion))
        return self._miou

    def _train(self, examples: Sequence[Example], round_number: int) -> float | None:
        assert self.segmenter is not None
        assert self._optimizer is not None
        losses = []
        for number in range(self.settings.passes if examples else 0):
            generator = torch_generator(self.seed, "train", round_number, number)
            batches = crops(examples, self._image, self._labels, self.settings.train, generator)
            dropout = torch_generator(self.seed, "dropout", round_number, number)
            losses.append(train_pass(self.segmenter, self._optimizer, batches, self.settings.train, generator=dropout))
        return losses[-1] if losses else None

    def _image(self, number: int) -> Tensor:
        return image_tensor(self.images.image(number))

    def _labels(self, number: int) -> Tensor:
        return torch.from_numpy(self.labelled.label_map(number, self.images.size(number)))

    def _draw(self, count: int, round_number: int) -> list[NDArray[np.int64]]:
        """The round's candidate pools: region numbers."""
        rng = numpy_generator(self.seed, "candidates", round_number)
        return self.pool.sample(pools=count, size=self.settings.pool_size, by=self.settings.sampling, rng=rng)

    def _candidates(
        self, numbers: NDArray[np.int64], sizes: Sequence[int], round_number: int, *, keep_rows: bool, predict: bool
    ) -> tuple[Candidates, dict[int, NDArray[np.uint8]]]:
        """What the strategy looks at, and predicted label maps by image where they are wanted and were computed.

        One forward pass for each image that holds candidates, and for each of D_S; none for a strategy that needs none.
        """
        pools_M = None
        if self.settings.protocol == "per-pool":
            pools_M = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        if not (self.strategy.needs_segmenter or keep_rows):
            return Candidates(count=len(numbers), pools_M=pools_M), {}
        generator = torch_generator(self.seed, "describe", round_number)
        images, cells = self.pool.locate(numbers)
        places: dict[int, list[int]] = defaultdict(list)
        for place, image in enumerate(images.tolist()):
            places[image].append(place)
        wanted = {image: cells[where] for image, where in places.items()}
        rows, maps = self._rows(self.images, wanted, self.strategy.statistics, generator, keep_maps=predict)
        rows = rows[
            torch.as_tensor(np.argsort(np.concatenate(list(places.values()))), device=rows.class_part_RC.device)
        ]
        if not (keep_rows or self.strategy.needs_policy):
            return Candidates(count=len(numbers), rows=rows, pools_M=pools_M), maps
        actions_MA = action_rows(rows, self.labelled.distributions().to(rows.class_part_RC.device))
        state_SF = self.state_now(generator)
        return Candidates(
            count=len(numbers), rows=rows, actions_MA=actions_MA, state_SF=state_SF, pools_M=pools_M
        ), maps

    def state_now(self, generator: torch.Generator) -> Tensor:
        """(S, F) rows of every region of D_S in its fixed order, from the segmenter as it is now."""
        if self.state is None or not len(self.state):
            raise ValueError("The policy needs a state set: upload a few images to the split `state`.")
        every = {n: np.arange(self.settings.grid(self.state.size(n)).cells) for n in range(len(self.state))}
        return state_rows(self._rows(self.state, every, frozenset(), generator, keep_maps=False)[0])

    def _rows(
        self,
        source: ImageSource,
        cells: dict[int, NDArray[np.int64]],
        statistics: frozenset[str],
        generator: torch.Generator,
        *,
        keep_maps: bool,
    ) -> tuple[RegionRows, dict[int, NDArray[np.uint8]]]:
        """Rows of the wanted cells, image by image in the order of `cells`; label maps of predicted indices where kept."""
        assert self.segmenter is not None
        parts: list[RegionRows] = []
        maps: dict[int, NDArray[np.uint8]] = {}
        for run in same_size_runs(source, list(cells)):
            boxes = self.settings.grid(source.size(run[0])).boxes()
            batch = stack_images(source, run, device_of(self.segmenter))
            wanted = [torch.from_numpy(boxes[cells[number]]) for number in run]
            for number, each in zip(
                run, describe(self.segmenter, batch, wanted, statistics=statistics, generator=generator), strict=True
            ):
                parts.append(each.rows)
                if keep_maps:
                    maps[number] = each.classes_HW.cpu().numpy()
        return RegionRows.cat(parts), maps

    def _missing_label_maps(
        self, picked: NDArray[np.int64], there: dict[int, NDArray[np.uint8]], round_number: int
    ) -> dict[int, NDArray[np.uint8]]:
        """Predicted label maps of chosen images that the strategy (random, say) never looked at."""
        images = {image: np.zeros(1, np.int64) for image in self.pool.locate(picked)[0].tolist() if image not in there}
        if self.segmenter is None or not images:
            return {}
        generator = torch_generator(self.seed, "predict", round_number)
        return self._rows(self.images, images, frozenset(), generator, keep_maps=True)[1]

    def _proposed(
        self, picked: NDArray[np.int64], scores: NDArray[np.float64], maps: dict[int, NDArray[np.uint8]]
    ) -> tuple[ProposedRegion, ...]:
        images, cells = (each.tolist() for each in self.pool.locate(picked))
        boxes = [
            self.settings.grid(self.images.size(image)).box(cell) for image, cell in zip(images, cells, strict=True)
        ]
        return tuple(
            ProposedRegion(
                number=number,
                image=image,
                cell=cell,
                box=box,
                score=score,
                prediction=maps[image][box.slices] if image in maps else None,
            )
            for number, image, cell, box, score in zip(
                picked.tolist(), images, cells, boxes, scores.tolist(), strict=True
            )
        )


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[phase] = seconds.get(phase, 0.0) + time.perf_counter() - start
