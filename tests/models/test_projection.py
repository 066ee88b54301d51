"""The projection against numpy's singular values, and resampling worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from models.projection import COMPONENTS, Projection, fit_projection, resampled
from tests.models.eyes import seeded


def cells(height: int, width: int) -> tuple[slice, slice]:
    """All of so many rows and columns."""
    return slice(0, height), slice(0, width)


def some_samples(count: int = 4000, channels: int = 12) -> Tensor:
    """Channels that go together, of different means and sizes."""
    mixed = torch.randn(count, channels, generator=seeded(1)) @ torch.randn(channels, channels, generator=seeded(2))
    return mixed * torch.linspace(0.1, 30, channels) + torch.linspace(-50, 50, channels)


def projected(projection: Projection, samples_XE: Tensor) -> np.ndarray:
    """(X, F)."""
    return np.asarray(projection(samples_XE.T[None, :, None, :])[0, :, 0].T.double().numpy())


def test_mean_and_deviation_are_those_of_the_samples() -> None:
    samples = some_samples()
    projection = fit_projection(samples, 5, seeded())
    np.testing.assert_allclose(projection.mean_E, samples.double().numpy().mean(0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(projection.deviation_E, samples.double().numpy().std(0, ddof=1) + 1e-3, rtol=1e-4)


def test_the_components_span_the_main_directions_turned_and_scaled_alike() -> None:
    samples, kept = some_samples(), 5
    data = samples.double().numpy()
    standard = (data - data.mean(0)) / (data.std(0, ddof=1) + 1e-3)
    _, singular, directions = np.linalg.svd(standard, full_matrices=False)
    scale = math.sqrt((singular[:kept] ** 2).mean() / len(data))
    components = fit_projection(samples, kept, seeded()).components_EF.double().numpy()
    # Up to a rotation: components @ components.T is what all rotations share.
    expected = directions[:kept].T @ directions[:kept] / scale**2
    np.testing.assert_allclose(components @ components.T, expected, atol=2e-3 * np.abs(expected).max())
    np.testing.assert_allclose(components.T @ components, np.eye(kept) / scale**2, atol=1e-4 / scale**2)


def test_features_are_centred_of_one_size_on_the_mean_and_fit_half_precision() -> None:
    samples = some_samples()
    projection = fit_projection(samples, 8, seeded())
    features = projected(projection, samples)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    assert features.var(0).mean() == pytest.approx(1, abs=0.01)
    half = torch.from_numpy(features).half()
    assert float(half.float().std()) == pytest.approx(1, abs=0.01)
    assert float((half.double() - torch.from_numpy(features)).abs().max()) < 0.01


def test_all_channels_are_kept_where_there_are_no_more_than_components() -> None:
    samples = some_samples(channels=6)
    projection = fit_projection(samples, COMPONENTS, seeded())
    assert projection.components_EF.shape == (6, 6)
    # Nothing is lost: distances of standardised samples are kept, up to the one scale.
    standard = (samples - projection.mean_E) / projection.deviation_E
    ratios = np.linalg.norm(projected(projection, samples), axis=1) / standard.double().norm(dim=1).numpy()
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)


def test_a_channel_that_never_changes_is_not_blown_up() -> None:
    samples = some_samples()
    samples[:, 3] = 7.0
    assert np.abs(projected(fit_projection(samples, 12, seeded()), samples)).max() < 20


def test_the_turn_is_drawn_from_the_generator() -> None:
    first, same, other = (fit_projection(some_samples(), 5, seeded(seed)).components_EF for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.allclose(first, other, atol=1e-2)


def test_fewer_than_two_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two cells"):
        fit_projection(some_samples()[:1], 5, seeded())


def test_finer_levels_are_averaged_and_coarser_ones_interpolated_between_centres() -> None:
    fine = torch.tensor([[1.0, 3.0, 5.0, 7.0], [1.0, 3.0, 5.0, 7.0]])[None, None]  # of stride 2
    same = torch.tensor([[10.0, 20.0]])[None, None]  # of stride 4
    coarse = torch.tensor([[0.0, 8.0]])[None, None]  # of stride 8, centres at 4 and 12 pixels
    levels = resampled([fine, same, coarse], [2, 4, 8], 4, cells(1, 2))
    assert levels.shape == (1, 3, 1, 2)
    # Cells of stride 4 have their centres at 2 and 6: before the first coarse centre, and a quarter of the way on.
    assert levels[0, :, 0].tolist() == [[2, 6], [10, 20], [0, 2]]


def test_levels_at_strides_that_do_not_divide_are_interpolated() -> None:
    level = torch.tensor([[0.0, 3.0, 6.0]])[None, None]  # of stride 8 / 3: one value a pixel and a half more
    # Averaged by threes: nothing is left between. By strides of 2 * 8 / 3 there is no whole number, centres at 4 / 3, 4, ...
    assert resampled([level], [8 / 3], 8, cells(1, 1)).item() == 3
    # Of stride 4 in steps of 8 / 3: centres at 2 and 6 pixels, that is at 0.25 and 1.75 of the values.
    torch.testing.assert_close(resampled([level], [8 / 3], 4, cells(1, 2))[0, 0, 0], torch.tensor([0.75, 5.25]))


def test_what_reaches_beyond_the_size_is_cut_and_what_lacks_is_the_last() -> None:
    level = torch.tensor([[1.0, 2.0, 3.0]])[None, None]
    assert resampled([level], [8], 8, cells(1, 2)).flatten().tolist() == [1, 2]
    assert resampled([level], [8], 8, cells(2, 4)).flatten().tolist() == [1, 2, 3, 3] * 2
    assert resampled([level], [8], 8, (slice(0, 2), slice(1, 3))).flatten().tolist() == [2, 3] * 2


@pytest.mark.parametrize("raises", [True, False])
def test_where_single_precision_fails_double_does_not(monkeypatch: pytest.MonkeyPatch, raises: bool) -> None:
    expected = fit_projection(some_samples(), 5, seeded()).components_EF
    in_double = torch.linalg.eigh

    def failing(matrix: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = in_double(matrix)
        if matrix.dtype == torch.float64:
            return values, vectors
        if raises:
            raise RuntimeError("linalg.eigh: The algorithm failed to converge")
        return values, vectors * torch.nan

    monkeypatch.setattr(torch.linalg, "eigh", failing)
    found = fit_projection(some_samples(), 5, seeded()).components_EF
    assert found.dtype == torch.float32
    # Axes may be turned round: the same up to signs before they are mixed, so their span is compared.
    torch.testing.assert_close(found @ found.T, expected @ expected.T, rtol=1e-3, atol=1e-4)
