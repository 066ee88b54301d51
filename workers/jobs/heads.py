"""Pretrain and finish where an encoder stays frozen: a head fitted to what is labelled, and perhaps the encoder after it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from service.schemas.jobs import FinishPayload
from service.store import pool as pool_store
from service.store.checkpoints import NewCheckpoint, checkpoint_of_job, record_checkpoint
from service.store.predictions import gold_regions_of, open_regions_of, refresh_predictions
from service.tables import Checkpoint
from workers.datasets.base import ImageSource
from workers.jobs.delivery import JobRun
from workers.jobs.fitting import Taught, fit_head, labelled_at_first, labelled_regions, look_at, made_of
from workers.jobs.predicting import places_of, predicted
from workers.jobs.project import ProjectData, ProjectImages, labelled_part
from workers.jobs.saving import forget, measured, save_checkpoint, save_network
from workers.jobs.tuning import fine_tuned
from workers.loop.labelled import LabelledSet
from workers.training.building import is_of, with_fresh_head
from workers.training.checkpoints import load_segmenter, save_segmenter

# A final fit takes so many times the steps of a round's.
LONG = 20
# Of a job that goes on to tune the encoder this much is over when the head is fitted.
SHARE_OF_HEAD = 0.3


def frozen_base(run: JobRun, project: ProjectData) -> FrozenSegmenter:
    """The project's eye and projection under a fresh head: the newest segmenter's, else fitted once for all slices of the job."""
    state, saved = run.state("base"), run.state("base").load()
    segmenter: Segmenter | None = None
    if saved is not None:
        segmenter = load_segmenter(saved, project.classes, project.worker.device)[0]
    if segmenter is None or not is_of(segmenter, project.architecture):
        segmenter = project.to_go_on_from(project.latest("segmenter"))[0]
        state.save(save_segmenter(segmenter, project.classes))
        run.begin_slice()
    assert isinstance(segmenter, FrozenSegmenter)
    return with_fresh_head(segmenter, project.settings.seed)


def fit_start(run: JobRun, project: ProjectData) -> dict[str, Any]:
    """A head for the first round: fitted to D_S alone, which a policy's games begin with, then to D_T and to what is told too.

    Where nothing of that is labelled there is none: the first round makes it.
    """
    base, images = frozen_base(run, project), project.images("pool")
    reward, known = labelled_part(project.images("reward")), project.known()
    look_at(run, base, [*known, reward], (0.0, 0.4))
    row = _source(run, project, base, images)
    labelled, head = labelled_at_first(run, project, images, told=True), base
    taught = Taught(images=images, known=known, labelled=labelled)
    head = fit_head(run, project, head, taught, steps=project.loop.refit.first_steps, span=(0.6, 0.9))
    head, told = _learned_since(run, project, head, taught)
    figures: dict[str, Any] = {}
    if bool(head.fitted):
        figures = {"stride": head.stride, **measured(project, head)}
        _save_first(run, project, head, row, {"parent": "source", "regions": told, **figures})
    forget(run)
    return {"source": row.description["source"], "regions_learned_from": told, **figures}


def _source(run: JobRun, project: ProjectData, base: FrozenSegmenter, images: ProjectImages) -> Checkpoint:
    """The row of the head for games: an earlier slice's, if it is made of the same, else one that is made now."""
    # As coarsely as a project begins: games of many rounds would take many times as long with finer features.
    coarse = project.architecture.stride
    project = replace(project, settings=project.settings.model_copy(update={"stride": coarse}))
    base = with_fresh_head(base, project.settings.seed, stride=coarse)
    state, steps = labelled_part(project.images("state")), project.loop.refit.first_steps
    taught = Taught(images=images, known=[state], labelled=LabelledSet(len(project.classes)))
    of_source = made_of(project, base, taught, steps)
    with run.worker.database.read() as session:
        row = checkpoint_of_job(session, run.job_id, "source")
    if row is not None and row.description.get("made_of") == of_source:
        return row
    source = with_fresh_head(base, project.settings.seed)
    if len(state):
        source = fit_head(run, project, source, taught, steps=steps, span=(0.4, 0.6))
    description = {"source": "state" if len(state) else "none", "stride": coarse, "made_of": of_source}
    return save_network(run, project, source, "source", description, None)


def _learned_since(
    run: JobRun, project: ProjectData, head: FrozenSegmenter, before: Taught
) -> tuple[FrozenSegmenter, int]:
    """Learn, as a tell does, from rounds that were told between two slices of the fit; the regions learned from by now."""
    labelled, refit = labelled_regions(project, before.images, told=True), project.loop.refit
    if labelled.regions > before.labelled.regions:
        told = project.to_go_on_from(project.latest("segmenter"))[0]
        if isinstance(told, FrozenSegmenter) and told.stride < head.stride:  # those rounds went over to finer features
            head = with_fresh_head(head, project.settings.seed, stride=told.stride)
        steps = refit.steps if bool(head.fitted) else refit.first_steps
        after = made_of(project, head, before, refit.first_steps)
        taught = replace(before, labelled=labelled)
        head = fit_head(run, project, head, taught, steps=steps, span=(0.9, 0.95), phase="since", after=after)
    return head, labelled.regions


def _save_first(
    run: JobRun, project: ProjectData, head: FrozenSegmenter, source: Checkpoint, description: dict[str, Any]
) -> None:
    """Keep a head, and with it what it predicts of the regions that are open."""
    with project.worker.database.snapshot() as session:
        waiting, gold = open_regions_of(session, project.id), gold_regions_of(session, project.id)
        pool, train = (pool_store.groups_of_split(session, project.id, split) for split in ("pool", "train"))
    images, gold_images = project.images_of(pool), project.images_of(train)
    found = predicted(project, head, images, places_of(images, waiting))
    found |= predicted(project, head, gold_images, places_of(gold_images, gold))

    def write(session: Session, new: NewCheckpoint, now: datetime) -> None:
        refresh_predictions(session, record_checkpoint(session, new, now).id, found.maps, found.hints)

    data = save_segmenter(head, project.classes, **description)
    save_checkpoint(run, data, kind="segmenter", description=description, parent=source, write=write)


def finish_head(run: JobRun, project: ProjectData, payload: FinishPayload) -> dict[str, Any]:
    """A head fitted anew and long to everything; with `unfreeze` the encoder goes on from there, and the better one is kept."""
    reward = labelled_part(project.images("reward"))
    images, known = project.images("pool"), project.known()
    taught = Taught(images=images, known=known, labelled=labelled_at_first(run, project, images, told=False))
    head, figures = _long_fitted(run, project, payload, taught, reward)
    network: Segmenter = head
    if payload.unfreeze:
        tuned = fine_tuned(run, project, head, images, taught.labelled, payload, (SHARE_OF_HEAD, 0.95))
        better = {"stride": head.stride, **measured(project, tuned)}
        if better.get("miou", 0.0) > figures.get("miou", 0.0):
            network, figures = tuned, better
    description = {"regions": taught.labelled.regions, "unfrozen": network is not head, **figures}
    save_network(run, project, network, "final", description, project.latest("segmenter"))
    forget(run)
    return description


def _long_fitted(
    run: JobRun, project: ProjectData, payload: FinishPayload, taught: Taught, reward: ImageSource
) -> tuple[FrozenSegmenter, dict[str, Any]]:
    """The head of an earlier slice, if it was fitted to these very labels, else one that is fitted now; and its figures."""
    end = SHARE_OF_HEAD if payload.unfreeze else 0.9
    steps = payload.steps or LONG * project.settings.refit_steps
    head = frozen_base(run, project)
    of_head = made_of(project, head, taught, steps)
    saved = run.state("head").load()
    if saved is not None:
        loaded, checkpoint = load_segmenter(saved, project.classes, project.worker.device)
        if checkpoint.description["made_of"] == of_head:
            assert isinstance(loaded, FrozenSegmenter)
            return loaded, dict(checkpoint.description["figures"])
        run.state("tuned").clear()
    look_at(run, head, [*taught.known, reward], (0.0, 0.1))
    head = fit_head(run, project, head, taught, steps=steps, span=(0.1, end))
    figures = {"stride": head.stride, **measured(project, head)}
    run.state("head").save(save_segmenter(head, project.classes, made_of=of_head, figures=figures))
    run.begin_slice()
    return head, figures
