"""What the regionwise policy looks at, worked out by hand for two classes, and the same whatever classes are called."""

import dataclasses
from math import log, log10

import numpy as np
import pytest
import torch

from models.acquisition import OF_UNCERTAINTY, SCORES, acquisition_scores
from models.features import RegionRows
from models.observation import RoundContext
from models.regionwise_view import (
    ACQUISITION,
    CLASS_FEATURES,
    OWN_FEATURES,
    REGION_FEATURES,
    STATE_FEATURES,
    RegionwiseView,
    ViewSettings,
)
from tests.models.rounds_in_numbers import reordered_context, reordered_rows, some_context, some_rows

H75 = -(0.75 * log(0.75) + 0.25 * log(0.25)) / log(2)


def of_two_regions() -> RegionRows:
    """Mean entropies 0.2 and 0.4 in equal parts, and 0.5 throughout."""
    minima = torch.tensor([[0.1], [0.2]]).expand(2, 64)
    means = torch.cat([torch.tensor([[0.2], [0.5]]).expand(2, 32), torch.tensor([[0.4], [0.5]]).expand(2, 32)], 1)
    maxima = torch.tensor([[0.6], [0.9]]).expand(2, 64)
    return RegionRows(
        class_part_RC=torch.tensor([[1.0, 0.0], [0.5, 0.5]]),
        uncertainty_RU=torch.cat([minima, means, maxima], 1),
        statistics={"bvsb_mean": torch.tensor([0.4, 0.8])},
        vectors={"class_mass": torch.tensor([[0.75, 0.25], [0.25, 0.75]])},
    )


def of_two_classes() -> RoundContext:
    """99 pixels of the first class are labelled, in 3 regions; on D_S 3 of its 4 are found, none of the other's 2."""
    return RoundContext(
        labelled_LC=torch.tensor([[1.0, 0.0]] * 3),
        labelled_counts_C=torch.tensor([99, 0]),
        budget_share=0.25,
        state_truth_SC=torch.tensor([[4, 0], [0, 2]]),
        state_confusion_CC=torch.tensor([[3, 1], [2, 0]]),
    )


def parts(actions_MA: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class features (M, C, T), region features and acquisition scores."""
    classes_MX, regions_MG, scores_MZ = torch.split(
        actions_MA, [actions_MA.shape[1] - OWN_FEATURES, REGION_FEATURES, ACQUISITION], 1
    )
    return classes_MX.unflatten(1, (classes, -1)), regions_MG, scores_MZ


def nothing_known() -> RoundContext:
    return RoundContext(labelled_LC=torch.zeros(0, 2), labelled_counts_C=torch.zeros(2, dtype=torch.int64))


class TestActions:
    def test_the_features_of_each_class(self) -> None:
        classes_MCT, _, _ = parts(RegionwiseView().actions(of_two_regions(), of_two_classes()), 2)
        of_first = [log(0.501 / 1.001), log10(100) / 6, 3 / 4, 3 / 5, 3 / 6, 1.0]
        of_second = [log(0.501 / 0.001), 0.0, 0.0, 0.0, 0.0, 1.0]
        z = 0.25 / 0.251  # both classes: mean 0.5, standard deviation 0.25
        expected = [
            [
                [0.75, 1.0, log(0.751 / 0.501), log(0.751 / 1.001), *of_first, z],
                [0.25, 0.0, log(0.251 / 0.501), log(0.251 / 0.001), *of_second, -z],
            ],
            [
                [0.25, 0.5, log(0.251 / 0.501), log(0.251 / 1.001), *of_first, -z],
                [0.75, 0.5, log(0.751 / 0.501), log(0.751 / 0.001), *of_second, z],
            ],
        ]
        np.testing.assert_allclose(classes_MCT, expected, rtol=1e-5)

    def test_the_features_of_each_region(self) -> None:
        _, regions_MG, _ = parts(RegionwiseView().actions(of_two_regions(), of_two_classes()), 2)
        first_kl = (0.751 * log(0.751 / 1.001) + 0.251 * log(0.251 / 0.001)) / 1.002
        second_kl = (0.251 * log(0.251 / 1.001) + 0.751 * log(0.751 / 0.001)) / 1.002
        of_the_round = [0.25, log(4) / 8, 0.5]
        expected = [
            # z-scores: mean entropies 0.3 and 0.5, entropies of h 0 and 1, means of p2 / p1 0.4 and 0.8
            [0.3, 0.0, H75, 0.4, -0.1 / 0.101, -0.5 / 0.501, -0.2 / 0.201, first_kl / 5, *of_the_round],
            [0.5, 1.0, H75, 0.8, 0.1 / 0.101, 0.5 / 0.501, 0.2 / 0.201, second_kl / 5, *of_the_round],
        ]
        np.testing.assert_allclose(regions_MG, expected, rtol=1e-5, atol=1e-6)

    def test_novelty_is_at_most_one(self) -> None:
        rows = of_two_regions()
        rows.vectors["class_mass"][:] = torch.tensor([0.0, 1.0])  # KL 6.9 to what is labelled
        assert parts(RegionwiseView().actions(rows, of_two_classes()), 2)[1][:, 7].tolist() == [1.0, 1.0]

    def test_the_acquisition_scores_are_of_what_is_known_of_regions_and_classes(self) -> None:
        generator = torch.Generator().manual_seed(0)
        rows, context = some_rows(6, 4, generator), some_context(4, generator)
        confusion_CC = context.state_confusion_CC
        assert confusion_CC is not None
        mass, confusion = rows.vectors["class_mass"].double().numpy(), confusion_CC.numpy()
        share = (context.labelled_counts_C / context.labelled_counts_C.sum()).double().numpy()
        smoothed, of_labels = (mass + 0.001) / 1.004, (share + 0.001) / 1.004
        divergence = (smoothed * np.log(smoothed / of_labels)).sum(1)
        hits, predicted = confusion.diagonal(), confusion.sum(0)
        expected = acquisition_scores(
            rows,
            entropy_M=rows.uncertainty_RU[:, 64:128].mean(1),
            runner_up_M=rows.statistics["bvsb_mean"],
            novelty_M=torch.tensor(np.clip(divergence, 0, 5) / 5).float(),
            mass_MC=rows.vectors["class_mass"],
            labelled_share_C=torch.tensor(share).float(),
            recall_C=torch.tensor(hits / confusion.sum(1)).float(),
            precision_C=torch.tensor([hits[c] / predicted[c] if predicted[c] else 0.0 for c in range(4)]).float(),
        )
        _, _, scores_MZ = parts(RegionwiseView().actions(rows, context), 4)
        torch.testing.assert_close(scores_MZ, expected, rtol=1e-4, atol=1e-4)

    def test_at_the_start_nothing_is_known_of_any_class(self) -> None:
        actions_MA = RegionwiseView().actions(of_two_regions(), nothing_known())
        classes_MCT, regions_MG, scores_MZ = parts(actions_MA, 2)
        above_nothing = [log(0.751 / 0.001), log(0.501 / 0.001)]
        np.testing.assert_allclose(classes_MCT[0, 0, [3, 4]], above_nothing, rtol=1e-5)
        assert not classes_MCT[:, :, 5:10].any()
        assert regions_MG[:, 7:].tolist() == [[0.0, 0.0, 0.0, 1.0]] * 2
        of_classes = ("novelty", "rare among labels", "misses", "rare misses", "false alarms")
        assert scores_MZ[:, [SCORES.index(name) for name in of_classes]].abs().max() < 1e-2

    def test_a_single_candidate_is_no_outlier(self) -> None:
        classes_MCT, regions_MG, scores_MZ = parts(RegionwiseView().actions(of_two_regions()[:1], of_two_classes()), 2)
        assert not classes_MCT[..., [2, -1]].any()
        assert not regions_MG[:, 4:7].any()
        assert not scores_MZ.any()

    def test_other_numbers_for_the_classes_only_reorder_the_features_of_classes(self) -> None:
        generator, order_C = torch.Generator().manual_seed(1), torch.tensor([3, 0, 4, 1, 2])
        rows, context = some_rows(8, 5, generator), some_context(5, generator)
        classes_MCT, regions_MG, scores_MZ = parts(RegionwiseView().actions(rows, context), 5)
        others = parts(RegionwiseView().actions(reordered_rows(rows, order_C), reordered_context(context, order_C)), 5)
        for expected, other in zip((classes_MCT[:, order_C], regions_MG, scores_MZ), others, strict=True):
            torch.testing.assert_close(other, expected)

    def test_features_are_finite_and_of_the_width_told_for_any_number_of_classes(self) -> None:
        generator = torch.Generator().manual_seed(2)
        for classes in (2, 11, 19):
            actions_MA = RegionwiseView().actions(some_rows(9, classes, generator), some_context(classes, generator))
            assert actions_MA.shape == (9, classes * CLASS_FEATURES + OWN_FEATURES) == (9, classes * 11 + 25)
            assert RegionwiseView().class_features(classes) == CLASS_FEATURES == 11
            assert actions_MA.isfinite().all()
            assert actions_MA.abs().max() < 10


class TestState:
    def test_regions_of_the_state_set_then_classes(self) -> None:
        state_SF = RegionwiseView().state(of_two_regions(), of_two_classes())
        none_of_a_region, none_of_a_class = [0.0] * 4, [0.0] * 9
        expected = [
            [1.0, 0.3, 0.0, H75, 0.75, *none_of_a_class],
            [1.0, 0.5, 1.0, H75, 0.75, *none_of_a_class],
            [0.0, *none_of_a_region, 0.5, 0.75, 4 / 6, 1.0, 2 / 6, 3 / 4, 3 / 5, 3 / 6, 0.25],
            [0.0, *none_of_a_region, 0.5, 0.25, 2 / 6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25],
        ]
        np.testing.assert_allclose(state_SF, expected, rtol=1e-5, atol=1e-6)

    def test_at_the_start_nothing_is_known_of_any_class(self) -> None:
        state_SF = RegionwiseView().state(of_two_regions(), nothing_known())
        assert state_SF[2:, 5:].tolist() == [[0.5, 0.75, *[0.0] * 7], [0.5, 0.25, *[0.0] * 7]]

    def test_other_numbers_for_the_classes_only_reorder_the_rows_of_classes(self) -> None:
        generator, order_C = torch.Generator().manual_seed(1), torch.tensor([3, 0, 4, 1, 2])
        rows, context = some_rows(8, 5, generator), some_context(5, generator)
        state_SF = RegionwiseView().state(rows, context)
        other_SF = RegionwiseView().state(reordered_rows(rows, order_C), reordered_context(context, order_C))
        torch.testing.assert_close(other_SF, torch.cat([state_SF[:8], state_SF[8:][order_C]]))


class TestWhatAnAblationTakesAway:
    def view(self, **chosen: bool) -> RegionwiseView:
        return RegionwiseView(settings=ViewSettings(**chosen))

    def test_class_relations_leave_mass_histogram_and_which_class_it_is(self) -> None:
        view = self.view(class_relative=False)
        classes_MCT, *others = parts(view.actions(of_two_regions(), of_two_classes()), 2)
        _, *whole = parts(RegionwiseView().actions(of_two_regions(), of_two_classes()), 2)
        expected = [
            [[0.75, 1.0, 1.0, 0.0], [0.25, 0.0, 0.0, 1.0]],
            [[0.25, 0.5, 1.0, 0.0], [0.75, 0.5, 0.0, 1.0]],
        ]
        assert torch.equal(classes_MCT, torch.tensor(expected))
        for part, of_the_whole in zip(others, whole, strict=True):
            assert torch.equal(part, of_the_whole)
        assert view.class_features(2) == 4

    def test_entropies_are_zeros_and_all_else_stays(self) -> None:
        whole = RegionwiseView().actions(of_two_regions(), of_two_classes())
        columns = [*range(22, 22 + 7), *(33 + n for n in OF_UNCERTAINTY)]
        assert whole[:, columns].any()
        whole[:, columns] = 0
        assert torch.equal(self.view(uncertainty=False).actions(of_two_regions(), of_two_classes()), whole)

    def test_entropies_leave_the_state_too(self) -> None:
        whole = RegionwiseView().state(of_two_regions(), of_two_classes())
        whole[:2, 1:4] = 0
        assert torch.equal(self.view(uncertainty=False).state(of_two_regions(), of_two_classes()), whole)

    def test_the_state_is_zeros(self) -> None:
        state_SF = self.view(state=False).state(of_two_regions(), of_two_classes())
        assert state_SF.shape == (4, STATE_FEATURES)
        assert not state_SF.any()


def test_it_asks_for_what_it_needs_and_says_so_where_it_lacks() -> None:
    view, rows = RegionwiseView(), of_two_regions()
    assert view.vectors == {"class_mass"}
    assert view.statistics == {"bvsb_mean"}
    assert view.needs_confusion
    for look in (view.actions, view.state):
        with pytest.raises(ValueError, match="needs 'class_mass' of each region"):
            look(dataclasses.replace(rows, vectors={}), of_two_classes())
    with pytest.raises(ValueError, match="needs 'bvsb_mean' of each candidate"):
        view.actions(dataclasses.replace(rows, statistics={}), of_two_classes())
    assert len(view.state(dataclasses.replace(rows, statistics={}), of_two_classes())) == 4
