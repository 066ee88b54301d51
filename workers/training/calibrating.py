"""Finds a head's temperature by cross-validation over the labelled images: heads that have not seen an image judge it."""

from collections.abc import Callable
from functools import partial

import torch

from models.calibration import best_temperature
from models.frozen import FrozenSegmenter
from models.inference import evaluating
from models.refit import RefitSettings, Refitting, refit
from workers.chance import numpy_generator, torch_generator
from workers.training.building import with_fresh_head
from workers.training.refitting import LabelledCells

# A head of a fold takes this share of the steps of a first fit; so many regions of each fold are judged.
SHARE, JUDGED = 4, 48
# It is found anew when so many times as many regions are labelled: it changes slowly, and takes longer than a round.
TIMES = 3


def calibrate(
    segmenter: FrozenSegmenter,
    cells: LabelledCells,
    settings: RefitSettings,
    seed: int,
    *,
    check: Callable[[], None] = lambda: None,
    begun: Callable[[str, Refitting], None] = lambda name, fit: None,
) -> None:
    """Set the temperature, in place, where labels have tripled since it was found last, and enough images have some.

    `check` is called in every step, and may raise; `begun` gets each fit by its name, as that of `refit` does.
    """
    images = cells.images()
    if settings.folds < 2 or len(images) < settings.folds or len(cells) < TIMES * int(segmenter.calibrated_with):
        return
    order = numpy_generator(seed, "folds").permutation(len(images))
    logits, shares = [], []
    for fold in range(settings.folds):
        held_out = {images[n] for n in order[fold :: settings.folds]}
        others = cells.of(key for key in images if key not in held_out)
        judge = with_fresh_head(segmenter, seed)
        steps = max(1, settings.first_steps // SHARE)
        generator = torch_generator(seed, "fold", fold)
        refit(
            judge,
            others.draw,
            others.counts_C,
            settings,
            generator=generator,
            steps=steps,
            on_step=lambda step: check(),
            begun=partial(begun, f"fold {fold}"),
        )
        regions = list(cells.of(held_out).cells())
        with evaluating(judge):
            for seen_Fhw, shares_Chw in regions[:: max(1, len(regions) // JUDGED)]:
                own_hw = shares_Chw.sum(0) > 0
                logits_Chw = judge.cell_logits(seen_Fhw[None].to(judge.classifier.weight.device))[0].cpu()
                logits.append(logits_Chw[:, own_hw].T)
                shares.append(shares_Chw[:, own_hw].T)
    segmenter.temperature.fill_(best_temperature(torch.cat(logits), torch.cat(shares)))
    segmenter.calibrated_with.fill_(len(cells))
