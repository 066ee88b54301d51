"""Owns what the regionwise policy looks at: features of classes and regions that hold for any classes in any order.

Shape suffixes: M candidates, S regions of D_S, R regions of either, C classes, L labelled regions, T features of a class,
G of a region, F of a state row, Z = 14 acquisition scores, U = 192 pooled uncertainties.

eps is EPSILON; s is a region's class mass (mean softmax of each class), h its histogram of predicted classes, u the mean
of s over the round's candidates, l the share of each class among the labelled pixels (zeros while there are none).

The T features of a class c for a candidate: s, h, ln (s + eps) / (u + eps), ln (s + eps) / (l + eps),
ln (u + eps) / (l + eps), log10(1 + labelled pixels of c) / 6; on D_S recall, precision and IoU of c (0 where undefined),
and 1 if c occurs there; s as a z-score over the round's candidates.

The G features of a candidate: mean entropy, entropies of h and of s over ln C, mean of p2 / p1; z-scores over the
round's candidates of the mean entropy, of the entropy of h and of the mean p2 / p1; KL(s || l) smoothed by eps and
clipped to [0, 5] / 5 (0 while nothing is labelled), the share of the budget spent, ln(1 + labelled regions) / 8, and the
share of classes that were never labelled.

After them come the candidate's acquisition scores (models/acquisition.py).

A state row has a mark, then columns of a region, then columns of a class, zeros where they are not its own. A region of
D_S has mark 1 and 4 columns: its mean entropy, the entropies of h and s, the largest of s. A class has mark 0 and 9:
means of s and h over D_S, true share there, l, labelled pixels, recall, precision, IoU, and the budget spent.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.acquisition import OF_UNCERTAINTY, SCORES, acquisition_scores, z_scores
from models.features import UNCERTAINTY, RegionRows
from models.inference import on_one_thread
from models.observation import RoundContext

EPSILON = 1e-3
CLASS_FEATURES = 11
REGION_FEATURES = 11
ACQUISITION = len(SCORES)
OWN_FEATURES = REGION_FEATURES + ACQUISITION
STATE_REGION, STATE_CLASS = 4, 9
STATE_FEATURES = 1 + STATE_REGION + STATE_CLASS
MASS = "class_mass"
RUNNER_UP = "bvsb_mean"

_GRID = UNCERTAINTY // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSettings:
    """Parts that an ablation takes away; what is taken away is zeros, so that shapes stay.

    class_relative: without it a class's features are s, h and which class it is (T = 2 + C): identities, not relations.
    uncertainty: everything that is an entropy. state: all state rows.
    """

    class_relative: bool = True
    uncertainty: bool = True
    state: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionwiseView:
    """Makes state rows, (S + C, F), and action rows, (M, C T + G + Z), of what is known in a round."""

    settings: ViewSettings = field(default_factory=ViewSettings)
    vectors: frozenset[str] = frozenset({MASS})
    statistics: frozenset[str] = frozenset({RUNNER_UP})
    needs_confusion: bool = True
    needs_state: bool = True

    def class_features(self, classes: int) -> int:
        """T: how many features a class has where there are `classes` of them."""
        return CLASS_FEATURES if self.settings.class_relative else 2 + classes

    @on_one_thread()
    def state(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return the state from the rows of D_S, (S + C, F): regions first, in their order, then classes in theirs.

        Raises:
            ValueError: the rows lack the class mass.
        """
        mass_SC = _mass(rows)
        regions, classes = mass_SC.shape
        state_SF = mass_SC.new_zeros(regions + classes, STATE_FEATURES)
        if not self.settings.state:
            return state_SF
        state_SF[:regions, 0] = 1
        state_SF[:regions, 1 : STATE_REGION + 1] = self._regions_of_state(rows)
        facts = _ClassFacts.of(context, mass_SC)
        state_SF[regions:, STATE_REGION + 1 :] = torch.stack(
            [
                *(mass_SC.mean(0), rows.class_part_RC.mean(0), facts.true_share_C),
                *(facts.labelled_share_C, facts.labelled_log_C, facts.recall_C, facts.precision_C, facts.iou_C),
                torch.full_like(facts.iou_C, context.budget_share),
            ],
            1,
        )
        return state_SF

    def actions(self, rows: RegionRows, context: RoundContext) -> Tensor:
        """Return the action rows of all candidates of the round: classes, region, acquisition scores.

        Means and z-scores are over the rows given, which should therefore be the round's candidates and no others.

        Raises:
            ValueError: the rows lack the class mass or the mean p2 / p1.
        """
        mass_MC = _mass(rows)
        with on_one_thread():
            facts = _ClassFacts.of(context, mass_MC)
            classes_MCT = self._of_classes(rows, facts)
            regions_MG = self._of_regions(rows, facts, context)
            scores_MZ = self._scores(rows, facts)
        return torch.cat([classes_MCT.flatten(1), regions_MG, scores_MZ], 1)

    def _scores(self, rows: RegionRows, facts: "_ClassFacts") -> Tensor:
        scores_MZ = acquisition_scores(
            rows,
            entropy_M=mean_entropy(rows),
            runner_up_M=_runner_up(rows),
            novelty_M=novelty(_mass(rows), facts.labelled_share_C),
            mass_MC=_mass(rows),
            labelled_share_C=facts.labelled_share_C,
            recall_C=facts.recall_C,
            precision_C=facts.precision_C,
        )
        if not self.settings.uncertainty:
            scores_MZ[:, OF_UNCERTAINTY] = 0
        return scores_MZ

    def _of_classes(self, rows: RegionRows, facts: "_ClassFacts") -> Tensor:
        mass_MC, share_C = _mass(rows), facts.labelled_share_C
        if not self.settings.class_relative:
            which_MCC = torch.eye(mass_MC.shape[1], device=mass_MC.device).expand(len(rows), -1, -1)
            return torch.cat([torch.stack([mass_MC, rows.class_part_RC], 2), which_MCC], 2)
        mean_C = mass_MC.mean(0)
        of_a_class = [
            *(_log_ratio(mean_C, share_C), facts.labelled_log_C),
            *(facts.recall_C, facts.precision_C, facts.iou_C, facts.occurs_C),
        ]
        features = [
            *(mass_MC, rows.class_part_RC, _log_ratio(mass_MC, mean_C), _log_ratio(mass_MC, share_C)),
            *(values_C.expand_as(mass_MC) for values_C in of_a_class),
            z_scores(mass_MC, EPSILON),
        ]
        return torch.stack(features, 2)

    def _of_regions(self, rows: RegionRows, facts: "_ClassFacts", context: RoundContext) -> Tensor:
        mass_MC = _mass(rows)
        entropies = [mean_entropy(rows), _class_entropy(rows.class_part_RC), _class_entropy(mass_MC)]
        entropies += [_runner_up(rows)]
        entropies += [z_scores(entropies[place], EPSILON) for place in (0, 1, 3)]
        if not self.settings.uncertainty:
            entropies = [torch.zeros_like(values_M) for values_M in entropies]
        of_the_round = (context.budget_share, math.log1p(len(context.labelled_LC)) / 8, facts.never_labelled)
        return torch.stack(
            [
                *entropies,
                novelty(mass_MC, facts.labelled_share_C),
                *(torch.full_like(entropies[0], value) for value in of_the_round),
            ],
            1,
        )

    def _regions_of_state(self, rows: RegionRows) -> Tensor:
        mass_SC = _mass(rows)
        entropies = [mean_entropy(rows), _class_entropy(rows.class_part_RC), _class_entropy(mass_SC)]
        if not self.settings.uncertainty:
            entropies = [torch.zeros_like(values_S) for values_S in entropies]
        return torch.stack([*entropies, mass_SC.amax(1)], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClassFacts:
    """What a round knows of each class, whatever the region; zeros where it knows nothing."""

    labelled_share_C: Tensor
    labelled_log_C: Tensor
    true_share_C: Tensor
    occurs_C: Tensor
    recall_C: Tensor
    precision_C: Tensor
    iou_C: Tensor
    never_labelled: float

    @staticmethod
    def of(context: RoundContext, like_RC: Tensor) -> "_ClassFacts":
        nothing_C = like_RC.new_zeros(like_RC.shape[1])
        truth_SC, confusion_CC = context.state_truth_SC, context.state_confusion_CC
        # Counted in float64: float32 cannot tell pixels apart beyond 16 million.
        labelled_C = _float64(context.labelled_counts_C, nothing_C)
        true_C = nothing_C.double() if truth_SC is None else _float64(truth_SC, nothing_C).sum(0)
        confusion_CC = torch.diag(nothing_C).double() if confusion_CC is None else _float64(confusion_CC, nothing_C)
        hits_C, truths_C, predicted_C = confusion_CC.diagonal(), confusion_CC.sum(1), confusion_CC.sum(0)
        return _ClassFacts(
            labelled_share_C=shares_of(context.labelled_counts_C, nothing_C),
            labelled_log_C=(torch.log10(1 + labelled_C) / 6).to(nothing_C),
            true_share_C=_share(true_C, true_C.sum()),
            occurs_C=(true_C > 0).to(nothing_C),
            recall_C=_share(hits_C, truths_C),
            precision_C=_share(hits_C, predicted_C),
            iou_C=_share(hits_C, truths_C + predicted_C - hits_C),
            never_labelled=float((labelled_C == 0).double().mean()),
        )


def _mass(rows: RegionRows) -> Tensor:
    if MASS not in rows.vectors:
        raise ValueError(f"The regionwise view needs {MASS!r} of each region: ask `describe` for that vector.")
    return rows.vectors[MASS]


def _runner_up(rows: RegionRows) -> Tensor:
    if RUNNER_UP not in rows.statistics:
        raise ValueError(
            f"The regionwise view needs {RUNNER_UP!r} of each candidate: ask `describe` for that statistic."
        )
    return rows.statistics[RUNNER_UP]


def _float64(counts: Tensor | None, like_C: Tensor) -> Tensor:
    return (like_C if counts is None else counts.to(like_C.device)).double()


def shares_of(counts_C: Tensor, like: Tensor) -> Tensor:
    """Return what share each class has of the counts, on the device of `like`, float32; zeros while nothing is counted."""
    counted_C = counts_C.to(like.device).double()
    return _share(counted_C, counted_C.sum())


def _share(part_C: Tensor, whole: Tensor) -> Tensor:
    """Divide counts, to float32; 0 where there is nothing to divide by."""
    return torch.where(whole > 0, part_C / whole.clamp(min=1e-12), 0.0).float()


def _log_ratio(above: Tensor, below: Tensor) -> Tensor:
    return torch.log((above + EPSILON) / (below + EPSILON))


def mean_entropy(rows: RegionRows) -> Tensor:
    """Return the mean of the grid's mean entropies, (R,). Its extremes depend on how finely a region is looked at."""
    return rows.uncertainty_RU[:, _GRID : 2 * _GRID].mean(1)


def _class_entropy(shares_RC: Tensor) -> Tensor:
    entropy_R: Tensor = torch.special.entr(shares_RC).sum(1)
    return entropy_R / math.log(shares_RC.shape[1])


def novelty(mass_MC: Tensor, share_C: Tensor) -> Tensor:
    """KL(s || l), both smoothed alike, clipped to [0, 5] and divided by 5; 0 while nothing is labelled."""
    smoothing = 1 + EPSILON * len(share_C)
    divergence_M = ((mass_MC + EPSILON) / smoothing * _log_ratio(mass_MC, share_C)).sum(1)
    return torch.where(share_C.sum() > 0, divergence_M.clamp(0, 5) / 5, 0.0)
