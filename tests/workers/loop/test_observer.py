"""What strategies are told: centres and truth of the labelled regions, and the context that a policy's view sees."""

import dataclasses
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.features import RegionRows, describe, state_rows
from models.observation import RoundContext
from models.query_network import QueryNetwork
from models.segmenter import Segmenter, build
from models.strategies import Candidates, build_strategy
from models.strategies.contract import Strategy
from service.domain.metrics import class_counts, confusion_matrix, distribution_entropy
from service.domain.pool import Pool
from tests.workers.conftest import Rectangles
from workers.chance import numpy_generator, torch_generator
from workers.datasets.on_device import image_tensor
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings, groups_of

POOL, STATE, REWARD = Rectangles(10, 1), Rectangles(2, 2), Rectangles(3, 3)


class Unlabelled(Rectangles):
    """Images whose truth nobody knows."""

    def label_map(self, number: int) -> NDArray[np.uint8]:
        raise LookupError(f"Image {number} has no label map.")


class Seeing(nn.Module):
    """A policy and its own view: it keeps what it was shown, and values a candidate by its share of class 0."""

    vectors = frozenset({"class_mass"})
    statistics = frozenset({"bvsb_mean"})
    needs_confusion = True
    needs_state = True

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[RoundContext] = []
        self.candidates: list[RegionRows] = []

    @property
    def view(self) -> "Seeing":
        return self

    def state(self, rows: RegionRows, context: RoundContext) -> Tensor:
        self.contexts.append(context)
        return rows.vectors["class_mass"]

    def actions(self, rows: RegionRows, context: RoundContext) -> Tensor:
        self.candidates.append(rows)
        return rows.vectors["class_mass"][:, :2]

    def forward(self, state_BSF: Tensor, actions_BNA: Tensor) -> Tensor:
        return actions_BNA[..., 0]


def make_learner(settings: LoopSettings, strategy: str, policy: nn.Module | None = None, **more: Any) -> ActiveLearner:
    return ActiveLearner(
        segmenter=build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(2)).eval(),
        strategy=build_strategy(strategy, policy),
        pool=Pool(groups_of(POOL, settings)),
        labelled=LabelledSet(3),
        images=POOL,
        reward=REWARD,
        settings=settings,
        seed=5,
        **{"state": STATE, **more},
    )


def drawn(learner: ActiveLearner, round_number: int) -> tuple[list[list[int]], list[int]]:
    """The round's candidate pools, drawn from a copy of the pool, and all of them together."""
    pool, left = Pool(groups_of(POOL, learner.settings)), learner.pool
    pool.take(np.flatnonzero(left.is_taken(np.arange(120))))
    rng = numpy_generator(learner.seed, "candidates", round_number)
    pools = pool.sample(pools=4, size=3, by="images", rng=rng)
    return [each.tolist() for each in pools], np.concatenate(pools).tolist()


def embedding(learner: ActiveLearner, number: int) -> np.ndarray:
    """Features at stride 4 of a 16 x 16 cell of a 48 x 64 image, averaged."""
    image, cell = divmod(number, 12)
    with torch.no_grad():
        features = learner.segmenter.eval().encode(image_tensor(POOL.image(image))[None])[0]
    row, col = divmod(cell, 4)
    return features[:, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4].double().mean((1, 2)).numpy()


@pytest.mark.parametrize("protocol", ["per-pool", "global"])
def test_coreset_chooses_what_is_farthest_from_all_that_is_labelled_and_chosen(
    loop_settings: LoopSettings, protocol: Literal["per-pool", "global"]
) -> None:
    learner = make_learner(dataclasses.replace(loop_settings, protocol=protocol), "coreset")
    centres: list[int] = []
    for round_number in range(3):
        pools, together = drawn(learner, round_number)
        proposal = learner.ask(round_number=round_number)
        places = {number: embedding(learner, number) for number in together + centres}
        mean = np.mean([places[number] for number in together], axis=0)
        expected: list[int] = []
        for turn in pools if protocol == "per-pool" else [together] * 4:
            known = [places[number] for number in centres + expected]
            worth = {
                number: min(np.linalg.norm(places[number] - centre) for centre in known)
                if known
                else -np.linalg.norm(places[number] - mean)
                for number in turn
                if number not in expected
            }
            expected.append(max(worth, key=lambda number: worth[number]))
        assert [region.number for region in proposal.regions] == expected
        learner.tell(Oracle(POOL).answer(proposal), round_number=round_number, measured=False)
        centres += expected


def test_coreset_describes_each_labelled_image_once(
    loop_settings: LoopSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner(loop_settings, "coreset")
    seen: list[int] = []
    encode = Segmenter.encode

    def encoding(self: Segmenter, images: Tensor) -> Tensor:
        seen.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(Segmenter, "encode", encoding)
    answers = Oracle(POOL).answer(learner.ask(round_number=0))
    learner.labelled.add(answers)
    assert sum(seen) == 1
    learner.ask(round_number=1)
    assert sum(seen[1:]) == 1 + len({answer.image for answer in answers})


def test_coreset_refuses_labelled_regions_whose_place_is_unknown(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings, "coreset")
    learner.chooser.observer._labelled = LabelledSet(3, np.ones((2, 3), np.int64))
    with pytest.raises(ValueError, match="Of 2 labelled regions only 0 have a known place: add their answers"):
        learner.ask(round_number=0)


@pytest.mark.parametrize("protocol", ["per-pool", "global"])
def test_the_greedy_oracle_evens_out_the_true_classes(
    loop_settings: LoopSettings, protocol: Literal["per-pool", "global"]
) -> None:
    learner = make_learner(dataclasses.replace(loop_settings, protocol=protocol), "greedy-oracle", truth=POOL)
    counts = np.zeros(3, np.int64)
    for round_number in range(3):
        pools, together = drawn(learner, round_number)
        proposal = learner.ask(round_number=round_number)
        expected: list[int] = []
        for turn in pools if protocol == "per-pool" else [together] * 4:
            own = {number: _true_counts(number) for number in turn if number not in expected}
            best = max(own, key=lambda number: round(distribution_entropy(counts + own[number]), 9))
            counts += own[best]
            expected.append(best)
        assert [region.number for region in proposal.regions] == expected
        learner.labelled.add(Oracle(POOL).answer(proposal))
        np.testing.assert_array_equal(learner.labelled.counts().sum(axis=0), counts)


def _true_counts(number: int) -> np.ndarray:
    image, (row, col) = number // 12, divmod(number % 12, 4)
    return class_counts(POOL.label_map(image)[16 * row : 16 * row + 16, 16 * col : 16 * col + 16], 3)


def test_a_strategy_that_needs_the_truth_is_refused_where_there_is_none(loop_settings: LoopSettings) -> None:
    with pytest.raises(
        ValueError, match="'greedy-oracle' chooses by the true labels of the pool: give them as `truth`"
    ):
        make_learner(loop_settings, "greedy-oracle")


def test_a_policy_s_own_view_makes_the_rows_from_the_vectors_it_asks_for(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings, "learned", Seeing())
    proposal = learner.ask(round_number=0)
    boxes = [torch.from_numpy(loop_settings.grid((48, 64)).boxes(np.arange(12)))] * 2
    images = torch.stack([image_tensor(STATE.image(number)) for number in range(2)])
    expected = RegionRows.cat([d.rows for d in describe(learner.segmenter, images, boxes, vectors={"class_mass"})])
    assert proposal.state_SF is not None
    assert torch.equal(proposal.state_SF, expected.vectors["class_mass"])
    view = learner.strategy.view
    assert view is not None
    state_SF = learner.chooser.observer.state(learner.segmenter, view, torch_generator(0, "unused"))
    assert torch.equal(state_SF, proposal.state_SF)
    for region, actions, chosen in zip(proposal.regions, proposal.actions, proposal.chosen, strict=True):
        assert actions.shape == (3, 2)
        assert int(actions[:, 0].argmax()) == chosen
        assert region.score == pytest.approx(float(actions[chosen, 0]))


def test_a_view_is_shown_the_statistics_and_vectors_that_it_wants_of_each_candidate(
    loop_settings: LoopSettings,
) -> None:
    policy = Seeing()
    learner = make_learner(loop_settings, "learned", policy)
    _, together = drawn(learner, 0)
    learner.ask(round_number=0)
    (rows,) = policy.candidates
    assert set(rows.vectors) == {"class_mass"}
    boxes_R4 = torch.from_numpy(loop_settings.grid((48, 64)).boxes(np.arange(12)))
    for place, (image, cell) in enumerate(divmod(number, 12) for number in together):
        picture_13HW, boxes = image_tensor(POOL.image(image))[None], [boxes_R4[cell : cell + 1]]
        (alone,) = describe(learner.segmenter, picture_13HW, boxes, statistics={"bvsb_mean"}, vectors={"class_mass"})
        torch.testing.assert_close(rows.statistics["bvsb_mean"][place], alone.rows.statistics["bvsb_mean"][0])
        torch.testing.assert_close(rows.vectors["class_mass"][place], alone.rows.vectors["class_mass"][0])


def test_the_context_holds_labels_budget_and_how_the_segmenter_does_on_d_s(loop_settings: LoopSettings) -> None:
    policy = Seeing()
    learner = make_learner(loop_settings, "learned", policy, budget=16)
    learner.labelled.add(Oracle(POOL).answer(learner.ask(round_number=0)))
    learner.ask(round_number=1)
    first, second = policy.contexts
    assert (first.budget_share, second.budget_share) == (0.0, 0.25)
    assert (tuple(first.labelled_LC.shape), first.labelled_counts_C.tolist()) == ((0, 3), [0, 0, 0])
    np.testing.assert_allclose(second.labelled_LC.numpy(), learner.labelled.distributions().numpy())
    assert second.labelled_counts_C.tolist() == learner.labelled.counts().sum(axis=0).tolist()
    maps = [STATE.label_map(number) for number in range(2)]
    cells = [each[row : row + 16, col : col + 16] for each in maps for row in (0, 16, 32) for col in (0, 16, 32, 48)]
    assert second.state_truth_SC is not None
    assert second.state_truth_SC.tolist() == [class_counts(cell, 3).tolist() for cell in cells]
    expected = np.zeros((3, 3), np.int64)
    for number in range(2):
        with torch.no_grad():
            predicted = learner.segmenter(image_tensor(STATE.image(number))[None]).argmax(1)[0].numpy()
        expected += confusion_matrix(maps[number], predicted.astype(np.uint8), 3)
    assert second.state_confusion_CC is not None
    np.testing.assert_array_equal(second.state_confusion_CC.numpy(), expected)


def test_where_d_s_has_no_label_maps_the_context_says_so(loop_settings: LoopSettings) -> None:
    policy = Seeing()
    make_learner(loop_settings, "learned", policy, state=Unlabelled(2, 2)).ask(round_number=0)
    (context,) = policy.contexts
    assert (context.state_truth_SC, context.state_confusion_CC, context.budget_share) == (None, None, 0.0)


def test_rows_for_a_policy_without_a_view_of_its_own_are_the_paper_s(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings, "learned", QueryNetwork(3, 24))
    proposal = learner.ask(round_number=0)
    boxes = [torch.from_numpy(loop_settings.grid((48, 64)).boxes(np.arange(12)))] * 2
    images = torch.stack([image_tensor(STATE.image(number)) for number in range(2)])
    expected = RegionRows.cat([each.rows for each in describe(learner.segmenter, images, boxes)])
    assert proposal.state_SF is not None
    assert torch.equal(proposal.state_SF, state_rows(expected))
    assert [tuple(rows.shape) for rows in proposal.actions] == [(3, 3 + 192 + 64)] * 4


def test_a_strategy_is_told_no_more_than_it_needs(loop_settings: LoopSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner(loop_settings, "random")
    told: list[Candidates] = []
    random = type(learner.strategy).scores

    def scores(self: Strategy, candidates: Candidates, generator: torch.Generator) -> Tensor:
        told.append(candidates)
        return random(self, candidates, generator)

    monkeypatch.setattr(type(learner.strategy), "scores", scores)
    learner.ask(round_number=0)
    (candidates,) = told
    assert candidates.pools_M is not None
    assert candidates.pools_M.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert dataclasses.replace(candidates, pools_M=None) == Candidates(count=12, wanted=4)
