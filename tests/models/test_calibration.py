"""The temperature that makes probabilities honest, and the measure of how honest they are."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from models.calibration import best_temperature, expected_calibration_error


def overconfident(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are `scale` times those that labels were drawn by."""
    generator = torch.Generator().manual_seed(0)
    honest_NC = 1.5 * torch.randn(4000, 4, generator=generator)
    drawn_N = torch.multinomial(honest_NC.softmax(1), 1, generator=generator)[:, 0]
    return scale * honest_NC, torch.nn.functional.one_hot(drawn_N, 4).float()


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_logits_were_multiplied_by_as_scipy_finds_too(scale: float) -> None:
    logits_NC, shares_NC = overconfident(scale)
    found = best_temperature(logits_NC, shares_NC)

    def nats(log_temperature: float) -> float:
        return -float((shares_NC.numpy() * log_softmax(logits_NC.numpy() / math.exp(log_temperature), axis=1)).sum())

    least = minimize_scalar(nats, bounds=(math.log(0.25), math.log(8)), method="bounded", options={"xatol": 1e-9})
    assert found == pytest.approx(math.exp(least.x), rel=1e-3)
    assert found == pytest.approx(scale, rel=0.08)


def test_unlabelled_shares_do_not_count_and_without_a_label_nothing_changes() -> None:
    logits_NC, shares_NC = overconfident(2.0)
    void_NC = torch.cat([shares_NC, torch.zeros(500, 4)])
    noise_NC = 50 * torch.randn(500, 4, generator=torch.Generator().manual_seed(1))
    assert best_temperature(torch.cat([logits_NC, noise_NC]), void_NC) == best_temperature(logits_NC, shares_NC)
    assert best_temperature(logits_NC, torch.zeros_like(shares_NC)) == 1.0


def test_it_stays_between_a_quarter_and_eight() -> None:
    certain_NC = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    right = torch.eye(2)
    assert best_temperature(certain_NC, right) == pytest.approx(0.25, rel=1e-3)
    assert best_temperature(certain_NC, right.flip(0)) == pytest.approx(8.0, rel=1e-3)


def test_the_calibration_error_by_hand() -> None:
    logits_NC = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]]).log()
    truth_N = torch.tensor([0, 1, 0, 0])
    # Confident by 0.9 and right once of two; by 0.6 and right twice of two.
    assert expected_calibration_error(logits_NC, truth_N) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert np.isclose(expected_calibration_error(logits_NC, truth_N, bins=1), abs(0.75 - 0.75))
