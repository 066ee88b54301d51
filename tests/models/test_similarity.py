"""KL histograms against scipy in float64, values worked out by hand, and the documented rounding."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import similarity
from models.similarity import BINS, EPSILON, bin_edges, kl_histogram

# Documented: 3e-5 nats where distributions differ most, 8e-6 where they hardly do.
ROUNDING = 3e-5


def distributions(count: int, classes: int, *, seed: int = 0, concentration: float = 0.1) -> Tensor:
    """Peaked and flat distributions, with absent classes, single classes and copies among them."""
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.full(classes, concentration), count)
    drawn[drawn < 1e-3] = 0
    quarter = count // 4
    drawn[:quarter] = np.eye(classes)[rng.integers(classes, size=quarter)]
    drawn[count - quarter :] = drawn[quarter : 2 * quarter]
    return torch.from_numpy(drawn / drawn.sum(1, keepdims=True)).float()


def divergences(p: Tensor, q: Tensor) -> np.ndarray:
    """KL of each row of p to each of q, by scipy in float64, which normalises what is smoothed."""
    smooth_p, smooth_q = p.double().numpy() + EPSILON, q.double().numpy() + EPSILON
    found: np.ndarray = scipy.stats.entropy(smooth_p[:, :, None], smooth_q.T[None], axis=1)
    return found.clip(min=0)


def counted(values: np.ndarray) -> np.ndarray:
    return np.stack([np.histogram(row, bin_edges().numpy())[0] for row in values])


def assert_counts_are_those_of(histograms: Tensor, expected: np.ndarray, rounding: float = ROUNDING) -> None:
    """The number of divergences below every edge lies between those of all divergences rounded up and rounded down."""
    total = expected.shape[1]
    below = (histograms.double().numpy() * total).cumsum(1)
    low, high = counted(expected + rounding).cumsum(1), counted((expected - rounding).clip(min=0)).cumsum(1)
    assert (low - 1e-2 <= below).all()
    assert (below <= high + 1e-2).all()
    exact = counted(expected)
    assert np.abs(histograms.numpy() * total - exact).sum() / 2 <= 1e-3 * exact.sum() + 1


class TestBinEdges:
    def test_there_is_one_every_half_octave_up_to_16_nats(self) -> None:
        edges = bin_edges()
        assert edges.shape == (BINS + 1,)
        assert edges.dtype == torch.float64
        assert edges[0] == 0
        assert edges[-1] == 16
        torch.testing.assert_close(edges[2:] / edges[1:-1], torch.full((BINS - 1,), math.sqrt(2), dtype=torch.float64))
        assert edges[1].item() == pytest.approx(3.4527e-4, rel=1e-4)

    def test_the_largest_possible_divergence_lies_in_the_last_bin(self) -> None:
        largest = math.log((1 + EPSILON) / EPSILON)
        assert bin_edges()[-2] < largest < bin_edges()[-1]


class TestValues:
    @pytest.mark.parametrize("classes", [2, 11, 19])
    def test_they_are_scipy_s_but_for_the_documented_rounding_at_edges(self, classes: int) -> None:
        p, q = distributions(80, classes), distributions(300, classes, seed=1)
        assert_counts_are_those_of(kl_histogram(p, q), divergences(p, q))

    def test_near_duplicates_are_told_from_each_other_to_8e_6_nats(self) -> None:
        p = distributions(60, 19, concentration=5)
        q = p * (1 + 0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
        q = q.clamp_min(0) / q.clamp_min(0).sum(1, keepdim=True)
        near = divergences(p, q)
        assert 0 < np.median(np.diag(near)) < 1e-3
        for i in range(len(p)):
            assert_counts_are_those_of(kl_histogram(p[i : i + 1], q[i : i + 1]), near[i : i + 1, i : i + 1], 8e-6)

    @pytest.mark.parametrize(
        ("p", "q", "lower"),
        [
            ((1.0, 0.0), (0.5, 0.5), 2**-1.0),  # ln 2 = 0.69, in [0.5, 0.71)
            ((1.0, 0.0), (0.0, 1.0), 2**3.5),  # 13.8, in [11.3, 16)
            ((0.5, 0.5), (0.25, 0.75), 2**-3.0),  # ln(2) / 2 + ln(2/3) / 2 = 0.144, in [0.125, 0.177)
            ((0.5, 0.5), (0.5, 0.5), 0.0),
            ((0.0, 1.0), (0.0, 1.0), 0.0),
        ],
    )
    def test_divergences_worked_out_by_hand_fall_into_their_bins(
        self, p: tuple[float, ...], q: tuple[float, ...], lower: float
    ) -> None:
        histogram = kl_histogram(torch.tensor([p]), torch.tensor([q]))[0]
        assert histogram.sum() == 1
        assert bin_edges()[histogram.argmax()].item() == pytest.approx(lower)

    def test_counts_are_shares_of_the_references(self) -> None:
        one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        histogram = kl_histogram(one, torch.cat([one, other, one, one]))
        assert histogram[0, 0] == 0.75
        assert histogram[0, -1] == 0.25

    def test_copies_of_a_region_all_fall_into_the_first_bin(self) -> None:
        p = distributions(200, 19)
        for row in (p[0], p[100], p[150]):
            assert kl_histogram(row[None], row.expand(50, -1))[0, 0] == 1

    @given(st.integers(1, 9), st.integers(1, 40), st.integers(2, 25), st.integers(0, 10**6), st.booleans())
    @settings(max_examples=60, deadline=None)
    def test_every_histogram_is_a_distribution(self, m: int, length: int, classes: int, seed: int, flat: bool) -> None:
        p = distributions(m, classes, seed=seed, concentration=3 if flat else 0.05)
        q = distributions(length, classes, seed=seed + 1)
        histograms = kl_histogram(p, q)
        assert histograms.shape == (m, BINS)
        assert histograms.dtype == torch.float32
        assert (histograms >= 0).all()
        torch.testing.assert_close(histograms.sum(1), torch.ones(m))
        assert_counts_are_those_of(histograms, divergences(p, q))


class TestLeavingSelfOut:
    @pytest.mark.parametrize("tile", [(128, 1024), (3, 5), (5, 3), (1, 1)])
    def test_it_is_the_same_as_taking_the_region_out_of_the_references(
        self, tile: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(similarity._TILE, "cpu", tile)
        p = distributions(23, 11)
        ours = kl_histogram(p, p, leave_self_out=True)
        one_by_one = [kl_histogram(p[i : i + 1], torch.cat([p[:i], p[i + 1 :]])) for i in range(len(p))]
        torch.testing.assert_close(ours, torch.cat(one_by_one), rtol=0, atol=1e-7)

    def test_copies_of_a_region_are_not_left_out(self) -> None:
        p = torch.tensor([[0.3, 0.7], [0.3, 0.7], [1.0, 0.0]])
        histograms = kl_histogram(p, p, leave_self_out=True)
        assert histograms[:, 0].tolist() == [0.5, 0.5, 0]

    def test_a_region_alone_has_nothing_to_be_compared_with(self) -> None:
        one = torch.tensor([[0.3, 0.7]])
        assert torch.equal(kl_histogram(one, one, leave_self_out=True), torch.zeros(1, BINS))

    def test_it_holds_where_products_are_allowed_to_be_coarse(self, monkeypatch: pytest.MonkeyPatch) -> None:
        exact = torch.mm

        def coarse(left: Tensor, right: Tensor, *, out: Tensor) -> Tensor:
            return exact(left.bfloat16().float(), right.bfloat16().float(), out=out)

        monkeypatch.setattr(torch, "mm", coarse)
        p = distributions(50, 19)
        histograms = kl_histogram(p, p, leave_self_out=True)
        assert (histograms >= 0).all()
        torch.testing.assert_close(histograms.sum(1), torch.ones(50))

    def test_it_is_refused_where_regions_differ_in_number(self) -> None:
        with pytest.raises(ValueError, match="same regions on both sides, not 2 and 3"):
            kl_histogram(distributions(2, 4), distributions(3, 4), leave_self_out=True)


class TestEdgesOfTheInterface:
    def test_no_references_give_zeros(self) -> None:
        assert torch.equal(kl_histogram(distributions(5, 4), torch.zeros(0, 4)), torch.zeros(5, BINS))

    @pytest.mark.parametrize("leave_self_out", [False, True])
    def test_no_regions_give_no_rows(self, leave_self_out: bool) -> None:
        none = torch.zeros(0, 4)
        assert kl_histogram(none, none, leave_self_out=leave_self_out).shape == (0, BINS)

    @pytest.mark.parametrize("tile", [(1, 1), (3, 5), (64, 7), (7, 64)])
    def test_how_work_is_cut_into_tiles_changes_nothing(
        self, tile: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        p, q = distributions(20, 11), distributions(33, 11, seed=1)
        whole = kl_histogram(p, q)
        monkeypatch.setitem(similarity._TILE, "cpu", tile)
        assert_counts_are_those_of(kl_histogram(p, q), divergences(p, q))
        torch.testing.assert_close(kl_histogram(p, q), whole, rtol=0, atol=1.1 / 33)

    def test_the_order_of_references_does_not_matter_and_that_of_regions_is_kept(self) -> None:
        p, q = distributions(20, 11), distributions(40, 11, seed=1)
        order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(kl_histogram(p[order], q.flip(0)), kl_histogram(p, q)[order])

    def test_float64_and_rows_that_do_not_lie_together_are_taken(self) -> None:
        p, q = distributions(20, 11), distributions(40, 11, seed=1)
        scattered = torch.cat([p, p], 1)[:, :11]
        torch.testing.assert_close(kl_histogram(scattered, q.double()), kl_histogram(p, q))

    def test_inputs_stay_as_they_are(self) -> None:
        p = distributions(20, 11)
        before = p.clone()
        kl_histogram(p, p, leave_self_out=True)
        assert torch.equal(p, before)

    def test_a_labelled_region_of_nothing_but_void_is_far_from_everything(self) -> None:
        histogram = kl_histogram(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
        assert histogram[0, -1] == 1

    @pytest.mark.parametrize("wrong", [-0.1, math.nan])
    @pytest.mark.parametrize("side", [0, 1])
    def test_what_is_not_a_share_is_refused(self, wrong: float, side: int) -> None:
        sides = [distributions(5, 4), distributions(5, 4)]
        sides[side][2, 1] = wrong
        with pytest.raises(ValueError, match="non-negative numbers"):
            kl_histogram(*sides)

    def test_other_numbers_of_classes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"\(5, 4\) and \(5, 3\) cannot be compared"):
            kl_histogram(distributions(5, 4), distributions(5, 3))
