"""How a round's labels are learned from: one pass over crops, or the head anew on all that is labelled."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.frozen import FrozenSegmenter
from models.refit import RefitSettings, refit
from models.segmenter import build
from service.domain.classes import IGNORE
from service.domain.regions import Box
from tests.models.eyes import some_segmenter
from tests.workers.conftest import Rectangles
from workers.datasets.base import ImageSource
from workers.loop import lessons
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.learner import Learner
from workers.loop.lessons import Fit, OnePass, Refit, lesson_of
from workers.loop.round import LoopSettings

POOL, KNOWN = Rectangles(4, 1), Rectangles(2, 2)
FAST = RefitSettings(first_steps=40, steps=10, batch=2, window=6, warm_up=5)


@pytest.fixture
def settings(loop_settings: LoopSettings) -> LoopSettings:
    return dataclasses.replace(loop_settings, learning="refit", refit=FAST)


def answer(image: int, cell: int, settings: LoopSettings, *, void: bool = False) -> Answer:
    box = settings.grid(POOL.size(image)).box(cell)
    label_map = np.full((box.height, box.width), IGNORE, np.uint8) if void else POOL.label_map(image)[box.slices]
    return Answer(image=image, cell=cell, box=box, label_map=label_map)


def refit_of(
    settings: LoopSettings,
    *,
    known: Sequence[ImageSource] = (),
    seed: int = 3,
    segmenter: FrozenSegmenter | None = None,
) -> tuple[Refit, LabelledSet]:
    labelled = LabelledSet(3)
    return Refit(segmenter or some_segmenter(), labelled, POOL, known, settings, seed), labelled


def test_the_settings_name_the_lesson(settings: LoopSettings, loop_settings: LoopSettings) -> None:
    small, labelled = build("fpn", classes=3, width=4), LabelledSet(3)
    assert isinstance(lesson_of(small, labelled, POOL, (), loop_settings, 0), OnePass)
    assert isinstance(lesson_of(some_segmenter(), labelled, POOL, (), settings, 0), Refit)
    with pytest.raises(ValueError, match="Only the head of a frozen encoder is refitted; fpn is trained as a whole"):
        lesson_of(small, labelled, POOL, (), settings, 0)


def test_a_round_of_void_alone_is_no_lesson_and_changes_nothing(settings: LoopSettings) -> None:
    segmenter = some_segmenter()
    before = {name: tensor.clone() for name, tensor in segmenter.state_dict().items()}
    lesson, labelled = refit_of(settings, segmenter=segmenter)
    answers = [answer(0, cell, settings, void=True) for cell in (0, 1)]
    labelled.add(answers)
    assert lesson.learn(answers, 1) is None
    assert lesson.learn((), 2) is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in segmenter.state_dict().items())


def test_void_beside_labels_leaves_every_weight_finite(settings: LoopSettings) -> None:
    segmenter = some_segmenter()
    lesson, labelled = refit_of(settings, segmenter=segmenter)
    # Far more regions of void than not, in other images: most batches hold no label at all.
    answers = [
        answer(0, 5, settings),
        *(answer(image, cell, settings, void=True) for image in (1, 2) for cell in range(6)),
    ]
    labelled.add(answers)
    loss = lesson.learn(answers, 1)
    assert loss is not None
    assert np.isfinite(loss)
    assert all(bool(tensor.isfinite().all()) for tensor in segmenter.state_dict().values())


def test_a_round_teaches_what_is_labelled(settings: LoopSettings) -> None:
    lesson, labelled = refit_of(dataclasses.replace(settings, refit=dataclasses.replace(FAST, first_steps=80)))
    answers = [answer(image, cell, settings) for image in range(4) for cell in range(12)]
    labelled.add(answers)
    first = lesson.learn(answers, 1, Fit(steps=3))
    last = lesson.learn((), 2, Fit(steps=60))
    assert first is not None
    assert last is not None
    assert last < first / 2


def test_what_is_known_comes_first_and_later_rounds_add_their_own(settings: LoopSettings) -> None:
    lesson, labelled = refit_of(settings, known=[KNOWN])
    earlier = answer(0, 5, settings)
    labelled.add([earlier])  # of a learner before this one
    assert lesson.learn((), 0, Fit(steps=1)) is not None
    assert lesson._cells is not None
    known = np.bincount(np.concatenate([each.ravel() for each in KNOWN.labels]), minlength=256)[:3]
    own = np.bincount(earlier.label_map.ravel(), minlength=256)[:3]
    assert len(lesson._cells) == 2 * 12 + 1
    assert lesson._cells.counts_C.tolist() == (known + own).tolist()
    answers = [answer(0, 6, settings), answer(1, 0, settings)]
    labelled.add(answers)
    lesson.learn(answers, 1, Fit(steps=1))
    more = np.bincount(np.concatenate([each.label_map.ravel() for each in answers]), minlength=256)[:3]
    assert len(lesson._cells) == 2 * 12 + 3
    assert lesson._cells.counts_C.tolist() == (known + own + more).tolist()


def test_the_answers_of_a_first_round_are_taken_in_once(settings: LoopSettings) -> None:
    lesson, labelled = refit_of(settings)
    answers = [answer(0, 5, settings), answer(1, 5, settings)]
    labelled.add(answers)
    lesson.learn(answers, 1, Fit(steps=1))
    assert lesson._cells is not None
    assert len(lesson._cells) == 2


def test_everything_random_follows_from_the_seed_and_the_round(settings: LoopSettings) -> None:
    def weights(seed: int, round_number: int) -> torch.Tensor:
        segmenter = some_segmenter()
        lesson, labelled = refit_of(settings, seed=seed, segmenter=segmenter)
        answers = [answer(0, 5, settings)]
        labelled.add(answers)
        lesson.learn(answers, round_number, Fit(steps=3))
        return segmenter.classifier.weight.detach()

    assert torch.equal(weights(1, 1), weights(1, 1))
    assert not torch.equal(weights(1, 1), weights(2, 1))
    assert not torch.equal(weights(1, 1), weights(1, 2))


def test_a_refit_remembers_no_optimizer_but_what_was_labelled(settings: LoopSettings) -> None:
    lesson, labelled = refit_of(settings)
    lesson.resume({"momentum.exp_avg.0": torch.zeros(1)})
    answers = [answer(0, 5, settings)]
    labelled.add(answers)
    lesson.learn(answers, 1, Fit(steps=1))
    assert lesson.momentum.keys() == {"momentum.labelled"}
    assert lesson.momentum["momentum.labelled"].tolist() == labelled.counts().sum(axis=0).tolist()


def test_a_learner_refits_and_measures(settings: LoopSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, float]] = []

    def watched(*given: object, **named: object) -> float:
        loss = refit(*given, **named)  # type: ignore[arg-type]
        told.append((len(told) + 1, loss))
        return loss

    monkeypatch.setattr(lessons, "refit", watched)
    learner = Learner(
        segmenter=some_segmenter(),
        labelled=LabelledSet(3),
        images=POOL,
        reward=Rectangles(2, 3),
        settings=settings,
        seed=1,
        known=[KNOWN],
    )
    assert learner.learn_known() == told[0][1]
    result = learner.tell([answer(0, 5, settings)], round_number=1)
    assert result.loss == told[1][1]
    assert result.miou_before is not None
    assert result.miou_after is not None
    assert result.reward == pytest.approx(100 * (result.miou_after - result.miou_before))


def test_boxes_are_taken_in_as_they_lie_in_the_image(settings: LoopSettings) -> None:
    lesson, labelled = refit_of(settings)
    box = Box(row=17, col=33, height=7, width=9)
    answers = [Answer(image=2, cell=0, box=box, label_map=np.ones((7, 9), np.uint8))]
    labelled.add(answers)
    lesson.learn(answers, 1, Fit(steps=1))
    assert lesson._cells is not None
    (shares,) = lesson._cells._shares.values()
    # Rows 17 to 23 are in cell 2; columns 33 to 41 in cells 4 (seven of them) and 5 (two).
    assert (64 * shares[1, 2, 4:6]).tolist() == [49, 14]
    assert float(64 * shares.sum()) == 63


def labelled_as(image: int, cell: int, name: int, settings: LoopSettings) -> Answer:
    box = settings.grid(POOL.size(image)).box(cell)
    return Answer(image=image, cell=cell, box=box, label_map=np.full((box.height, box.width), name, np.uint8))


def weights_after_two_rounds(settings: LoopSettings, second: int) -> tuple[dict[str, torch.Tensor], ...]:
    """Weights of a head after a round of classes 0 and 1, and after a second of class `second`."""
    segmenter = some_segmenter()
    lesson, labelled = refit_of(settings, segmenter=segmenter)
    states = []
    for number, names in enumerate([(0, 1), (second, second)]):
        answers = [labelled_as(number, cell, name, settings) for cell, name in enumerate(names)]
        labelled.add(answers)
        lesson.learn(answers, number)
        states.append({key: value.clone() for key, value in segmenter.state_dict().items()})
    return tuple(states)


def held(settings: LoopSettings, share: float) -> LoopSettings:
    return dataclasses.replace(settings, refit=dataclasses.replace(FAST, hold=share))


def test_weights_are_the_mean_of_those_before_and_of_the_fit(settings: LoopSettings) -> None:
    before, fitted = weights_after_two_rounds(held(settings, 0.0), 1)
    _, after = weights_after_two_rounds(held(settings, 0.5), 1)  # of which half counts: half of the labels are new
    for key, value in after.items():
        if value.dtype.is_floating_point:
            assert torch.allclose(value, 0.25 * before[key] + 0.75 * fitted[key], atol=1e-6), key
    assert not torch.equal(fitted["classifier.weight"], before["classifier.weight"])


def test_a_class_that_appears_is_learned_at_once(settings: LoopSettings) -> None:
    _, fitted = weights_after_two_rounds(held(settings, 0.0), 2)
    _, after = weights_after_two_rounds(held(settings, 0.5), 2)
    assert all(torch.equal(after[key], fitted[key]) for key in fitted)


def test_labels_that_came_in_between_are_new_to_the_head_whoever_brings_them(settings: LoopSettings) -> None:
    """A head is fitted to two classes; a third comes with known images, and no answer holds it."""
    segmenter = some_segmenter()
    first, labelled = refit_of(held(settings, 0.5), segmenter=segmenter)
    answers = [labelled_as(0, cell, cell, settings) for cell in (0, 1)]
    labelled.add(answers)
    first.learn(answers, 0)
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    after = []
    for share in (0.5, 0.0):
        segmenter.load_state_dict(before)
        later = Refit(segmenter, labelled, POOL, [KNOWN], held(settings, share), 3)
        later.resume(first.momentum)
        later.learn((), 1)
        after.append({key: value.clone() for key, value in segmenter.state_dict().items()})
    assert all(torch.equal(after[0][key], after[1][key]) for key in after[0])
