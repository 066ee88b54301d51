"""Acquisition scores, against the formulas in numpy, and the same whatever classes are called."""

from typing import Any

import numpy as np
import pytest
import torch

from models.acquisition import FARTHEST, OF_UNCERTAINTY, SCORES, acquisition_scores
from models.regionwise_view import ACQUISITION, RegionwiseView, ViewSettings
from models.strategies import build_strategy
from models.strategies.contract import Candidates
from tests.models.rounds_in_numbers import reordered_context, reordered_rows, some_context, some_rows

CANDIDATES, CLASSES = 12, 5


def known(seed: int = 0) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    rows = some_rows(CANDIDATES, CLASSES, generator)
    return {
        "rows": rows,
        "entropy_M": torch.rand(CANDIDATES, generator=generator),
        "runner_up_M": rows.statistics["bvsb_mean"],
        "novelty_M": torch.rand(CANDIDATES, generator=generator),
        "mass_MC": rows.vectors["class_mass"],
        "labelled_share_C": torch.rand(CLASSES, generator=generator).softmax(0),
        "recall_C": torch.rand(CLASSES, generator=generator),
        "precision_C": torch.rand(CLASSES, generator=generator),
    }


def formulas(of: dict[str, Any]) -> dict[str, np.ndarray]:
    e, r, novelty, s, share, recall, precision = (of[name].double().numpy() for name in list(of)[1:])
    h = of["rows"].class_part_RC.double().numpy()

    def entropy(p: np.ndarray) -> np.ndarray:
        return np.array([-sum(x * np.log(x) for x in row if x > 0) for row in p])

    dominant = h.argmax(1)
    alike = np.array([(dominant == each).mean() for each in dominant])
    return {
        "entropy": e,
        "histogram entropy": entropy(h),
        "mass entropy": entropy(s),
        "runner-up": r,
        "class-balanced": (r - r.min()) / (r.max() - r.min()) * np.exp(-alike),
        "impurity": entropy(h) / np.log(CLASSES) * e,
        "novelty": novelty,
        "rare among labels": np.array([sum(row / (share + 0.01)) for row in s]),
        "rare among candidates": np.array([sum(row / (s.mean(0) + 0.002)) for row in s]),
        "misses": np.array([sum(row * (1 - recall)) for row in s]),
        "rare misses": np.array([sum(row * (1 - recall) / (share + 0.01)) for row in s]),
        "dominance": h.max(1),
        "mass dominance": s.max(1),
        "false alarms": np.array([sum(row * (1 - precision) / (share + 0.01)) for row in s]),
    }


@pytest.mark.parametrize("name", SCORES)
def test_each_score_is_its_formula_as_a_z_score(name: str) -> None:
    of = known()
    raw = formulas(of)[name]
    expected = np.clip((raw - raw.mean()) / raw.std(), -FARTHEST, FARTHEST)
    np.testing.assert_allclose(acquisition_scores(**of)[:, SCORES.index(name)], expected, rtol=5e-3, atol=1e-3)


def test_an_outlier_is_no_farther_than_four() -> None:
    of = known()
    of["entropy_M"] = torch.zeros(CANDIDATES)
    many = {name: torch.cat([value] * 9) for name, value in of.items() if name.endswith(("_M", "_MC"))}
    rows = of["rows"][torch.arange(CANDIDATES).repeat(9)]
    many["entropy_M"][3] = 1.0
    shared = {name: value for name, value in of.items() if name.endswith("_C")}
    scores = acquisition_scores(rows=rows, **many, **shared)[:, 0]
    assert scores[3] == FARTHEST
    assert scores.abs().max() == FARTHEST


def test_candidates_that_are_all_alike_score_nothing() -> None:
    of = known()
    same = torch.zeros(CANDIDATES, dtype=torch.int64)
    alike = {name: value if name.endswith("_C") else value[same] for name, value in of.items()}
    assert acquisition_scores(**alike).abs().max() < 1e-2


@pytest.mark.parametrize("name", ["rare among labels", "misses", "rare misses", "false alarms"])
def test_where_nothing_is_known_of_any_class_rounding_is_no_difference(name: str) -> None:
    nothing = {of_a_class: torch.zeros(CLASSES) for of_a_class in ("labelled_share_C", "recall_C", "precision_C")}
    assert acquisition_scores(**{**known(), **nothing})[:, SCORES.index(name)].abs().max() < 1e-2


def test_other_numbers_for_the_classes_change_nothing() -> None:
    generator, order_C = torch.Generator().manual_seed(1), torch.tensor([3, 0, 4, 1, 2])
    rows, context, view = some_rows(8, 5, generator), some_context(5, generator), RegionwiseView()
    scores = view.actions(rows, context)[:, -ACQUISITION:]
    others = view.actions(reordered_rows(rows, order_C), reordered_context(context, order_C))[:, -ACQUISITION:]
    torch.testing.assert_close(others, scores)


def test_the_baselines_of_the_same_name_order_candidates_alike() -> None:
    generator = torch.Generator().manual_seed(5)
    rows = some_rows(CANDIDATES, CLASSES, generator)
    scores = RegionwiseView().actions(rows, some_context(CLASSES, generator))[:, -ACQUISITION:]
    strategy = build_strategy("class-balanced")
    baseline = strategy.scores(Candidates(count=CANDIDATES, rows=rows), torch.Generator())
    assert torch.equal(scores[:, SCORES.index("class-balanced")].argsort(), baseline.argsort())


def test_without_uncertainty_those_of_it_are_nothing_and_the_others_are_as_they_were() -> None:
    generator = torch.Generator().manual_seed(2)
    rows, context = some_rows(8, 5, generator), some_context(5, generator)
    whole = RegionwiseView().actions(rows, context)[:, -ACQUISITION:]
    part = RegionwiseView(settings=ViewSettings(uncertainty=False)).actions(rows, context)[:, -ACQUISITION:]
    others = [place for place in range(ACQUISITION) if place not in OF_UNCERTAINTY]
    assert not part[:, OF_UNCERTAINTY].any()
    assert torch.equal(part[:, others], whole[:, others])
