"""The blend: what it sees, what it adds up, and how its weights move."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.acquisition import SCORES
from models.blend import BLENDED, FIRST, LAST, Blend, BlendView, moved
from models.features import RegionRows
from models.observation import RoundContext
from models.regionwise_view import OWN_FEATURES, RegionwiseView
from models.strategies import Candidates, build_strategy
from tests.models.candidates import chosen, pools_of, seeded

COUNT, CLASSES = 24, 3


def rows(generator: torch.Generator, count: int = COUNT) -> RegionRows:
    mass, histogram = (torch.rand(count, CLASSES, generator=generator) for _ in range(2))
    return RegionRows(
        class_part_RC=histogram / histogram.sum(1, keepdim=True),
        uncertainty_RU=torch.rand(count, 192, generator=generator),
        statistics={"bvsb_mean": torch.rand(count, generator=generator)},
        vectors={
            "class_mass": mass / mass.sum(1, keepdim=True),
            "embedding": torch.rand(count, 4, generator=generator),
        },
    )


def context(cells: float = 0.0, counts: tuple[int, ...] = (500, 20, 0), known_share: float = 0.0) -> RoundContext:
    return RoundContext(
        labelled_LC=torch.zeros(0, CLASSES),
        labelled_counts_C=torch.tensor(counts),
        cells=cells,
        known_share=known_share,
    )


def candidates(some: RegionRows, actions_MA: Tensor, labelled: Tensor, **more: Any) -> Candidates:
    return Candidates(
        count=len(some),
        rows=some,
        actions_MA=actions_MA,
        state_SF=torch.zeros(0, 0),
        labelled_embeddings_LE=labelled,
        **more,
    )


def drawn(seed: int, *, known: bool = False, covers: bool = False) -> Blend:
    blend, generator = Blend(known=known, covers=covers), seeded(seed)
    with torch.no_grad():
        for weights in blend.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator))
    return blend


def test_it_sees_the_acquisition_scores_that_need_no_state_set() -> None:
    some = rows(seeded(1))
    actions_MA = BlendView().actions(some, context(96.0, known_share=0.25))
    whole_MZ = RegionwiseView().actions(some, context(96.0))[:, -OWN_FEATURES:][:, -len(SCORES) :]
    assert actions_MA.shape == (COUNT, len(BLENDED) + 2)
    torch.testing.assert_close(actions_MA[:, :-2], whole_MZ[:, [SCORES.index(name) for name in BLENDED]])
    assert torch.all(actions_MA[:, -2:] == torch.tensor([0.5, 0.25]))


def test_without_what_describes_a_region_it_says_what_is_missing() -> None:
    some = rows(seeded(1))
    bare = RegionRows(class_part_RC=some.class_part_RC, uncertainty_RU=some.uncertainty_RU)
    with pytest.raises(ValueError, match="class_mass"):
        BlendView().actions(bare, context())


@pytest.mark.parametrize(
    ("cells", "share"), [(0, 0.0), (FIRST, 0.0), (48, 0.25), (96, 0.5), (192, 0.75), (LAST, 1.0), (10_000, 1.0)]
)
def test_weights_move_with_the_logarithm_of_what_is_labelled(cells: float, share: float) -> None:
    assert moved(cells) == pytest.approx(share)


def rare(mass_MC: np.ndarray, covered_C: np.ndarray) -> np.ndarray:
    """z-scores of sum s / (l + 0.01), at most 4 from 0."""
    values_M = (mass_MC / (covered_C / covered_C.sum() + 0.01)).sum(1)
    return np.asarray(np.clip((values_M - values_M.mean()) / (values_M.std() + 1e-4 * values_M.max()), -4, 4))


@pytest.mark.parametrize("pools", [None, (6, 6, 6, 6)])
@pytest.mark.parametrize("labelled", [0, 5])
@pytest.mark.parametrize(("cells", "known_share"), [(24.0, None), (100.0, None), (100.0, 0.0), (100.0, 0.6)])
@pytest.mark.parametrize("covers", [False, True])
def test_it_chooses_by_the_sum_written_out(
    pools: tuple[int, ...] | None, labelled: int, cells: float, known_share: float | None, covers: bool
) -> None:
    some, blend = rows(seeded(2)), drawn(3, known=known_share is not None, covers=covers)
    centres = torch.rand(labelled, 4, generator=seeded(4))
    actions_MA = blend.view.actions(some, context(cells, known_share=known_share or 0.0))
    classes = torch.tensor([3.0, 1.0, 0.0])
    known = candidates(
        some,
        actions_MA,
        centres,
        wanted=4,
        pools_M=None if pools is None else pools_of(*pools),
        labelled_cells_C=classes,
    )

    ends, share = blend.ends.detach().double().numpy(), moved(cells)
    weights = (1 - share) * ends[0] + share * ends[1]
    if blend.known is not None:
        weights += (known_share or 0.0) * blend.known.detach().double().numpy()
    scores_MZ = actions_MA[:, :-2].double().numpy()
    mass_MC, covered_C = some.vectors["class_mass"].double().numpy(), classes.double().numpy()
    points, near = some.vectors["embedding"].double().numpy(), list(centres.double().numpy())
    expected: list[int] = []
    for pick in range(4):
        if covers:
            scores_MZ[:, BLENDED.index("rare among labels")] = rare(mass_MC, covered_C)
        worth = scores_MZ @ weights[:-1]
        if near:
            distance = np.min([np.linalg.norm(points - centre, axis=1) for centre in near], axis=0)
            worth += weights[-1] * (distance - distance.mean()) / distance.std()
        allowed = range(COUNT) if pools is None else range(6 * pick, 6 * pick + 6)
        expected.append(max((place for place in allowed if place not in expected), key=worth.__getitem__))
        near.append(points[expected[-1]])
        covered_C = covered_C + mass_MC[expected[-1]]

    strategy = build_strategy("learned", blend)
    assert strategy.needs_labelled
    assert "embedding" in strategy.vectors
    assert chosen(strategy.scores(known, seeded(0)), known) == expected


def test_without_embeddings_of_what_is_labelled_it_says_so() -> None:
    some, blend = rows(seeded(2)), Blend()
    known = Candidates(
        count=COUNT, rows=some, actions_MA=blend.view.actions(some, context()), state_SF=torch.zeros(0, 0)
    )
    with pytest.raises(ValueError, match="labelled regions' embeddings"):
        build_strategy("learned", blend).scores(known, seeded(0))


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="Actions should be"):
        Blend()(torch.zeros(1, 0, 0), torch.zeros(1, 5, 4))


def test_its_description_makes_it_again_and_an_unknown_setting_is_refused() -> None:
    for known, covers in product((False, True), repeat=2):
        again = Blend.from_description(Blend(known=known, covers=covers).describe())
        assert (again.known is not None, again.covers) == (known, covers)
    for wrong in ({"width": 3}, {"covers": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Blend.from_description(wrong)


def test_what_is_chosen_of_a_rare_class_makes_it_less_rare_by_as_much_of_a_cell_as_it_is() -> None:
    some, blend = rows(seeded(2)), drawn(3, covers=True)
    actions_MA, spans_M2 = blend.view.actions(some, context()), torch.arange(COUNT)[:, None] + torch.tensor([0, 1])
    known = candidates(
        some,
        actions_MA,
        torch.zeros(0, 4),
        pools_M=pools_of(12, 12),
        spans_M2=spans_M2,
        cell=4,
        labelled_cells_C=torch.tensor([1.0, 0.0, 0.0]),
    )
    seen_MA = build_strategy("learned", blend).seen_in_turn(known, [0, 12])
    assert seen_MA is not None
    mass_MC, column = some.vectors["class_mass"].double().numpy(), BLENDED.index("rare among labels")
    for pool, covered_C in ((slice(12), np.eye(3)[0]), (slice(12, 24), np.eye(3)[0] + mass_MC[0] / 4)):
        np.testing.assert_allclose(seen_MA[pool, column].numpy(), rare(mass_MC, covered_C)[pool], atol=1e-4)
    others = [place for place in range(actions_MA.shape[1]) if place != column]
    assert torch.equal(seen_MA[:, others], actions_MA[:, others])


def test_without_what_is_labelled_of_each_class_it_says_so() -> None:
    some, blend = rows(seeded(2)), Blend(covers=True)
    known = candidates(some, blend.view.actions(some, context()), torch.zeros(0, 4))
    with pytest.raises(ValueError, match="how much of each class is labelled"):
        build_strategy("learned", blend).scores(known, seeded(0))
