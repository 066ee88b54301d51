"""One contract for every strategy, and each strategy's own values worked out by hand."""

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from models.features import STATISTICS, VECTORS, RegionRows
from models.observation import PAPER, PaperView
from models.strategies import REFERENCES, STRATEGIES, Candidates, build_strategy
from tests.models.candidates import CLASSES, built, candidates_for, described, policy, seeded

EVERY = (*STRATEGIES, *REFERENCES)
RANDOM = {"random", "stratified-random"}
DETERMINISTIC = [name for name in EVERY if name not in RANDOM]


def tensors(candidates: Candidates) -> list[Tensor]:
    rows, of_rows = candidates.rows, []
    if rows is not None:
        of_rows = [rows.class_part_RC, rows.uncertainty_RU, *rows.statistics.values(), *rows.vectors.values()]
    return of_rows + [
        value for each in fields(candidates) if isinstance(value := getattr(candidates, each.name), Tensor)
    ]


def permuted(candidates: Candidates, order: Tensor) -> Candidates:
    moved = {name: getattr(candidates, name) for name in ("rows", "actions_MA", "truth_MC", "gains_M")}
    changed: dict[str, Any] = {name: None if each is None else each[order] for name, each in moved.items()}
    return replace(candidates, **changed)


@pytest.mark.parametrize("name", EVERY)
class TestContract:
    @pytest.mark.parametrize("count", [1, 2, 40])
    def test_scores_are_one_finite_number_for_each_candidate(self, name: str, count: int) -> None:
        strategy = built(name)
        scores = strategy.scores(candidates_for(strategy, count), seeded(0))
        assert scores.shape == (count,)
        assert scores.dtype in (torch.float32, torch.float64)
        assert scores.isfinite().all()
        assert not scores.requires_grad

    def test_what_it_declares_that_it_needs_is_enough(self, name: str) -> None:
        strategy = built(name)
        assert strategy.name == name
        assert strategy.statistics <= set(STATISTICS)
        assert strategy.vectors <= set(VECTORS)
        of_regions = strategy.statistics or strategy.vectors or strategy.needs_policy or strategy.needs_labelled
        assert strategy.needs_segmenter or not of_regions
        assert strategy.needs_policy == (strategy.view is not None)
        assert strategy.zero is None or strategy.needs_segmenter
        assert strategy.zero == 0 or not strategy.adds_up
        strategy.scores(candidates_for(strategy, 8), seeded(0))

    def test_what_it_declares_that_it_needs_it_misses_with_a_sentence(self, name: str) -> None:
        strategy = built(name)
        lacking = [Candidates(count=4)] if strategy.needs_segmenter else []
        if strategy.statistics:
            lacking.append(Candidates(count=4, rows=described(4, statistics=frozenset())))
        if strategy.vectors:
            lacking.append(Candidates(count=4, rows=described(4)))
        if strategy.needs_policy or strategy.needs_labelled:
            lacking.append(Candidates(count=4, rows=described(4, vectors=strategy.vectors)))
        if strategy.needs_truth:
            counts = torch.ones(4, CLASSES, dtype=torch.int64)
            lacking += [Candidates(count=4, truth_MC=counts), Candidates(count=4, labelled_counts_C=counts[0])]
        assert bool(lacking) == (name != "random")
        for candidates in lacking:
            with pytest.raises(ValueError, match=f"strategy '{name}' needs the"):
                strategy.scores(candidates, seeded(0))

    def test_the_same_seed_gives_the_same_scores(self, name: str) -> None:
        strategy, again = built(name), built(name)
        first = strategy.scores(candidates_for(strategy, 30), seeded(5))
        assert torch.equal(first, again.scores(candidates_for(again, 30), seeded(5)))

    def test_chance_comes_from_the_generator_alone(self, name: str) -> None:
        strategy = built(name)
        before = torch.get_rng_state()
        generator = seeded(5)
        first = strategy.scores(candidates_for(strategy, 30), generator)
        second = strategy.scores(candidates_for(strategy, 30), generator)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(first, second) == (name not in RANDOM)

    def test_nothing_that_it_is_given_changes(self, name: str) -> None:
        strategy = built(name)
        candidates = candidates_for(strategy, 30)
        before = [tensor.clone() for tensor in tensors(candidates)]
        scores = strategy.scores(candidates, seeded(0))
        scores += 1
        assert all(torch.equal(now, then) for now, then in zip(tensors(candidates), before, strict=True))

    def test_what_says_that_it_has_a_zero_is_never_below_it_but_for_what_does_harm(self, name: str) -> None:
        strategy = built(name)
        scores = strategy.scores(candidates_for(strategy, 40), seeded(0))
        if strategy.zero is not None:
            assert bool((scores >= strategy.zero).all()) == (name != "influence-oracle")

    def test_it_tells_candidates_apart(self, name: str) -> None:
        strategy = built(name)
        assert len(strategy.scores(candidates_for(strategy, 30), seeded(0)).unique()) > 20


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_scores_move_with_the_candidates(name: str) -> None:
    strategy = built(name)
    candidates, order = candidates_for(strategy, 30), torch.randperm(30, generator=seeded(1))
    expected = strategy.scores(candidates, seeded(0))[order]
    torch.testing.assert_close(strategy.scores(permuted(candidates, order), seeded(0)), expected)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_only_random_strategies_depend_on_the_seed(name: str) -> None:
    strategy = built(name)
    scores = [strategy.scores(candidates_for(strategy, 10), seeded(seed)) for seed in (0, 1)]
    assert torch.equal(*scores)


class TestByStatistic:
    @pytest.mark.parametrize(
        ("name", "statistic", "sign"),
        [
            ("entropy", "entropy_sum", 1),
            ("bald", "bald_sum", 1),
            ("margin", "margin_mean", -1),
            ("bvsb", "bvsb_mean", 1),
        ],
    )
    def test_the_score_is_the_statistic(self, name: str, statistic: str, sign: int) -> None:
        rows = described(9)
        scores = build_strategy(name).scores(Candidates(count=9, rows=rows), seeded(0))
        assert torch.equal(scores, sign * rows.statistics[statistic])


def test_margins_are_values_above_a_pixel_that_is_sure() -> None:
    assert {name: built(name).zero for name in EVERY if built(name).zero is not None} == {
        "entropy": 0.0,
        "bald": 0.0,
        "margin": -1.0,
        "bvsb": 0.0,
        "impurity": 0.0,
        "influence": 0.0,
        "influence-oracle": 0.0,
    }


class TestRandom:
    def test_each_candidate_is_the_best_equally_often(self) -> None:
        generator, strategy = seeded(0), build_strategy("random")
        best = [int(strategy.scores(Candidates(count=5), generator).argmax()) for _ in range(2_000)]
        assert scipy.stats.chisquare(np.bincount(best, minlength=5)).pvalue > 1e-3


def of_classes(dominant: list[int]) -> RegionRows:
    rows = described(len(dominant))
    return replace(rows, class_part_RC=torch.eye(CLASSES)[dominant] * 0.6 + 0.08)


class TestStratifiedRandom:
    strategy = build_strategy("stratified-random")

    def test_the_best_is_uniform_over_classes_and_then_over_the_regions_of_one(self) -> None:
        dominant = [0, 0, 0, 0, 0, 0, 3, 3, 4]
        candidates, generator = Candidates(count=9, rows=of_classes(dominant)), seeded(0)
        best = [int(self.strategy.scores(candidates, generator).argmax()) for _ in range(6_000)]
        shares = np.array([1 / 18] * 6 + [1 / 6] * 2 + [1 / 3])
        assert scipy.stats.chisquare(np.bincount(best, minlength=9), 6_000 * shares).pvalue > 1e-3

    def test_it_is_so_in_every_pool_whatever_is_in_the_others(self) -> None:
        dominant = [1, 1, 1, 2, 1, 2, 2, 2, 2, 2]
        pools = torch.tensor([7, 7, 7, 7, 2, 2, 2, 2, 2, 2])
        candidates = Candidates(count=10, rows=of_classes(dominant), pools_M=pools)
        generator = seeded(0)
        best: dict[int, list[int]] = {7: [], 2: []}
        for _ in range(4_000):
            scores = self.strategy.scores(candidates, generator)
            for pool, chosen in best.items():
                chosen.append(int(torch.where(pools == pool, scores, -math.inf).argmax()))
        for pool, shares in {7: [1 / 6] * 3 + [1 / 2] + [0] * 6, 2: [0] * 4 + [1 / 2] + [1 / 10] * 5}.items():
            counts, present = np.bincount(best[pool], minlength=10), np.array(shares) > 0
            assert counts[~present].sum() == 0
            assert scipy.stats.chisquare(counts[present], 4_000 * np.array(shares)[present]).pvalue > 1e-3
        # Pools choose on their own: that both take class 2, each with chance 1/2, has chance 1/4.
        both = np.mean([dominant[a] == dominant[b] == 2 for a, b in zip(best[7], best[2], strict=True)])
        assert both == pytest.approx(0.25, abs=0.03)

    def test_the_first_few_take_every_class_once_before_any_twice(self) -> None:
        dominant = [0] * 20 + [1] * 3 + [2] * 3 + [4]
        candidates = Candidates(count=27, rows=of_classes(dominant))
        for seed in range(20):
            first = self.strategy.scores(candidates, seeded(seed)).argsort(descending=True).tolist()
            classes = [dominant[number] for number in first]
            assert sorted(classes[:4]) == [0, 1, 2, 4]
            assert sorted(classes[4:7]) == sorted(classes[7:10]) == [0, 1, 2]


class TestClassBalanced:
    def test_it_is_scaled_bvsb_times_the_weight_of_the_dominant_class(self) -> None:
        rows = of_classes([0, 0, 0, 3])
        rows.statistics["bvsb_mean"][:] = torch.tensor([0.2, 0.6, 0.4, 0.4])
        scores = build_strategy("class-balanced").scores(Candidates(count=4, rows=rows), seeded(0))
        common, rare = math.exp(-0.75), math.exp(-0.25)
        torch.testing.assert_close(scores, torch.tensor([0.0, common, 0.5 * common, 0.5 * rare]))

    def test_where_all_are_as_sure_the_rarest_class_is_first(self) -> None:
        rows = of_classes([0, 0, 3, 0])
        rows.statistics["bvsb_mean"][:] = 0.5
        scores = build_strategy("class-balanced").scores(Candidates(count=4, rows=rows), seeded(0))
        assert int(scores.argmax()) == 2


class TestImpurity:
    def test_it_is_entropy_of_the_histogram_times_mean_entropy(self) -> None:
        rows = described(3)
        rows.class_part_RC[:] = torch.tensor([[0.2] * 5, [1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0]])
        rows.statistics["entropy_mean"][:] = torch.tensor([0.5, 0.9, 0.1])
        scores = build_strategy("impurity").scores(Candidates(count=3, rows=rows), seeded(0))
        torch.testing.assert_close(scores, torch.tensor([0.5, 0.0, 0.1 * math.log(2) / math.log(5)]))


class TestLearned:
    def test_it_is_the_policy_s_q_in_evaluation_mode_and_the_policy_stays_as_it_was(self) -> None:
        network = policy()
        network.head.eval()
        modes = [module.training for module in network.modules()]
        values = {name: value.clone() for name, value in network.state_dict().items()}
        strategy = build_strategy("learned", network)
        candidates = candidates_for(strategy, 12)
        scores = strategy.scores(candidates, seeded(0))
        assert [module.training for module in network.modules()] == modes
        assert all(torch.equal(value, values[name]) for name, value in network.state_dict().items())
        assert candidates.state_SF is not None
        assert candidates.actions_MA is not None
        with torch.no_grad():
            expected = network.eval()(candidates.state_SF[None], candidates.actions_MA[None])[0]
        assert torch.equal(scores, expected)

    def test_a_candidate_s_score_does_not_depend_on_the_others(self) -> None:
        strategy = build_strategy("learned", policy())
        candidates = candidates_for(strategy, 12)
        assert candidates.actions_MA is not None
        alone = replace(candidates, count=1, actions_MA=candidates.actions_MA[4:5])
        torch.testing.assert_close(
            strategy.scores(alone, seeded(0))[0], strategy.scores(candidates, seeded(0))[4], rtol=0, atol=1e-6
        )

    def test_it_looks_as_its_policy_does_and_as_the_paper_does_where_the_policy_says_nothing(self) -> None:
        network = policy()
        strategy = build_strategy("learned", network)
        assert (strategy.view, strategy.vectors) == (PAPER, frozenset())
        network.view = PaperView(vectors=frozenset({"embedding"}))
        assert strategy.view == network.view
        assert strategy.vectors == {"embedding"}
        assert build_strategy("learned", torch.nn.Linear(1, 1)).view is PAPER

    def test_without_a_policy_it_cannot_be_built(self) -> None:
        with pytest.raises(ValueError, match="'learned' needs a policy: train one, or choose another strategy"):
            build_strategy("learned")


def test_an_unknown_strategy_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(ValueError, match="no strategy 'entorpy'; there are ") as refused:
        build_strategy("entorpy")
    assert set(EVERY) == set(str(refused.value).partition("there are ")[2].split(", "))
