"""Tells: what a round's labels teach the segmenter. One half of the one path; the other is chooser.py."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit import Example, crops, make_optimizer, train_pass
from models.segmenter import Segmenter
from service.domain.metrics import iou_per_class, mean_iou
from workers.chance import torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.on_device import image_tensor
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.round import LoopSettings, RoundResult, timed
from workers.training.convergence import load_momentum, measure, momentum_tensors


class Learner:
    """Learns from labelled regions. Everything random follows from the seed and the round's number."""

    def __init__(
        self,
        *,
        segmenter: Segmenter,
        labelled: LabelledSet,
        images: ImageSource,
        reward: ImageSource | None,
        settings: LoopSettings,
        seed: int,
    ) -> None:
        """`images` are the pool's, and `reward` is D_R, where there is any."""
        self.segmenter, self.labelled = segmenter, labelled
        self.images, self.reward = images, reward
        self.settings, self.seed = settings, seed
        self._optimizer = make_optimizer(segmenter, settings.train)
        self._miou: tuple[float, NDArray[np.float64]] | None = None

    def resume(self, momentum: dict[str, Tensor], miou: tuple[float, NDArray[np.float64]] | None) -> None:
        """Go on from where another learner stopped: its momentum, and the mIoU (mean, per class) of the same weights."""
        load_momentum(self._optimizer, momentum)
        self._miou = miou

    @property
    def momentum(self) -> dict[str, Tensor]:
        """What the optimizer remembers between rounds."""
        return momentum_tensors(self._optimizer)

    def tell(self, answers: Sequence[Answer], *, round_number: int, measured: bool = True) -> RoundResult:
        """Learn from labelled regions: docs/method.md 2, steps 5 and 6. Without `measured` (or D_R) mIoU and reward are None."""
        seconds: dict[str, float] = {}
        examples = self.labelled.add(answers)
        with timed(seconds, "measure"):
            before = self.measured_miou() if measured else None
        with timed(seconds, "train"):
            loss = self._train(examples, round_number)
            self._miou = None
        with timed(seconds, "measure"):
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
        if self._miou is None and self.reward is not None and len(self.reward):
            confusion = measure(self.segmenter, self.reward, classes=self.settings.classes)
            self._miou = (mean_iou(confusion), iou_per_class(confusion))
        return self._miou

    def _train(self, examples: Sequence[Example], round_number: int) -> float | None:
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
