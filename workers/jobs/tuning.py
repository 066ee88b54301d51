"""Goes on from a fitted head with the encoder unfrozen: the whole network trained at a low rate, in slices of a job."""

from collections.abc import Sequence

import torch

from models.fit import FitState, TrainSettings
from models.frozen import FrozenSegmenter
from models.head import balancing_weights
from models.segmenter import Segmenter, build
from models.tuned import take_over, tuned_name
from service.domain.metrics import class_counts
from service.schemas.jobs import FinishPayload
from workers.datasets.base import ImageSource, Joined
from workers.jobs.delivery import JobRun
from workers.jobs.project import ProjectData, ProjectImages, labelled_part
from workers.loop.labelled import LabelledSet, LabelledView, example_of
from workers.loop.round import LoopSettings
from workers.training.convergence import ConvergeSettings, Material
from workers.training.encoders import pretrained_encoder
from workers.training.resumable import converge_resumably

BATCH, RATE = 8, 2e-4


def fine_tuned(
    run: JobRun,
    project: ProjectData,
    head: FrozenSegmenter,
    images: ProjectImages,
    labelled: LabelledSet,
    payload: FinishPayload,
    span: tuple[float, float],
) -> Segmenter:
    """The network trained as a whole from where the head is, on crops, at a low rate."""
    reward, known = labelled_part(project.images("reward")), project.known()
    view = LabelledView(images, labelled)
    material = whole_material(view, labelled, known, project.loop)
    settings = ConvergeSettings(train=tuning_training(project, labelled, known), steps=payload.tuning_steps)
    tuned = unfrozen(head)

    def keep_going(fit: FitState) -> bool:
        best = "" if fit.best_score is None else f", best mIoU {fit.best_score:.3f}"
        share = fit.epoch / settings.epochs(len(material.examples))
        run.report(span[0] + (span[1] - span[0]) * share, f"Tuning the encoder: epoch {fit.epoch}{best}")
        return not run.interrupted

    fit = converge_resumably(
        tuned,
        material,
        reward=reward,
        classes=len(project.classes),
        settings=settings,
        seed=project.settings.seed,
        store=run.state("tuned"),
        keep_going=keep_going,
    )
    if fit is None:
        run.pause()
    return tuned


def tuning_training(project: ProjectData, labelled: LabelledSet, known: Sequence[ImageSource]) -> TrainSettings:
    """The losses and the weights of classes that the head was fitted with, at a low rate."""
    counts, refit = labelled.counts().sum(axis=0), project.loop.refit
    for source in known:
        counts = counts + sum(class_counts(source.label_map(n), len(project.classes)) for n in range(len(source)))
    return TrainSettings(
        crop=project.train.crop,
        batch=BATCH,
        lr=RATE,
        momentum=0.9,
        weight_decay=refit.weight_decay,
        optimizer="adamw",
        class_weights=tuple(balancing_weights(torch.from_numpy(counts), refit.balance).tolist()),
        overlap=refit.overlap,
    )


def whole_material(
    view: LabelledView, labelled: LabelledSet, known: Sequence[ImageSource], loop: LoopSettings
) -> Material:
    """All labelled regions, and every cell of the images that are labelled as a whole."""
    examples, first = list(labelled.examples), len(view)
    for source in known:
        for number in range(len(source)):
            grid = loop.grid(source.size(number))
            examples += [example_of(first + number, grid.box(cell)) for cell in grid.cells.tolist()]
        first += len(source)
    return Material(source=Joined([view, *known]), examples=examples)


def unfrozen(segmenter: FrozenSegmenter) -> Segmenter:
    """The same network, trainable as a whole."""
    tuned = build(tuned_name(segmenter), classes=segmenter.classes, width=segmenter.width, dropout=segmenter.dropout.p)
    take_over(tuned, segmenter, pretrained_encoder(segmenter.eye.name))
    return tuned.to(segmenter.classifier.weight.device)
