"""Strategies whose choices depend on each other: what their scores make the loop choose, worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.features import RegionRows
from models.strategies import REFERENCES, STRATEGIES, Candidates, build_strategy
from tests.models.candidates import chosen, pools_of


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestCoreset:
    strategy = build_strategy("coreset")

    def candidates(self, places: Tensor, labelled: Tensor, **more: Any) -> Candidates:
        rows = RegionRows(
            class_part_RC=torch.zeros(len(places), 2),
            uncertainty_RU=torch.zeros(len(places), 192),
            vectors={"embedding": places},
        )
        return Candidates(count=len(places), rows=rows, labelled_embeddings_LE=labelled, **more)

    def chosen(self, places: list[float], labelled: list[float], **more: Any) -> list[int]:
        along_a_line = torch.tensor(places)[:, None], torch.tensor(labelled)[:, None]
        candidates = self.candidates(*along_a_line, **more)
        return chosen(self.strategy.scores(candidates, seeded(0)), candidates)

    def test_a_choice_becomes_a_centre_for_the_next(self) -> None:
        # From 0: 10 is farthest (10), then 5.5 (4.5 from 10), then 3 (2.5 from 5.5), not 9 and 8, which 10 covers.
        assert self.chosen([3.0, 9.0, 10.0, 8.0, 5.5], [0.0], wanted=3) == [2, 4, 0]

    def test_pool_by_pool_the_farthest_of_each_is_taken_from_all_centres_so_far(self) -> None:
        places = [4.0, 10.0, 9.5, 3.0, 9.0, 7.0]
        assert self.chosen(places, [0.0], pools_M=pools_of(2, 2, 2), wanted=3) == [1, 3, 5]
        # Each pool by itself would have taken 9.5 and 9.
        assert self.chosen(places[2:4], [0.0], pools_M=pools_of(2), wanted=1) == [0]

    def test_the_score_in_a_pool_is_the_distance_to_the_nearest_centre(self) -> None:
        places = torch.tensor([[3.0, 4.0], [6.0, 8.0], [6.0, 9.0], [0.0, 1.0]])
        candidates = self.candidates(places, torch.zeros(1, 2), pools_M=pools_of(2, 2), wanted=2)
        scores = self.strategy.scores(candidates, seeded(0))
        torch.testing.assert_close(scores, torch.tensor([5.0, 10.0, 1.0, 1.0], dtype=torch.float64))

    def test_with_nothing_labelled_the_first_centre_is_the_candidate_nearest_the_mean(self) -> None:
        places = [0.0, 1.0, 4.0, 5.0, 15.0]  # mean 5
        assert self.chosen(places, [], wanted=3) == [3, 4, 0]
        assert self.chosen(places, [], pools_M=pools_of(2, 3), wanted=2) == [1, 4]

    def test_all_that_there_is_may_be_wanted_and_equal_regions_are_each_taken_once(self) -> None:
        assert self.chosen([2.0, 2.0, 2.0], [2.0], wanted=3) == [0, 1, 2]
        assert self.chosen([2.0, 2.0], [], wanted=5) == [0, 1]

    @pytest.mark.parametrize(("labelled", "count"), [(0, 40), (1, 40), (50, 40), (5_000, 40), (600, 2_500)])
    def test_it_is_k_centre_written_out(self, labelled: int, count: int) -> None:
        generator = seeded(labelled)
        places = 100 + torch.rand(count, 6, generator=generator)
        centres = 100 + torch.rand(labelled, 6, generator=generator)
        candidates = self.candidates(places, centres, wanted=12)
        points, known = places.double().numpy(), centres.double().numpy()
        expected: list[int] = []
        while len(expected) < 12:
            if not len(known):
                expected.append(int(np.linalg.norm(points - points.mean(0), axis=1).argmin()))
            else:
                nearest = np.linalg.norm(points[:, None] - known[None], axis=2).min(1)
                expected.append(int(np.where(np.isin(np.arange(count), expected), -1, nearest).argmax()))
            known = np.concatenate([known, points[expected[-1:]]])
        assert chosen(self.strategy.scores(candidates, seeded(0)), candidates) == expected


class TestGreedyOracle:
    strategy = build_strategy("greedy-oracle")

    def candidates(self, truth: list[list[int]], labelled: list[int], **more: Any) -> Candidates:
        return Candidates(
            count=len(truth), truth_MC=torch.tensor(truth), labelled_counts_C=torch.tensor(labelled), **more
        )

    def chosen(self, *given: Any, **more: Any) -> list[int]:
        candidates = self.candidates(*given, **more)
        return chosen(self.strategy.scores(candidates, seeded(0)), candidates)

    def test_it_fills_up_the_rarest_class_and_counts_what_it_took(self) -> None:
        truth = [[0, 9, 0], [0, 8, 0], [0, 0, 7], [5, 0, 0]]
        # 10, 9, 0 first; then class 2 is what is missing, not more of class 1.
        assert self.chosen(truth, [10, 0, 0], wanted=2) == [0, 2]
        assert self.chosen([truth[1], truth[3], truth[0], truth[2]], [10, 0, 0], pools_M=pools_of(2, 2), wanted=2) == [
            0,
            3,
        ]

    def test_the_score_in_a_pool_is_the_entropy_after_the_candidate(self) -> None:
        candidates = self.candidates([[0, 2], [2, 0], [1, 1]], [2, 0], pools_M=pools_of(2, 1), wanted=2)
        scores = self.strategy.scores(candidates, seeded(0)).tolist()
        three_of_five = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))
        assert scores == pytest.approx([math.log(2), 0.0, math.log(2)])
        after = self.candidates([[0, 2], [1, 0]], [2, 0], pools_M=pools_of(1, 1), wanted=2)
        assert self.strategy.scores(after, seeded(0)).tolist() == pytest.approx([math.log(2), three_of_five])

    def test_regions_without_a_labelled_pixel_and_an_empty_beginning_are_no_trouble(self) -> None:
        assert self.chosen([[0, 0], [4, 0], [1, 1]], [0, 0], wanted=3) == [2, 0, 1]

    def test_it_is_a_reference_that_campaigns_are_not_offered(self) -> None:
        assert "greedy-oracle" in REFERENCES
        assert not set(REFERENCES) & set(STRATEGIES)


class TestDiverse:
    strategy = build_strategy("diverse")

    def candidates(self, bvsb: Tensor, places: Tensor, labelled: Tensor, **more: Any) -> Candidates:
        rows = RegionRows(
            class_part_RC=torch.zeros(len(places), 2),
            uncertainty_RU=torch.zeros(len(places), 192),
            statistics={"bvsb_mean": bvsb},
            vectors={"embedding": places},
        )
        return Candidates(count=len(places), rows=rows, labelled_embeddings_LE=labelled, **more)

    @pytest.mark.parametrize("labelled", [0, 1, 30])
    @pytest.mark.parametrize("pools", [None, (10, 10, 5, 5)])
    def test_it_is_the_sum_written_out(self, labelled: int, pools: tuple[int, ...] | None) -> None:
        generator = seeded(labelled)
        bvsb, places = torch.rand(30, generator=generator), torch.rand(30, 4, generator=generator)
        centres = torch.rand(labelled, 4, generator=generator)
        shared = {"wanted": 4, "pools_M": None if pools is None else pools_of(*pools)}
        candidates = self.candidates(bvsb, places, centres, **shared)
        scores, points, known = bvsb.double().numpy(), places.double().numpy(), list(centres.double().numpy())
        expected: list[int] = []
        for pick in range(4):
            worth = (scores - scores.mean()) / scores.std()
            if known:
                nearest = np.min([np.linalg.norm(points - centre, axis=1) for centre in known], axis=0)
                worth = worth + (nearest - nearest.mean()) / nearest.std()
            first, stop = (0, 30) if pools is None else (sum(pools[:pick]), sum(pools[: pick + 1]))
            allowed = [place for place in range(first, stop) if place not in expected]
            expected.append(max(allowed, key=worth.__getitem__))
            known.append(points[expected[-1]])
        assert chosen(self.strategy.scores(candidates, seeded(0)), candidates) == expected

    def test_regions_that_are_all_alike_are_each_taken_once(self) -> None:
        candidates = self.candidates(torch.ones(3), torch.ones(3, 2), torch.ones(1, 2), wanted=3)
        assert chosen(self.strategy.scores(candidates, seeded(0)), candidates) == [0, 1, 2]
