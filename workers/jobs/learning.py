"""What jobs that learn from rounds share: the learner as it was, what is kept of it, and what it says."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.segmenter import Segmenter
from service.domain import doubts
from service.store.snapshots import TellSnapshot, told_snapshot
from workers.datasets.base import ImageSource
from workers.jobs.project import ProjectData, ProjectImages, labelled_part
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.learner import Learner
from workers.loop.round import RoundResult
from workers.training.checkpoints import Checkpoint


def learner_before(
    project: ProjectData, known: TellSnapshot, images: ProjectImages, sources: Sequence[ImageSource]
) -> tuple[Learner, list[Answer], list[Answer]]:
    """The learner as it was before the round, the round's answers, and those of earlier rounds that came since they were told.

    `images` are the pool's, `sources` those that are labelled as a whole.
    """
    labelled = LabelledSet(len(project.classes))
    # Crops of this round also show what earlier rounds labelled nearby; a head is fitted to all of them.
    labelled.add(project.answers(images, known.earlier))
    segmenter, saved = project.to_go_on_from(known.segmenter)
    learner = learner_of(
        project,
        segmenter,
        labelled,
        images,
        reward=labelled_part(project.images_of(known.reward)),
        known=sources,
    )
    if saved is not None:
        learner.resume(*resumed(saved, measured_on(known)))
    return learner, project.answers(images, known.regions), project.answers(images, known.changed)


def measured_on(known: TellSnapshot) -> Tensor:
    """(R,) the ids of D_R's images: of images that were deleted, and of others that came instead, confusions are others."""
    return torch.tensor(list(known.reward_ids), dtype=torch.int64)


def resumed(saved: Checkpoint, reward_R: Tensor) -> tuple[dict[str, Tensor], NDArray[np.int64] | None]:
    """Of what was saved with a segmenter: the momentum, and its confusions, if they were measured on the D_R of these ids.

    An earlier version did not say what they were measured on, and its images could not be deleted.
    """
    momentum = {key: tensor for key, tensor in saved.extra.items() if key.startswith("momentum.")}
    confusions, measured = saved.extra.get("confusions"), saved.extra.get("measured_on", reward_R)
    return momentum, confusions.numpy() if confusions is not None and torch.equal(measured, reward_R) else None


def remembered(learner: Learner, reward_R: Tensor) -> dict[str, Tensor]:
    """What is saved with a segmenter for `resumed`."""
    if learner.confusions is None:
        return learner.momentum
    return learner.momentum | {"confusions": torch.from_numpy(learner.confusions), "measured_on": reward_R}


def learner_of(
    project: ProjectData,
    segmenter: Segmenter,
    labelled: LabelledSet,
    images: ProjectImages,
    *,
    reward: ImageSource | None = None,
    known: Sequence[ImageSource] | None = None,
) -> Learner:
    """A project's learner. For a refit, `known` images are labelled as a whole: D_S and D_T, unless others are given."""
    return Learner(
        segmenter=segmenter,
        labelled=labelled,
        images=images,
        reward=reward,
        settings=project.loop,
        seed=project.settings.seed,
        known=project.known() if known is None else known,
    )


def tell_again(project: ProjectData, segmenter: Segmenter) -> int:
    """One training pass over each round learned from so far, for a segmenter that has not seen them; returns how many."""
    with project.worker.database.snapshot() as session:
        known = told_snapshot(session, project.id)
    images = project.images_of(known.pool)
    learner = learner_of(project, segmenter, LabelledSet(len(project.classes)), images)
    for round_ in known.rounds:
        answers = project.answers(images, known.regions[round_.id])
        learner.tell(answers, round_number=round_.number, measured=False)
    return len(known.rounds)


def measures(result: RoundResult) -> dict[str, Any]:
    """A round's figures as JSON: NaN, which JSON lacks, becomes null."""
    return {
        "miou_before": result.miou_before,
        "miou": result.miou_after,
        "reward": result.reward,
        "iou_per_class": None if result.iou_per_class is None else plain(result.iou_per_class.tolist()),
        "loss": result.loss,
    }


def warning_of(result: RoundResult, course: Sequence[float]) -> str:
    """What is to be said of a round, and of the campaign with it; `course`: mIoU after each of the rounds before."""
    measured = [*course, *([] if result.miou_after is None else [result.miou_after])]
    return doubts.together(
        doubts.of_round(result.miou_before, result.miou_after, fell=result.fell),
        "" if result.miou_after is None else doubts.of_course(measured),
    )


def plain(values: list[float]) -> list[float | None]:
    """Numbers for JSON: NaN becomes None."""
    return [None if math.isnan(value) else value for value in values]
