"""ActiveLearner.ask and .tell: the one path by which regions are chosen and learned from, live and in simulation."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit import Example, crops, make_optimizer, train_pass
from models.observation import PAPER
from models.segmenter import Segmenter
from models.strategies import Strategy
from service.domain.metrics import iou_per_class, mean_iou
from service.domain.pool import Pool
from workers.chance import numpy_generator, torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.on_device import image_tensor
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.observer import Observer
from workers.loop.round import LoopSettings, Proposal, ProposedRegion, RoundResult, choose
from workers.training.convergence import load_momentum, measure, momentum_tensors

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
        truth: ImageSource | None = None,
        budget: int | None = None,
        guide_RC: Tensor | None = None,
    ) -> None:
        """`images` are the pool's, numbered as the pool numbers them; `state` is D_S and `reward` D_R, where there are any.

        `truth` holds the label maps of `images`, which only simulations have; `budget` is B, where it is known; `guide_RC`
        what a guide expects of each region of the pool (models/regionwise_view.py), where there is one.
        """
        if strategy.needs_truth and truth is None:
            raise ValueError(
                f"Strategy {strategy.name!r} chooses by the true labels of the pool: give them as `truth`, in a simulation only."
            )
        self.segmenter, self.strategy, self.pool, self.labelled = segmenter, strategy, pool, labelled
        self.images, self.state, self.reward = images, state, reward
        self.settings, self.seed, self._guide_RC = settings, seed, guide_RC
        self._observer = Observer(
            images=images, state=state, truth=truth, labelled=labelled, settings=settings, budget=budget
        )
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
            pools_M = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
            candidates, label_maps = self._observer.candidates(
                self.segmenter,
                self.strategy,
                self.pool.locate(numbers),
                pools_M if self.settings.protocol == "per-pool" else None,
                len(sizes),
                torch_generator(self.seed, "describe", round_number),
                keep_rows=keep_rows,
                predict=predict,
                guide_MC=None if self._guide_RC is None else self._guide_RC[torch.from_numpy(numbers)],
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

    def state_now(self, generator: torch.Generator) -> Tensor:
        """(S, F) rows of every region of D_S in its fixed order, from the segmenter as it is now."""
        if self.segmenter is None:
            raise ValueError("There is no segmenter to look at the state set with.")
        return self._observer.state(self.segmenter, self.strategy.view or PAPER, generator)

    def _missing_label_maps(
        self, picked: NDArray[np.int64], there: dict[int, NDArray[np.uint8]], round_number: int
    ) -> dict[int, NDArray[np.uint8]]:
        """Predicted label maps of chosen images that the strategy (random, say) never looked at."""
        images = {image: np.zeros(1, np.int64) for image in self.pool.locate(picked)[0].tolist() if image not in there}
        if self.segmenter is None or not images:
            return {}
        generator = torch_generator(self.seed, "predict", round_number)
        return self._observer.rows(self.segmenter, self.images, images, generator, keep_maps=True)[1]

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
