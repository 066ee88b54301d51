"""How labels are learned from: by one pass over a round's crops, or by fitting the head anew to all that is labelled."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit import crops, make_optimizer, train_pass
from models.frozen import FrozenSegmenter
from models.refit import Refitting, mix_in, refit
from models.segmenter import Segmenter
from service.domain.regions import Box
from workers.chance import derived_seed, torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.on_device import image_tensor
from workers.loop.finer import LEAST_IMAGES, Looked, finer, told
from workers.loop.labelled import Answer, LabelledSet, example_of
from workers.loop.round import LoopSettings
from workers.training.calibrating import calibrate, is_due
from workers.training.convergence import load_momentum, momentum_tensors
from workers.training.judging import SHARE, judges
from workers.training.refitting import Key, LabelledCells


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a refit goes: in so many steps, or as many as the settings say.

    `on_step` hears of each, `check` is called with each of those that find a temperature, `looking` before each labelled image
    is looked at: they may raise to end it. `begun` gets the fit, and those that find a temperature, by their names before their
    first steps, to put them away and take them up.
    """

    steps: int | None = None
    on_step: Callable[[int], None] = lambda step: None
    check: Callable[[], None] = lambda: None
    looking: Callable[[], None] = lambda: None
    begun: Callable[[str, Refitting], None] = lambda name, fit: None


AS_SET = Fit()
# Under which a refit remembers how many pixels of each class its head was fitted to.
LABELLED = "momentum.labelled"


class Lesson(Protocol):
    """What a round's labels do to a segmenter."""

    said: str  # of the last round: how it is learned from now on, where that changed

    @property
    def segmenter(self) -> Segmenter:
        """What learns; another from a round on in which labels show that finer features are better."""

    @property
    def momentum(self) -> dict[str, Tensor]:
        """What is remembered from one round to the next."""

    def resume(self, momentum: dict[str, Tensor]) -> None:
        """Go on from what another lesson remembered."""

    def learn(self, answers: Sequence[Answer], round_number: int, fit: Fit = AS_SET) -> float | None:
        """Learn from a round, whose answers are among what is labelled by now; the loss, None without a labelled pixel."""

    def beside(self, labelled: LabelledSet) -> "Lesson":
        """Another lesson of the same segmenter that remembers the same and goes on with these labels."""


class OnePass:
    """The paper's: one pass over crops around the round's regions (docs/method.md, 2)."""

    def __init__(
        self, segmenter: Segmenter, labelled: LabelledSet, images: ImageSource, settings: LoopSettings, seed: int
    ) -> None:
        self.segmenter, self.said = segmenter, ""
        self._labelled, self._images = labelled, images
        self._settings, self._seed = settings, seed
        self._optimizer = make_optimizer(segmenter, settings.train)

    @property
    def momentum(self) -> dict[str, Tensor]:
        """What the optimizer remembers between rounds."""
        return momentum_tensors(self._optimizer)

    def resume(self, momentum: dict[str, Tensor]) -> None:
        """Raises ValueError for the momentum of another network. What a refit remembered is no momentum, and is left."""
        load_momentum(self._optimizer, {key: value for key, value in momentum.items() if key != LABELLED})

    def learn(self, answers: Sequence[Answer], round_number: int, fit: Fit = AS_SET) -> float | None:
        """The loss of the last pass."""
        examples = [example_of(answer.image, answer.box) for answer in answers]
        losses = []
        for number in range(self._settings.passes if examples else 0):
            generator = torch_generator(self._seed, "train", round_number, number)
            batches = crops(examples, self._image, self._labels, self._settings.train, generator)
            dropout = torch_generator(self._seed, "dropout", round_number, number)
            losses.append(train_pass(self.segmenter, self._optimizer, batches, self._settings.train, generator=dropout))
        return losses[-1] if losses else None

    def beside(self, labelled: LabelledSet) -> "OnePass":
        """With an optimizer of its own."""
        other = OnePass(self.segmenter, labelled, self._images, self._settings, self._seed)
        other.resume(self.momentum)
        return other

    def _image(self, number: int) -> Tensor:
        return image_tensor(self._images.image(number))

    def _labels(self, number: int) -> Tensor:
        return torch.from_numpy(self._labelled.label_map(number, self._images.size(number)))


class Refit:
    """Ours: the head, on frozen features, goes on from where it is on everything that is labelled (docs/method.md, 11)."""

    def __init__(
        self,
        segmenter: FrozenSegmenter,
        labelled: LabelledSet,
        images: ImageSource,
        known: Sequence[ImageSource],
        settings: LoopSettings,
        seed: int,
    ) -> None:
        """`known`: images that are labelled as a whole, D_S or D_T say."""
        self.segmenter: FrozenSegmenter = segmenter
        self.said = ""
        self._labelled, self._images = labelled, images
        self._known, self._settings, self._seed = known, settings, seed
        self._cells: LabelledCells | None = None
        self.momentum: dict[str, Tensor] = {}

    def resume(self, momentum: dict[str, Tensor]) -> None:
        """Of what is remembered only how much of each class was labelled when the head was fitted: optimizers begin anew."""
        self.momentum = {key: value for key, value in momentum.items() if key == LABELLED}

    def learn(self, answers: Sequence[Answer], round_number: int, fit: Fit = AS_SET) -> float | None:
        """The mean loss of the fit's last steps."""
        cells = self._taken_in(answers, fit.looking)
        counts_C = cells.counts_C
        if not bool(counts_C.sum()):
            return None
        held, share = self._held(answers, counts_C)
        loss = refit(
            self.segmenter,
            cells.draw,
            counts_C,
            self._settings.refit,
            generator=torch_generator(self._seed, "refit", round_number),
            steps=fit.steps,
            on_step=fit.on_step,
            begun=partial(fit.begun, "refit"),
        )
        mix_in(self.segmenter, held, share)
        self.momentum = {LABELLED: counts_C}
        self.said = ""
        if is_due(self.segmenter, cells, self._settings.refit) or self._are_enough_now(answers, cells):
            self._judge(cells, derived_seed(self._seed, "calibrate", round_number), fit)
        return loss

    def _are_enough_now(self, answers: Sequence[Answer], cells: LabelledCells) -> bool:
        """Whether these answers' images are the first with which finer features can be compared."""
        if not self._settings.finer or self._settings.refit.folds < 2:
            return False
        new = {id(answer) for answer in answers}
        pool, of_answers = len(self._known), {answer.image for answer in answers}
        of_answers -= {answer.image for answer in self._labelled.answers if id(answer) not in new}
        earlier = [key for key in cells.images() if key[0] < pool or key[1] not in of_answers]
        return len(earlier) < LEAST_IMAGES <= len(cells.images())

    def _judge(self, cells: LabelledCells, seed: int, fit: Fit) -> None:
        """Find the temperature by heads that have not seen an image, and go over to finer features where those show it."""
        settings = self._settings.refit

        def judged(segmenter: FrozenSegmenter, seen: LabelledCells, steps: int) -> Looked:
            name = f"fold at {segmenter.stride} in {steps} of {len(seen.images())}"  # each fit has a name of its own
            made = judges(segmenter, seen, settings, seed, steps=steps, name=name, check=fit.check, begun=fit.begun)
            return Looked(segmenter=segmenter, cells=seen, judges=list(made), steps=steps)

        def look(segmenter: FrozenSegmenter, images: Sequence[Key], steps: int) -> Looked:
            return judged(segmenter, self._looked_at(segmenter, images, fit.looking), steps)

        now = judged(self.segmenter, cells, max(1, settings.first_steps // SHARE))
        calibrate(self.segmenter, cells, now.judges)
        if not self._settings.finer:
            return
        looked, found = finer(now, look, self._label_map, settings.first_steps, seed)
        if looked.segmenter is now.segmenter:
            return
        self.segmenter, self._cells = looked.segmenter, self._looked_at(looked.segmenter, looking=fit.looking)
        refit(
            self.segmenter,
            self._cells.draw,
            self._cells.counts_C,
            settings,
            generator=torch_generator(seed, "finer"),
            steps=max(settings.first_steps, fit.steps or 0),
            on_step=lambda step: fit.check(),
            begun=partial(fit.begun, "refit finer"),
        )
        calibrate(self.segmenter, self._cells, looked.judges)
        self.said = told(found)

    def _label_map(self, key: Key) -> NDArray[np.uint8]:
        """What is labelled of an image that is learned from, and IGNORE elsewhere."""
        number = key[1]
        if key[0] < len(self._known):
            return self._known[key[0]].label_map(number)
        return self._labelled.label_map(number, self._images.size(number))

    def _held(self, answers: Sequence[Answer], now_C: Tensor) -> tuple[dict[str, Tensor], float]:
        """The weights as they are, and what they will count beside those that are fitted: less, the more labels are new.

        Nothing where a class is labelled for the first time: it would be half known until the next round.
        """
        earlier_C = self._earlier(answers, now_C)
        appear_C = (now_C > 0) & (earlier_C <= 0)
        share = self._settings.refit.hold * float(torch.minimum(earlier_C, now_C).sum() / now_C.sum())
        if not bool(self.segmenter.fitted) or bool(appear_C.any()) or share <= 0:
            return {}, 0.0
        return {key: value.clone() for key, value in self.segmenter.state_dict().items()}, share

    def _earlier(self, answers: Sequence[Answer], now_C: Tensor) -> Tensor:
        """(C,) labelled pixels that the head was fitted to; where that is not remembered, all but those of the answers."""
        remembered = self.momentum.get(LABELLED)
        if remembered is not None and remembered.shape == now_C.shape:
            return remembered.to(now_C)
        new = LabelledSet(self._settings.classes)
        new.add(answers)
        return now_C - torch.from_numpy(new.counts().sum(axis=0))

    def beside(self, labelled: LabelledSet) -> "Refit":
        """With cells of its own. Another's labels are no reason for another segmenter."""
        settings = replace(self._settings, finer=False)
        other = Refit(self.segmenter, labelled, self._images, self._known, settings, self._seed)
        other._cells = None if self._cells is None else self._cells.copy()
        other.resume(self.momentum)
        return other

    def _taken_in(self, answers: Sequence[Answer], looking: Callable[[], None]) -> LabelledCells:
        """All labelled cells: at first of the known images and of every answer, then of the new answers too."""
        if self._cells is None:
            self._cells = self._looked_at(self.segmenter, looking=looking)
        else:
            self._add(self._cells, answers, looking)
        return self._cells

    def _looked_at(
        self,
        segmenter: FrozenSegmenter,
        images: Sequence[Key] | None = None,
        looking: Callable[[], None] = lambda: None,
    ) -> LabelledCells:
        """All that is labelled as a segmenter sees it, or what is of some images; `looking` is called before each of them."""
        cells, kept = LabelledCells(segmenter, [*self._known, self._images]), None if images is None else set(images)
        for place, source in enumerate(self._known):
            for number in range(len(source)):
                if kept is None or (place, number) in kept:
                    looking()
                    grid = self._settings.grid(source.size(number))
                    cells.add_whole(source, number, [grid.box(cell) for cell in grid.cells.tolist()])
        pool = len(self._known)
        of_pool = [each for each in self._labelled.answers if kept is None or (pool, each.image) in kept]
        self._add(cells, of_pool, looking)
        return cells

    def _add(self, cells: LabelledCells, answers: Sequence[Answer], looking: Callable[[], None]) -> None:
        boxes: dict[int, list[Box]] = defaultdict(list)
        for answer in answers:
            boxes[answer.image].append(answer.box)
        for image, of_image in boxes.items():
            looking()
            label_map = self._labelled.label_map(image, self._images.size(image))
            cells.add(self._images, image, np.asarray(label_map), of_image)


def lesson_of(
    segmenter: Segmenter,
    labelled: LabelledSet,
    images: ImageSource,
    known: Sequence[ImageSource],
    settings: LoopSettings,
    seed: int,
) -> Lesson:
    """The lesson that the settings name. Raises ValueError where the segmenter cannot be taught so."""
    if settings.learning == "pass":
        return OnePass(segmenter, labelled, images, settings, seed)
    if not isinstance(segmenter, FrozenSegmenter):
        raise ValueError(f"Only the head of a frozen encoder is refitted; {segmenter.name} is trained as a whole.")
    return Refit(segmenter, labelled, images, known, settings, seed)
