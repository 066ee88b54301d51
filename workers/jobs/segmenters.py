"""The tasks that train a segmenter to convergence: pretrain, finish, and evaluate, which only measures."""

from typing import Any

from models.fit import FitState, TrainSettings
from models.segmenter import Segmenter
from service.domain.classes import CAMVID
from service.domain.metrics import iou_per_class, mean_iou
from service.schemas.jobs import ConvergePayload, EvaluatePayload, FinishPayload, PretrainPayload
from service.store import checkpoints as checkpoint_store
from service.store import pool as pool_store
from service.tables import Checkpoint
from workers.datasets.base import ImageSource, Subset
from workers.datasets.forwarding import Cached
from workers.datasets.streets import Streets
from workers.jobs.delivery import JobRun
from workers.jobs.heads import finish_head, fit_start
from workers.jobs.learning import plain, tell_again
from workers.jobs.needs import require_data
from workers.jobs.project import ProjectData, labelled_part, load_project
from workers.jobs.saving import made_already, measured, save_network
from workers.loop.labelled import LabelledSet, LabelledView
from workers.training.convergence import ConvergeSettings, Material, measure
from workers.training.resumable import converge_resumably

# Without reward images, one training image in this many is held out to tell when to stop.
HELD_OUT = 5


def pretrain(run: JobRun) -> dict[str, Any]:
    """theta_pre on a source domain, theta_0 on D_T (docs/method.md, 9), then one pass over what is labelled already."""
    kept = made_already(run, "segmenter")
    if kept is not None:
        return _told_of(run, kept)
    project, payload = load_project(run.worker, run.project_id), PretrainPayload.model_validate(run.payload)
    require_data(run, payload)
    if project.settings.learning == "refit":
        return fit_start(run, project)
    train = labelled_part(project.images("train"))
    source = _source_kind(project, payload, len(train))
    theta_pre, source_row = _theta_pre(run, project, payload, train, source)
    theta_0, fit = theta_pre, None
    if len(train):
        fit = _fit(run, project, theta_0, train, payload, phase="theta_0", span=(0.5, 1.0))
    run.step(0.99, "Learning from the rounds labelled so far")
    told = tell_again(project, theta_0)
    figures = measured(project, theta_0)
    described = {"epochs": None if fit is None else fit.epoch, **figures}
    save_network(run, project, theta_0, "segmenter", {"parent": source, "rounds": told, **described}, source_row)
    run.state("theta_0").clear()
    return {"source": source, "rounds_learned_from": told, **described}


def _told_of(run: JobRun, description: dict[str, Any]) -> dict[str, Any]:
    """The job's result, from what it has said of the segmenter and of the source that it has saved."""
    source = made_already(run, "source") or {}
    named = {"parent": "source", "rounds": "rounds_learned_from", "regions": "regions_learned_from"}
    result = {named.get(key, key): value for key, value in description.items()}
    # Of a head the parent is called just that.
    return result | {key: value for key, value in source.items() if key == "source"}


def _source_kind(project: ProjectData, payload: PretrainPayload, train_images: int) -> str:
    fits = project.classes.names == CAMVID.names
    if payload.source in ("auto", "half") and not (fits and payload.source == "auto"):
        return "half" if train_images >= 2 else "none"
    return "streets" if payload.source == "auto" else payload.source


def _theta_pre(
    run: JobRun, project: ProjectData, payload: PretrainPayload, train: ImageSource, source: str
) -> tuple[Segmenter, Checkpoint]:
    """The segmenter that policy episodes start from; kept as a checkpoint as soon as it is ready, so that it is made once."""
    with project.worker.database.read() as session:
        row = checkpoint_store.checkpoint_of_job(session, run.job_id, "source")
    if row is not None:
        return project.load_segmenter(row)[0], row
    segmenter = project.fresh_segmenter()
    images: ImageSource | None = None
    if source == "streets":
        size = _typical_size(project)
        streets = Streets(payload.source_images, project.settings.seed, *size)
        # Drawing scenes takes as long as learning from them: the next slice finds them in the worker's memory.
        images = Cached(streets, project.worker.decoded, f"streets {project.settings.seed} {size}")
    elif source == "half":
        images = Subset(train, range(0, len(train), 2))
    if images is not None:
        shorter = payload.model_copy(update={"max_epochs": payload.source_epochs})
        _fit(run, project, segmenter, images, shorter, phase="theta_pre", span=(0.0, 0.5), held_out=source == "streets")
    row = save_network(run, project, segmenter, "source", {"source": source}, None)
    run.state("theta_pre").clear()
    return segmenter, row


def _typical_size(project: ProjectData) -> tuple[int, int]:
    """The (height, width) of most pool images; CamVid's where there are none."""
    groups = project.images("pool").groups
    biggest = max(groups, key=lambda group: group.count, default=None)
    return (360, 480) if biggest is None else (biggest.height, biggest.width)


def _fit(
    run: JobRun,
    project: ProjectData,
    segmenter: Segmenter,
    images: ImageSource,
    payload: ConvergePayload,
    *,
    phase: str,
    span: tuple[float, float],
    held_out: bool = False,
) -> FitState:
    """Train on whole images until the score stops rising: on D_R, or on images held out."""
    reward = labelled_part(project.images("reward"))
    numbers = list(range(len(images)))
    score: ImageSource = reward
    if held_out or not len(reward):
        score = Subset(images, numbers[::HELD_OUT])
        numbers = [n for n in numbers if n % HELD_OUT] or numbers
    return fit_in_slices(
        run,
        project,
        segmenter,
        Material.whole(Subset(images, numbers)),
        score=score,
        payload=payload,
        phase=phase,
        span=span,
    )


def fit_in_slices(
    run: JobRun,
    project: ProjectData,
    segmenter: Segmenter,
    material: Material,
    *,
    score: ImageSource,
    payload: ConvergePayload,
    phase: str,
    span: tuple[float, float],
) -> FitState:
    """Train to convergence as part of a job. Raises SliceOver when others should have the worker for a while.

    What it put away stays there until the checkpoint is saved: a worker that dies before goes on from it.
    """

    def keep_going(fit: FitState) -> bool:
        done = fit.epoch / payload.max_epochs
        best = "" if fit.best_score is None else f", best mIoU {fit.best_score:.3f}"
        run.report(span[0] + (span[1] - span[0]) * done, f"{phase}: epoch {fit.epoch} of {payload.max_epochs}{best}")
        return not run.interrupted

    settings = project.settings
    train = TrainSettings(
        crop=(settings.crop_height, settings.crop_width), batch=payload.batch, lr=payload.learning_rate
    )
    fit = converge_resumably(
        segmenter,
        material,
        reward=score,
        classes=len(project.classes),
        settings=ConvergeSettings(train=train, patience=payload.patience, max_epochs=payload.max_epochs),
        seed=settings.seed,
        store=run.state(phase),
        keep_going=keep_going,
    )
    if fit is None:
        run.pause()
    return fit


def finish(run: JobRun) -> dict[str, Any]:
    """Train a copy of the newest segmenter to convergence on every labelled region; a head also where whole images alone are."""
    kept = made_already(run, "final")
    if kept is not None:
        return kept
    with run.worker.database.write() as session:
        pool_store.await_labels(session, run.project_id)  # of what is written from now on the next finish learns
    project, payload = load_project(run.worker, run.project_id), FinishPayload.model_validate(run.payload)
    require_data(run, payload)
    images = project.images("pool")
    with project.worker.database.read() as session:
        regions = pool_store.labelled_regions(session, project.id)
    if project.settings.learning == "refit":
        return finish_head(run, project, payload)
    labelled = LabelledSet(len(project.classes))
    examples = labelled.add(project.answers(images, regions))
    row = project.latest("segmenter")
    segmenter = project.fresh_segmenter() if row is None else project.load_segmenter(row)[0]
    reward = labelled_part(project.images("reward"))
    view = LabelledView(images, labelled)
    score = reward if len(reward) else Subset(view, sorted({example.image for example in examples}))
    fit = fit_in_slices(
        run,
        project,
        segmenter,
        Material(source=view, examples=examples),
        score=score,
        payload=payload,
        phase="final",
        span=(0.0, 1.0),
    )
    figures = measured(project, segmenter)
    description = {"regions": len(regions), "epochs": fit.epoch, **figures}
    save_network(run, project, segmenter, "final", description, row)
    run.state("final").clear()
    return description


def evaluate(run: JobRun) -> dict[str, Any]:
    """mIoU of a checkpoint on a split with label maps."""
    project, payload = load_project(run.worker, run.project_id), EvaluatePayload.model_validate(run.payload)
    require_data(run, payload)
    row = project.latest(payload.checkpoint)
    assert row is not None, "a job that has none ended before"
    images = labelled_part(project.images(payload.split))
    confusion = measure(project.load_segmenter(row)[0], images, classes=len(project.classes))
    return {
        "checkpoint_id": row.id,
        "split": payload.split,
        "images": len(images),
        "miou": mean_iou(confusion),
        "iou_per_class": dict(zip(project.classes.names, plain(iou_per_class(confusion).tolist()), strict=True)),
    }
