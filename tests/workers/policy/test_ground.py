"""The games that a policy's sources name: at home, in cities, with some of their classes, and those that are refused."""

from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from service.domain.classes import CAMVID, CITYSCAPES, IGNORE, ClassSet
from service.schemas.policies import PolicySettings
from tests.workers.conftest import CLASSES, Rectangles
from tests.workers.games import POOL, QUICK, REWARD, STATE, frozen_loop, frozen_segmenter
from workers.datasets.forwarding import SomeClasses
from workers.datasets.shapes import shapes_dataset
from workers.datasets.streets import streets_dataset
from workers.policy import ground as ground_module
from workers.policy.building import dqn_trainer, search
from workers.policy.ground import Ground, SourceError, contests_of, game_of
from workers.policy.players import Players

SETTINGS = PolicySettings(network="regionwise", episodes=2, budget=8, pool_size=3, batch=4, width=4)
SPLITS = {"train": POOL, "state": STATE, "reward": REWARD}


@pytest.fixture(autouse=True)
def cities_are_villages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground_module, "CITY", {"train": 2, "state": 1, "reward": 1})


def home(**chosen: Any) -> Ground:
    """Rectangles, of three classes."""
    shape: dict[str, Any] = {"splits": SPLITS, "classes": CLASSES, "loop": frozen_loop(), "device": "cpu"}
    return Ground(**{**shape, "start": frozen_segmenter, **chosen})


def camvid(**chosen: Any) -> Ground:
    """Streets' classes, and nothing at home that anybody looks at but its size."""
    loop = frozen_loop(classes=11)
    return home(**{"classes": CAMVID, "loop": loop, "start": lambda: frozen_segmenter(11), **chosen})


def weights(segmenter: Segmenter) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in segmenter.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[key]) for key, value in first.items())


def test_at_home_a_policy_plays_on_d_t() -> None:
    game = game_of(SETTINGS, home(), "own", 0)
    assert (game.place.images, game.place.state, game.place.reward) == (POOL, STATE, REWARD)
    assert (game.budget, game.settings.classes, game.trials) == (8, 3, 3)


def test_a_city_is_streets_of_its_seed_under_the_encoder_that_is_there() -> None:
    first, other = (game_of(SETTINGS, camvid(), f"streets:{seed}", 0).place for seed in (1, 2))
    streets = streets_dataset(1, 48, 64, ground_module.CITY)
    for place, split in ((first.images, "train"), (first.state, "state"), (first.reward, "reward")):
        assert len(place) == ground_module.CITY[split]
        np.testing.assert_array_equal(place.label_map(0), streets.splits[split].label_map(0))
        np.testing.assert_array_equal(place.image(0), streets.splits[split].image(0))
    assert not np.array_equal(first.images.label_map(0), other.images.label_map(0))
    segmenter = first.start()
    assert isinstance(segmenter, FrozenSegmenter)
    assert segmenter.sight == frozen_segmenter().sight
    assert (segmenter.classes, bool(segmenter.fitted)) == (11, False)


def test_a_city_may_have_some_of_the_classes() -> None:
    whole, some = (game_of(SETTINGS, camvid(), source, 0) for source in ("streets:1", "streets:1:3-0-4"))
    places = np.full(256, IGNORE)
    places[[3, 0, 4]] = [0, 1, 2]
    for number in range(2):
        found = some.place.images.label_map(number)
        np.testing.assert_array_equal(found, places[whole.place.images.label_map(number)])
        assert found.dtype == np.uint8
        assert some.place.images.digest(number) == whole.place.images.digest(number)
    assert (some.settings.classes, some.place.start().classes) == (3, 3)


def test_a_world_of_shapes_has_classes_of_its_own_whatever_the_project_has() -> None:
    for ground in (camvid(), home(classes=OTHERS)):
        place = game_of(SETTINGS, ground, "shapes:5", 0).place
        drawn = shapes_dataset(5, *ground.splits["train"].size(0), ground_module.CITY)
        for images, split in ((place.images, "train"), (place.state, "state"), (place.reward, "reward")):
            assert len(images) == ground_module.CITY[split]
        np.testing.assert_array_equal(place.images.image(0), drawn.splits["train"].image(0))
        np.testing.assert_array_equal(place.reward.label_map(0), drawn.splits["reward"].label_map(0))
        assert place.start().classes == len(drawn.classes) != 11


def test_classes_are_numbered_anew_in_the_order_given() -> None:
    source = Rectangles(1, 5)
    found, labels = SomeClasses(source, [2, 0]).label_map(0), source.label_map(0)
    assert {(int(old), int(new)) for old, new in zip(labels.flat, found.flat, strict=True)} == {
        (0, 1),
        (1, IGNORE),
        (2, 0),
        (IGNORE, IGNORE),
    }


@pytest.mark.parametrize("source", ["own", "streets:1", "streets:1:3-0-4", "shapes:1"])
def test_episodes_begin_with_one_head_fitted_to_what_is_known(source: str) -> None:
    settings, begun = SETTINGS.model_copy(update={"refit_steps": 2}), []

    def start() -> Segmenter:
        begun.append(frozen_segmenter(11))
        return begun[-1]

    ground = camvid(known=(SomeClasses(STATE, [0, 1, 2]),), start=start)
    place = game_of(settings, ground, source, 0).place
    first, second = place.start(), place.start()
    assert isinstance(first, FrozenSegmenter)
    assert bool(first.fitted)
    assert same(weights(first), weights(second))
    assert len(begun) == 1
    # What is known in a city is its D_S.
    assert list(place.known) == (list(ground.known) if source == "own" else [place.state])
    with torch.no_grad():
        first.classifier.weight.zero_()
    assert same(weights(second), weights(place.start()))


def test_without_anything_known_the_first_round_is_the_first_fit() -> None:
    game = game_of(SETTINGS, home(), "own", 0)
    begins = game.place.start()
    assert isinstance(begins, FrozenSegmenter)
    assert not bool(begins.fitted)
    assert same(weights(begins), weights(frozen_segmenter()))
    assert game.place.known == ()


@pytest.mark.parametrize(("steps", "expected"), [(None, (1000, 150)), (40, (160, 40)), (400, (1000, 400))])
def test_rounds_of_games_are_refitted_in_fewer_steps(steps: int | None, expected: tuple[int, int]) -> None:
    loop = frozen_loop(refit=replace(QUICK, first_steps=1000, steps=150))
    settings = SETTINGS.model_copy(update={"refit_steps": steps})
    refit = game_of(settings, home(loop=loop), "own", 0).settings.refit
    assert (refit.first_steps, refit.steps) == expected
    # A round's few steps count in full.
    assert replace(refit, first_steps=4, steps=2) == replace(QUICK, hold=0.0)


def test_what_is_known_is_fitted_as_the_beginning_says() -> None:
    weights_by_steps = [
        weights(game_of(SETTINGS, home(known=[STATE], beginning=replace(QUICK, first_steps=n)), "own", 0).place.start())
        for n in (2, 9)
    ]
    assert not same(*weights_by_steps)


def test_where_f_is_trained_as_a_whole_there_are_no_trials_and_no_cities() -> None:
    trained = home(loop=frozen_loop(learning="pass"))
    assert game_of(SETTINGS, trained, "own", 0).trials == 0
    assert game_of(SETTINGS, trained, "own", 0).place.start is trained.start
    with pytest.raises(SourceError, match=r"here the segmenter is trained as a whole: set the policy's sources"):
        game_of(SETTINGS, camvid(loop=frozen_loop(classes=11, learning="pass")), "streets:1", 0)
    with pytest.raises(SourceError, match=r"'shapes:1' takes a head .* here the segmenter is trained as a whole"):
        game_of(SETTINGS, camvid(loop=frozen_loop(classes=11, learning="pass")), "shapes:1", 0)


def never() -> Segmenter:
    raise AssertionError("nothing should be trained")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("camvid", 'plays on "own", on "streets:SEED" .* not on \'camvid\''),
        ("shapes", "not on 'shapes'"),
        ("shapes:1:0-1", "not on 'shapes:1:0-1'"),
        ("streets", "not on 'streets'"),
        ("streets:", "not on 'streets:'"),
        ("streets:one", "not on 'streets:one'"),
        ("streets:-1", "not on 'streets:-1'"),
        ("streets:1:", "not on 'streets:1:'"),
        ("streets:1:road-sky", "not on 'streets:1:road-sky'"),
        ("streets:1:0-1-", "not on 'streets:1:0-1-'"),
        ("streets:1:4", "'streets:1:4' should name two or more different classes from 0 to 10"),
        ("streets:1:4-4", "two or more different classes from 0 to 10"),
        ("streets:1:0-11", "two or more different classes from 0 to 10"),
    ],
)
def test_other_sources_are_refused_before_anything_is_trained(source: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        game_of(SETTINGS, camvid(start=never), source, 0)


# As many classes as CamVid has: it is their names that count.
OTHERS = ClassSet(classes=tuple(replace(each, name=each.name.lower()) for each in CAMVID.classes), ignore_id=11)


@pytest.mark.parametrize("classes", [OTHERS, CITYSCAPES])
def test_a_city_is_refused_where_the_classes_are_others(classes: ClassSet) -> None:
    with pytest.raises(
        SourceError, match=r"has CamVid's 11 classes, Sky, .* and here they are .* sources to \[\"own\"\]"
    ):
        game_of(SETTINGS, camvid(classes=classes, start=never), "streets:1", 0)


def test_a_policy_is_trained_on_cities_in_turn() -> None:
    settings = SETTINGS.model_copy(update={"sources": ("own", "streets:1", "streets:2:0-3-4"), "episodes": 3})
    trainer = dqn_trainer(settings, camvid(splits={**SPLITS, "train": Rectangles(2, 1)}), 0)
    assert [game.trials for game in trainer.games] == [3, 3, 3]
    while not trainer.done:
        trainer.play_round()
    widths = [{len(transition.action_A) for transition in buffer._transitions} for buffer in trainer.buffers]
    assert widths == [{11 * 11 + 25}, {11 * 11 + 25}, {3 * 11 + 25}]
    assert len(trainer.trials) == 1


def test_who_builds_a_search_has_others_play_its_games() -> None:
    asked: list[int] = []

    class Noting(Players):
        def __init__(self) -> None:
            pass

        def area(self, numbers_P: NDArray[np.float64] | None, generation: int) -> "Future[float]":
            asked.append(generation)
            played: Future[float] = Future()
            played.set_result(50.0)
            return played

    settings = PolicySettings(network="blend", episodes=8, population=4, budget=8, pool_size=3)
    found = search(settings, home(), 0, Noting())
    while not found.done:
        found.play_round()
    assert (asked, found.areas) == ([0] * 4 + [1] * 4, [50.0] * 8)


def test_places_are_not_drawn_at_the_size_of_huge_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground_module, "MOST_PIXELS", 100)
    for source in ("streets:1", "shapes:1"):
        with pytest.raises(SourceError, match="is too large for that"):
            game_of(SETTINGS, camvid(start=never), source, 0)
    game_of(SETTINGS, home(), "own", 0)


def test_all_classes_of_a_city_are_the_project_s() -> None:
    every = "streets:1:" + "-".join(map(str, range(11)))
    assert PolicySettings(network="regionwise", class_relative=False, sources=(every,)).sources == (every,)


def test_a_search_plays_on_a_source_as_often_as_it_is_named_and_draws_it_once() -> None:
    settings = PolicySettings(network="blend", sources=("shapes:1", "shapes:2", "shapes:1"), budget=8, pool_size=3)
    first, other, again = contests_of(settings, home(), 0)
    assert first is again
    assert first.place.images is not other.place.images
    with pytest.raises(ValueError, match="each named once"):
        PolicySettings(network="regionwise", sources=("own", "own"))
