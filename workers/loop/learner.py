"""Tells: what a round's labels teach the segmenter. One half of the one path; the other is chooser.py."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.segmenter import Segmenter
from service.domain.metrics import fell, iou_per_class, mean_iou
from workers.chance import numpy_generator
from workers.datasets.base import ImageSource
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.lessons import AS_SET, Fit, lesson_of
from workers.loop.round import LoopSettings, RoundResult, timed
from workers.training.convergence import confusions

# Of mIoU: a head that is fitted to the same labels by other draws differs by about as much.
FIT_NOISE = 0.005


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
        known: Sequence[ImageSource] = (),
    ) -> None:
        """`images` are the pool's, and `reward` is D_R, where there is any; `known` are labelled as a whole, for a refit."""
        self.labelled, self.reward = labelled, reward
        self.settings, self.seed = settings, seed
        self._lesson = lesson_of(segmenter, labelled, images, known, settings, seed)
        self.confusions: NDArray[np.int64] | None = None

    def resume(self, momentum: dict[str, Tensor], confusions: NDArray[np.int64] | None) -> None:
        """Go on from where another learner stopped: its momentum, and the confusions on D_R of the same weights."""
        self._lesson.resume(momentum)
        # Of a D_R that has grown since then they are no longer those.
        fits = confusions is not None and self.reward is not None and len(confusions) == len(self.reward)
        self.confusions = confusions if fits else None

    @property
    def segmenter(self) -> Segmenter:
        """What learns: another than at first once labels have shown that finer features are better."""
        return self._lesson.segmenter

    @property
    def said(self) -> str:
        """How it is learned from now on, where that changed in the last round."""
        return self._lesson.said

    @property
    def momentum(self) -> dict[str, Tensor]:
        """What learning remembers between rounds."""
        return self._lesson.momentum

    def tell(
        self,
        answers: Sequence[Answer],
        *,
        round_number: int,
        measured: bool = True,
        changed: Sequence[Answer] = (),
        fit: Fit = AS_SET,
    ) -> RoundResult:
        """Learn from labelled regions: docs/method.md 2, steps 5 and 6. Without `measured` (or D_R) mIoU and reward are None.

        `changed` are learned from too, but are of earlier rounds, and in no figure of this one. `fit`: how a refit goes.
        """
        seconds: dict[str, float] = {}
        learned = [*answers, *changed]
        self.labelled.add(learned)
        with timed(seconds, "measure"):
            before = self.measured() if measured else None
        with timed(seconds, "train"):
            loss = self._lesson.learn(learned, round_number, fit)
            self.confusions = None
        with timed(seconds, "measure"):
            after = self.measured() if measured else None
        counts = LabelledSet(self.settings.classes)
        counts.add(answers)
        return RoundResult(
            round_number=round_number,
            miou_before=None if before is None else mean_iou(before.sum(0)),
            miou_after=None if after is None else mean_iou(after.sum(0)),
            # What the labels brought and what finer features did are not told apart.
            reward=None
            if before is None or after is None or self.said
            else 100 * (mean_iou(after.sum(0)) - mean_iou(before.sum(0))),
            fell=before is not None and after is not None and self._fell(before, after, round_number),
            iou_per_class=None if after is None else iou_per_class(after.sum(0)),
            class_counts=counts.counts().sum(axis=0),
            loss=loss,
            seconds=seconds,
            said=self.said,
        )

    def miou_if(self, answers: Sequence[Answer], *, round_number: int) -> float | None:
        """mIoU on D_R, as it would be after a round of these answers: nothing is told, and the segmenter stays as it is.

        None without D_R.
        """
        if self.reward is None or not len(self.reward):
            return None
        weights = {key: value.clone() for key, value in self.segmenter.state_dict().items()}
        labelled = self.labelled.copy()
        labelled.add(answers)
        try:
            self._lesson.beside(labelled).learn(answers, round_number)
            return mean_iou(confusions(self.segmenter, self.reward, classes=self.settings.classes).sum(0))
        finally:
            self.segmenter.load_state_dict(weights)

    def learn_known(self, fit: Fit = AS_SET) -> float | None:
        """Learn from all that is labelled before a round: what a refit knows as a whole, and earlier answers.

        For a lesson of passes there is nothing to learn from.
        """
        self.confusions = None
        return self._lesson.learn((), 0, fit)

    def measured(self) -> NDArray[np.int64] | None:
        """(R, C, C) confusions on D_R's images of the segmenter as it is now; None without D_R."""
        if self.confusions is None and self.reward is not None and len(self.reward):
            self.confusions = confusions(self.segmenter, self.reward, classes=self.settings.classes)
        return self.confusions

    def measured_miou(self) -> tuple[float, NDArray[np.float64]] | None:
        """mIoU on D_R and IoU per class (NaN for an absent class) of the segmenter as it is now; None without D_R."""
        found = self.measured()
        return None if found is None else (mean_iou(found.sum(0)), iou_per_class(found.sum(0)))

    def _fell(self, before: NDArray[np.int64], after: NDArray[np.int64], round_number: int) -> bool:
        return fell(before, after, numpy_generator(self.seed, "bootstrap", round_number), least=FIT_NOISE)
