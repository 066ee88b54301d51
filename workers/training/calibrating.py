"""Finds a head's temperature by cross-validation over the labelled images."""

from collections.abc import Iterable

import torch

from models.calibration import best_temperature
from models.frozen import FrozenSegmenter
from models.inference import evaluating
from models.refit import RefitSettings
from workers.training.judging import Judge
from workers.training.refitting import LabelledCells

# It is found anew when so many times as many regions are labelled: it changes slowly, and takes longer than a round.
TIMES = 3


def is_due(segmenter: FrozenSegmenter, cells: LabelledCells, settings: RefitSettings) -> bool:
    """Whether labels have tripled since the temperature was found last, and enough images have some."""
    enough = len(cells.images()) >= settings.folds >= 2
    return enough and len(cells) >= TIMES * int(segmenter.calibrated_with)


def calibrate(segmenter: FrozenSegmenter, cells: LabelledCells, judges: Iterable[Judge]) -> None:
    """Set the temperature, in place, to what suits heads on the images that they have not seen."""
    logits, shares = [], []
    for judge in judges:
        with evaluating(judge.head):
            for part in judge.parts():
                shares_Chw = judge.unseen.shares_of(part)
                own_hw = shares_Chw.sum(0) > 0
                logits_Chw = judge.logits_around(part, 0)[0].cpu()
                logits.append(logits_Chw[:, own_hw].T)
                shares.append(shares_Chw[:, own_hw].T)
    segmenter.temperature.fill_(best_temperature(torch.cat(logits), torch.cat(shares)))
    segmenter.calibrated_with.fill_(len(cells))
