"""Finer features are looked at where labels show that heads on those are better, and are kept."""

from dataclasses import replace

import pytest

from models.frozen import FrozenSegmenter
from models.refit import RefitSettings
from models.strategies import build_strategy
from service.domain.pool import Pool
from tests.workers.threads import Blocks, Threads
from workers.datasets.base import ImageSource
from workers.loop import ActiveLearner, finer
from workers.loop.labelled import LabelledSet
from workers.loop.learner import Learner
from workers.loop.lessons import Fit
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings, groups_of
from workers.training.building import Architecture, fresh_segmenter, is_of, with_fresh_head

ARCHITECTURE = Architecture(
    name="efficientnet-lite0", frozen=True, width=8, dropout=0.0, stride=8, magnification=1.0, chosen=True
)
SETTINGS = LoopSettings(
    classes=2,
    cell_height=48,
    cell_width=48,
    batch_size=8,
    pool_size=3,
    learning="refit",
    refit=RefitSettings(first_steps=200, steps=5, window=12, folds=2, lr=1e-2),
    finer=True,
)


def learner_of(source: ImageSource, known: ImageSource, settings: LoopSettings = SETTINGS, seed: int = 0) -> Learner:
    return Learner(
        segmenter=fresh_segmenter(ARCHITECTURE, 2, [source], 0, "cpu"),
        labelled=LabelledSet(2),
        images=source,
        reward=None,
        settings=settings,
        seed=seed,
        known=[known],
    )


def stride_of(learner: Learner) -> int:
    assert isinstance(learner.segmenter, FrozenSegmenter)
    return learner.segmenter.stride


def calibrated_with(learner: Learner) -> int:
    assert isinstance(learner.segmenter, FrozenSegmenter)
    return int(learner.segmenter.calibrated_with)


def test_threads_are_looked_at_finely_and_blocks_are_not() -> None:
    thin, wide = (learner_of(images(2, 2), images(10, 1)) for images in (Threads, Blocks))
    for each in (thin, wide):
        each.learn_known()
    assert (stride_of(thin), stride_of(wide)) == (2, 8)
    assert bool(thin.segmenter.fitted)
    assert is_of(thin.segmenter, ARCHITECTURE)
    assert not is_of(thin.segmenter, replace(ARCHITECTURE, chosen=False))
    assert not is_of(wide.segmenter, replace(ARCHITECTURE, stride=4))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(replace(SETTINGS, finer=False), id="where nobody wishes it"),
        pytest.param(replace(SETTINGS, refit=replace(SETTINGS.refit, folds=0)), id="without cross-validation"),
    ],
)
def test_they_are_not_where(settings: LoopSettings) -> None:
    learner = learner_of(Threads(2, 2), Threads(10, 1), settings)
    learner.learn_known()
    assert stride_of(learner) == 8


@pytest.mark.parametrize(
    ("name", "value"), [("LEAST_IMAGES", 11), ("MOST_OF_IMAGE", 20_000), ("MOST_NUMBERS", 200_000)]
)
def test_nor_with_too_few_images_or_with_too_large_ones(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(finer, name, value)
    learner = learner_of(Threads(2, 2), Threads(10, 1))
    learner.learn_known()
    assert stride_of(learner) == 8


def test_of_many_images_some_are_compared_and_all_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finer, "MOST_IMAGES", 9)
    learner = learner_of(Threads(2, 2), Threads(12, 1))
    learner.learn_known()
    assert stride_of(learner) == 2
    assert calibrated_with(learner) == 48  # twelve images of four regions each


def test_each_fit_of_a_lesson_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    # Those of one name would be taken for one another where a job goes on with them.
    monkeypatch.setattr(finer, "MOST_IMAGES", 9)
    names: list[str] = []
    learner_of(Threads(2, 2), Threads(12, 1)).learn_known(Fit(begun=lambda name, fit: names.append(name)))
    assert len(names) > 8
    assert len(set(names)) == len(names)


def test_a_campaign_goes_on_with_them_and_says_so() -> None:
    pool, settings = Threads(12, 3), replace(SETTINGS, batch_size=20, sampling="uniform")
    active = ActiveLearner(
        segmenter=fresh_segmenter(ARCHITECTURE, 2, [pool], 0, "cpu"),
        strategy=build_strategy("entropy"),
        pool=Pool(groups_of(pool, settings)),
        labelled=LabelledSet(2),
        images=pool,
        state=None,
        reward=Threads(3, 4),
        settings=settings,
        seed=0,
    )
    oracle = Oracle(pool)
    first, second = (
        active.tell(oracle.answer(active.ask(round_number=number)), round_number=number) for number in range(2)
    )
    assert first.said.startswith("Features of every 2 pixels instead of 8 from now on.")
    assert second.said == ""
    assert stride_of(active.learner) == 2
    assert active.chooser.segmenter is active.segmenter is active.learner.segmenter
    assert first.miou_after is not None
    assert first.miou_after > 0.6
    # What its labels brought is not told from what finer features did.
    assert first.reward is None
    assert second.reward is not None


def test_what_a_round_would_bring_is_found_without_them() -> None:
    pool = Threads(10, 3)
    learner = learner_of(pool, Threads(0))
    answers = Oracle(pool).answers_at([[image, 0] for image in range(10)], SETTINGS)
    learner.reward = Threads(2, 4)
    assert learner.miou_if(answers, round_number=0) is not None
    assert stride_of(learner) == 8
    learner.tell(answers, round_number=0)
    assert stride_of(learner) == 2


def test_they_are_compared_as_soon_as_enough_images_are_labelled() -> None:
    """Of large images a round labels one or two: labels would have tripled more than once by then."""
    pool = Threads(12, 3)
    learner = learner_of(pool, Threads(0))

    def tell(images: range, number: int) -> None:
        places = [[image, cell] for image in images for cell in range(4)]
        learner.tell(Oracle(pool).answers_at(places, SETTINGS), round_number=number)

    tell(range(6), 0)
    assert (stride_of(learner), calibrated_with(learner)) == (8, 24)
    tell(range(6, 12), 1)
    assert (stride_of(learner), calibrated_with(learner)) == (2, 48)


def test_where_heads_begin_follows_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def noted(segmenter: FrozenSegmenter, seed: int, stride: int) -> FrozenSegmenter:
        seeds.append(seed)
        return with_fresh_head(segmenter, seed, stride=stride)

    monkeypatch.setattr(finer, "with_fresh_head", noted)
    for seed in (0, 1):
        learner_of(Threads(2, 2), Threads(8, 1), seed=seed).learn_known()
    assert len(set(seeds)) == 2
