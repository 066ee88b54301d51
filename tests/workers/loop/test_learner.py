"""The one path: how regions are chosen and what a round's labels do."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from models.query_network import QueryNetwork
from models.segmenter import Segmenter, build
from models.strategies import build_strategy
from service.domain.classes import IGNORE
from service.domain.metrics import confusion_matrix, mean_iou
from service.domain.pool import Pool
from service.domain.regions import Box
from tests.workers.conftest import Rectangles
from workers.loop import ActiveLearner
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings, Proposal, choose, groups_of

POOL, STATE, REWARD = Rectangles(10, 1), Rectangles(2, 2), Rectangles(3, 3)


def make_segmenter() -> Segmenter:
    return build("fpn", classes=3, width=4).eval()


def make_learner(
    settings: LoopSettings, strategy: str = "entropy", segmenter: Segmenter | None = None, seed: int = 5
) -> ActiveLearner:
    return ActiveLearner(
        segmenter=segmenter or make_segmenter(),
        strategy=build_strategy(strategy),
        pool=Pool(groups_of(POOL, settings)),
        labelled=LabelledSet(3),
        images=POOL,
        state=STATE,
        reward=REWARD,
        settings=settings,
        seed=seed,
    )


def numbers(proposal: Proposal) -> list[int]:
    return [region.number for region in proposal.regions]


def test_a_round_chooses_k_different_regions_and_takes_them_out_of_the_pool(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings)
    first, second = learner.ask(round_number=1), learner.ask(round_number=2)
    assert len(set(numbers(first) + numbers(second))) == 8
    assert learner.pool.left == 10 * 12 - 8
    assert learner.pool.is_taken(numbers(first)).all()


def test_what_is_chosen_follows_from_seed_and_round_alone(loop_settings: LoopSettings) -> None:
    one, other = make_learner(loop_settings), make_learner(loop_settings)
    other.ask(round_number=7)  # what happened before must not matter, but for the regions taken
    other.chooser.pool = Pool(groups_of(POOL, loop_settings))
    assert numbers(one.ask(round_number=3)) == numbers(other.ask(round_number=3))
    assert numbers(make_learner(loop_settings, seed=6).ask(round_number=3)) != numbers(one.ask(round_number=3))


def test_entropy_takes_the_most_uncertain_candidate_of_every_pool(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings)
    pools = Pool(groups_of(POOL, loop_settings)).sample(
        pools=4, size=3, by="images", rng=_candidate_generator(learner.seed, 1)
    )
    chosen = learner.ask(round_number=1)
    for pool, region in zip(pools, chosen.regions, strict=True):
        entropies = {int(number): _entropy_of_cell(learner, int(number)) for number in pool}
        assert region.number == max(entropies, key=lambda number: entropies[number])


def _candidate_generator(seed: int, round_number: int) -> np.random.Generator:
    from workers.chance import numpy_generator

    return numpy_generator(seed, "candidates", round_number)


def _entropy_of_cell(learner: ActiveLearner, number: int) -> float:
    image, cell = (int(each[0]) for each in learner.pool.locate(np.array([number])))
    pixels = torch.from_numpy(POOL.image(image).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        p = learner.segmenter(pixels).double().softmax(1)[0].numpy()
    entropy = -(p * np.log(p)).sum(axis=0)
    return float(entropy[learner.settings.grid((48, 64)).box(cell).slices].sum())


def test_each_candidate_image_takes_one_forward_pass(loop_settings: LoopSettings) -> None:
    seen: list[int] = []

    class Counting(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, images: torch.Tensor) -> Any:
            seen.append(len(images))
            return self.inner(images)

    segmenter = make_segmenter()
    segmenter.encoder = Counting(segmenter.encoder)
    proposal = make_learner(loop_settings, segmenter=segmenter).chooser.ask(round_number=1, predict=True)
    # 12 candidates by images of 12 cells: one image suffices, and prefilling needs no second look.
    assert sum(seen) == len({region.image for region in proposal.regions}) == 1


def test_random_needs_no_segmenter(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings, "random")
    learner.chooser.segmenter = None
    proposal = learner.chooser.ask(round_number=1, predict=True)
    assert len(proposal.regions) == 4
    assert all(region.prediction is None for region in proposal.regions)


@pytest.mark.parametrize("strategy", ["random", "entropy"])
def test_predictions_are_the_segmenters_label_maps(loop_settings: LoopSettings, strategy: str) -> None:
    learner = make_learner(loop_settings, strategy)
    for region in learner.chooser.ask(round_number=1, predict=True).regions:
        pixels = torch.from_numpy(POOL.image(region.image).transpose(2, 0, 1)[None].copy())
        with torch.no_grad():
            expected = learner.segmenter(pixels).argmax(1)[0].numpy()[region.box.slices]
        assert region.prediction is not None
        np.testing.assert_array_equal(region.prediction, expected)


def test_rows_are_kept_where_a_policy_looks_at_them(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings)
    assert learner.ask(round_number=0).state_SF is None
    learner.chooser.strategy = build_strategy("learned", QueryNetwork(3, 24))
    proposal = learner.ask(round_number=1)
    assert proposal.state_SF is not None
    assert proposal.state_SF.shape == (2 * 12, 3 + 192)
    assert [tuple(rows.shape) for rows in proposal.actions] == [(3, 3 + 192 + 64)] * 4
    assert all(0 <= chosen < 3 for chosen in proposal.chosen)


def test_the_reward_is_the_gain_in_miou_on_d_r_from_the_first_round_on(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings)
    before = _miou(learner)
    result = learner.tell(Oracle(POOL).answer(learner.ask(round_number=1)), round_number=1)
    after = _miou(learner)
    assert result.miou_before == pytest.approx(before)
    assert result.miou_after == pytest.approx(after)
    assert result.reward == pytest.approx(100 * (after - before))
    assert after != before


def _miou(learner: ActiveLearner) -> float:
    """An independent measurement: one image at a time."""
    confusion = np.zeros((3, 3), np.int64)
    learner.segmenter.eval()
    for number in range(len(REWARD)):
        pixels = torch.from_numpy(REWARD.image(number).transpose(2, 0, 1)[None].copy())
        with torch.no_grad():
            predicted = learner.segmenter(pixels).argmax(1)[0].numpy()
        confusion += confusion_matrix(REWARD.label_map(number), predicted, 3)
    return mean_iou(confusion)


def test_rounds_teach(loop_settings: LoopSettings) -> None:
    learner = make_learner(dataclasses.replace(loop_settings, batch_size=8, passes=4), "random")
    oracle, start = Oracle(POOL), learner.learner.measured_miou()
    for number in range(12):
        learner.tell(oracle.answer(learner.ask(round_number=number)), round_number=number, measured=False)
    end = learner.learner.measured_miou()
    assert start is not None
    assert end is not None
    assert end[0] > start[0] + 0.2


def test_a_learner_put_away_and_continued_learns_the_same(loop_settings: LoopSettings) -> None:
    straight = make_learner(loop_settings)
    oracle = Oracle(POOL)
    told = [oracle.answer(straight.ask(round_number=1))]
    straight.tell(told[0], round_number=1)
    resumed = make_learner(loop_settings)
    resumed.segmenter.load_state_dict(straight.segmenter.state_dict())
    resumed.learner.resume(straight.learner.momentum, straight.learner.measured())
    resumed.labelled.add(told[0])
    resumed.pool.take(np.array([region.number for region in make_learner(loop_settings).ask(round_number=1).regions]))
    for learner in (straight, resumed):
        learner.tell(oracle.answer(learner.ask(round_number=2)), round_number=2)
    for key, value in straight.segmenter.state_dict().items():
        assert torch.equal(value, resumed.segmenter.state_dict()[key]), key


def test_labels_outside_labelled_regions_teach_nothing() -> None:
    labelled = LabelledSet(3)
    box = Box(row=16, col=32, height=16, width=16)
    labelled.add([Answer(image=4, cell=6, box=box, label_map=POOL.label_map(4)[box.slices])])
    label_map = labelled.label_map(4, (48, 64))
    np.testing.assert_array_equal(label_map[box.slices], POOL.label_map(4)[box.slices])
    label_map[box.slices] = IGNORE
    assert (label_map == IGNORE).all()
    assert (labelled.label_map(5, (48, 64)) == IGNORE).all()


def test_distributions_leave_out_regions_without_a_labelled_pixel() -> None:
    labelled = LabelledSet(3, np.array([[2, 6, 0], [0, 0, 0]]))
    box = Box(row=0, col=0, height=2, width=2)
    labelled.add([Answer(image=0, cell=0, box=box, label_map=np.array([[0, 2], [2, IGNORE]], np.uint8))])
    assert labelled.regions == 3
    np.testing.assert_allclose(labelled.distributions().numpy(), [[0.25, 0.75, 0], [1 / 3, 0, 2 / 3]], rtol=1e-6)


def test_choose_takes_the_best_of_each_pool_or_the_best_of_all() -> None:
    scores, rng = np.array([1.0, 3.0, 2.0, 9.0, 8.0, 7.0]), np.random.default_rng(0)
    assert choose(scores, [3, 3], "per-pool", 0.0, rng).tolist() == [1, 3]
    assert choose(scores, [3, 3], "global", 0.0, rng).tolist() == [3, 4]
    assert choose(np.zeros(0), [], "per-pool", 0.0, rng).tolist() == []


def test_epsilon_is_drawn_for_every_region_on_its_own() -> None:
    scores = np.tile([1.0, 0.0, 0.0, 0.0], 2000)
    chosen = choose(scores, [4] * 2000, "per-pool", 0.4, np.random.default_rng(0)) % 4
    # Greedy 0.6, and a quarter of the random 0.4.
    assert np.mean(chosen == 0) == pytest.approx(0.7, abs=0.03)
    assert np.mean(chosen == 3) == pytest.approx(0.1, abs=0.02)


def test_the_end_of_the_pool_gives_what_is_left(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings)
    learner.pool.take(np.arange(118))
    assert sorted(numbers(learner.ask(round_number=1))) == [118, 119]
    assert numbers(learner.ask(round_number=2)) == []
