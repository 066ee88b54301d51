"""Pretrain and finish where an encoder stays frozen: a head fitted to what is labelled, and perhaps the encoder after it."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from service.schemas.jobs import FinishPayload
from service.store import pool as pool_store
from service.store.checkpoints import NewCheckpoint, record_checkpoint
from service.store.predictions import open_regions_of, refresh_predictions
from workers.datasets.base import ImageSource
from workers.jobs.delivery import JobRun
from workers.jobs.learning import learner_of, predicted
from workers.jobs.project import ProjectData, ProjectImages, labelled_part
from workers.jobs.saving import measured, save_checkpoint, save_network
from workers.jobs.tuning import fine_tuned
from workers.loop.labelled import LabelledSet
from workers.loop.lessons import Fit
from workers.training.building import with_fresh_head
from workers.training.checkpoints import load_segmenter, save_segmenter
from workers.training.looking import features

# A final fit takes so many times the steps of a round's.
LONG = 30


def frozen_base(run: JobRun, project: ProjectData) -> FrozenSegmenter:
    """The project's eye and projection under a fresh head: the newest segmenter's, else fitted once for all slices of the job."""
    state, newest = run.state("base"), project.latest("segmenter")
    saved = state.load()
    if saved is not None:
        segmenter: Segmenter = load_segmenter(saved, project.classes, project.worker.device)[0]
    else:
        segmenter = project.to_go_on_from(newest)[0]
        state.save(save_segmenter(segmenter, project.classes))
        run.begin_slice()
    assert isinstance(segmenter, FrozenSegmenter)
    return with_fresh_head(segmenter, project.settings.seed)


def look_at(run: JobRun, segmenter: FrozenSegmenter, sources: list[ImageSource], span: tuple[float, float]) -> None:
    """Have the features of all images in the cache. Ends the slice where others should have the worker for a while."""
    places = [(source, number) for source in sources for number in range(len(source))]
    for done, (source, number) in enumerate(places):
        features(segmenter, source, number)
        run.step(span[0] + (span[1] - span[0]) * done / len(places), f"Looking at image {done + 1} of {len(places)}")
        if run.interrupted:
            run.pause()


def fit_head(
    run: JobRun,
    project: ProjectData,
    segmenter: FrozenSegmenter,
    *,
    known: list[ImageSource],
    labelled: LabelledSet,
    steps: int,
    span: tuple[float, float],
) -> None:
    """Fit the head anew to images labelled as a whole and to labelled regions."""

    def on_step(step: int) -> None:
        if step % 10 == 0:
            run.step(span[0] + (span[1] - span[0]) * step / steps, f"Fitting the head, step {step} of {steps}")

    learner = learner_of(project, segmenter, labelled, project.images("pool"), known=known)
    learner.learn_known(Fit(steps=steps, on_step=on_step))


def labelled_regions(project: ProjectData, images: ProjectImages, *, told: bool) -> LabelledSet:
    """All labelled regions of the pool, or those of rounds that were learned from."""
    with project.worker.database.read() as session:
        regions = pool_store.labelled_regions(session, project.id, told=told)
    labelled = LabelledSet(len(project.classes))
    labelled.add(project.answers(images, regions))
    return labelled


def fit_start(run: JobRun, project: ProjectData) -> dict[str, Any]:
    """A head for the first round: fitted to D_S alone, which a policy's games begin with, then to D_T and to what is told too."""
    base, images, state = frozen_base(run, project), project.images("pool"), labelled_part(project.images("state"))
    reward = labelled_part(project.images("reward"))
    look_at(run, base, [*project.known(), reward], (0.0, 0.4))
    nothing, steps = LabelledSet(len(project.classes)), project.loop.refit.first_steps
    source = with_fresh_head(base, project.settings.seed)
    if len(state):
        fit_head(run, project, source, known=[state], labelled=nothing, steps=steps, span=(0.4, 0.6))
    row = save_network(run, project, source, "source", {"source": "state" if len(state) else "none"}, None)
    labelled = labelled_regions(project, images, told=True)
    told, head = labelled.regions, base
    if told or any(map(len, project.known())):
        fit_head(run, project, head, known=project.known(), labelled=labelled, steps=steps, span=(0.6, 0.9))
    figures = measured(project, head)
    description = {"parent": "source", "regions": told, **figures}
    with project.worker.database.read() as session:
        waiting = open_regions_of(session, project.id)
    predictions = predicted(project, head, images, waiting)

    def write(session: Session, new: NewCheckpoint, now: datetime) -> None:
        refresh_predictions(session, record_checkpoint(session, new, now).id, predictions)

    data = save_segmenter(head, project.classes, **description)
    save_checkpoint(run, data, kind="segmenter", description=description, parent=row, write=write)
    run.state("base").clear()
    return {"source": row.description["source"], "regions_learned_from": told, **figures}


def finish_head(run: JobRun, project: ProjectData, payload: FinishPayload) -> dict[str, Any]:
    """A head fitted anew and long to everything; with `unfreeze` the encoder goes on from there, and the better one is kept."""
    base, images = frozen_base(run, project), project.images("pool")
    labelled = labelled_regions(project, images, told=False)
    end = 0.3 if payload.unfreeze else 0.9
    tuned_already = run.state("tuned").load() is not None
    if not tuned_already:
        look_at(run, base, [*project.known(), labelled_part(project.images("reward"))], (0.0, 0.1))
    kept = run.state("head").load()
    if kept is None:
        fit_head(
            run,
            project,
            base,
            known=project.known(),
            labelled=labelled,
            steps=payload.steps or LONG * project.settings.refit_steps,
            span=(0.1, end),
        )
        run.state("head").save(save_segmenter(base, project.classes))
        run.begin_slice()
    else:
        loaded = load_segmenter(kept, project.classes, project.worker.device)[0]
        assert isinstance(loaded, FrozenSegmenter)
        base = loaded
    network: Segmenter = base
    figures = measured(project, network)
    if payload.unfreeze:
        tuned = fine_tuned(run, project, base, labelled, payload, (end, 0.95))
        better = measured(project, tuned)
        if better.get("miou", 0.0) > figures.get("miou", 0.0):
            network, figures = tuned, better
    description = {"regions": labelled.regions, "unfrozen": network is not base, **figures}
    save_network(run, project, network, "final", description, project.latest("segmenter"))
    for phase in ("base", "head", "tuned"):
        run.state(phase).clear()
    return description
