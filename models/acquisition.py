"""Owns acquisition scores: what the literature and we ourselves would ask for, in numbers that a policy can weigh.

Shape suffixes: M candidates, C classes, Z = 14 scores.

e is a candidate's mean entropy; h its histogram of predicted classes; s its class mass; l the share of each class among
the labelled pixels; s-bar the mean of s over the candidates; H an entropy, sums are over classes.
"""

import math

import torch
from torch import Tensor

from models.features import RegionRows

SCORES: tuple[str, ...] = (
    "entropy",  # e
    "histogram entropy",  # H(h)
    "mass entropy",  # H(s)
    "runner-up",  # mean of p2 / p1
    "class-balanced",
    "impurity",
    "novelty",  # KL(s || l)
    "rare among labels",  # sum s / (l + 0.01)
    "rare among candidates",  # sum s / (s-bar + 0.002)
    "misses",  # sum s (1 - recall)
    "rare misses",  # sum s (1 - recall) / (l + 0.01)
    "dominance",  # largest h
    "mass dominance",  # largest s
    "false alarms",  # sum s (1 - precision) / (l + 0.01)
)
# Those that are about how sure f is of a pixel or a region.
OF_UNCERTAINTY = tuple(SCORES.index(name) for name in ("entropy", "histogram entropy", "mass entropy", "runner-up"))
OF_UNCERTAINTY += tuple(SCORES.index(name) for name in ("class-balanced", "impurity"))
FARTHEST = 4.0
_LABELLED, _CANDIDATES = 0.01, 0.002
_ROUNDING = 1e-4  # of a score's largest value: candidates that differ by less are alike


def class_balanced(runner_up_M: Tensor, histogram_MC: Tensor) -> Tensor:
    """Return minmax(p2 / p1) * exp(-share of candidates with the same dominant predicted class) (Cai et al. 2021)."""
    spread = runner_up_M.amax() - runner_up_M.amin()
    scaled_M = (runner_up_M - runner_up_M.amin()) / spread if bool(spread > 0) else torch.ones_like(runner_up_M)
    dominant_M = histogram_MC.argmax(1)
    shares_C = torch.bincount(dominant_M, minlength=histogram_MC.shape[1]) / len(histogram_MC)
    return scaled_M * torch.exp(-shares_C[dominant_M])


def impurity(histogram_MC: Tensor, entropy_M: Tensor) -> Tensor:
    """Return entropy of the predicted classes' histogram times mean pixel entropy, both over ln C (RIPU, 2022)."""
    return -torch.xlogy(histogram_MC, histogram_MC).sum(1) / math.log(histogram_MC.shape[1]) * entropy_M


def acquisition_scores(
    rows: RegionRows,
    *,
    entropy_M: Tensor,
    runner_up_M: Tensor,
    novelty_M: Tensor,
    mass_MC: Tensor,
    labelled_share_C: Tensor,
    recall_C: Tensor,
    precision_C: Tensor,
) -> Tensor:
    """Return SCORES of all candidates of a round, (M, 14), as z-scores over them, at most FARTHEST from 0."""
    histogram_MC = rows.class_part_RC
    dearth_C = _dearth(labelled_share_C)
    return _scored(
        torch.stack(
            [
                *(entropy_M, _entropy(histogram_MC), _entropy(mass_MC), runner_up_M),
                *(class_balanced(runner_up_M, histogram_MC), impurity(histogram_MC, entropy_M), novelty_M),
                *(mass_MC @ dearth_C, mass_MC @ (1 / (mass_MC.mean(0) + _CANDIDATES))),
                *(mass_MC @ (1 - recall_C), mass_MC @ ((1 - recall_C) * dearth_C)),
                *(histogram_MC.amax(1), mass_MC.amax(1), mass_MC @ ((1 - precision_C) * dearth_C)),
            ],
            1,
        )
    )


def rare_among_labels(mass_MC: Tensor, labelled_share_C: Tensor) -> Tensor:
    """Return the one of SCORES that has this name alone, (M,): of labels of other shares, it may be."""
    return _scored(mass_MC @ _dearth(labelled_share_C))


def _dearth(labelled_share_C: Tensor) -> Tensor:
    return 1 / (labelled_share_C + _LABELLED)


def _scored(values: Tensor) -> Tensor:
    return z_scores(values, _ROUNDING * values.abs().amax(0) + 1e-9).clamp(-FARTHEST, FARTHEST)


def z_scores(values: Tensor, least: float | Tensor) -> Tensor:
    """How many standard deviations, `least` added, each is from the mean over the first dimension."""
    return (values - values.mean(0)) / (values.std(0, correction=0) + least)


def _entropy(shares_MC: Tensor) -> Tensor:
    entropy_M: Tensor = torch.special.entr(shares_MC).sum(1)
    return entropy_M
