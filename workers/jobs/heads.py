"""Pretrain and finish where an encoder stays frozen: a head fitted to what is labelled, and perhaps the encoder after it."""

import json
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models.frozen import FrozenSegmenter
from models.refit import Refitting
from models.segmenter import Segmenter
from service.schemas.jobs import FinishPayload
from service.store import pool as pool_store
from service.store.checkpoints import NewCheckpoint, checkpoint_of_job, record_checkpoint
from service.store.predictions import open_regions_of, refresh_predictions
from service.tables import Checkpoint
from workers.datasets.base import ImageSource
from workers.files import settings_hash
from workers.jobs.delivery import JobFailed, JobRun
from workers.jobs.learning import learner_of, predicted
from workers.jobs.project import ProjectData, ProjectImages, labelled_part
from workers.jobs.saving import measured, save_checkpoint, save_network
from workers.jobs.tuning import fine_tuned
from workers.loop.labelled import LabelledSet
from workers.loop.lessons import Fit
from workers.training.building import is_of, with_fresh_head
from workers.training.checkpoints import load_segmenter, save_segmenter
from workers.training.looking import features
from workers.training.resumable import KeptFits

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


def look_at(run: JobRun, segmenter: FrozenSegmenter, sources: list[ImageSource], span: tuple[float, float]) -> None:
    """Have the features of all images in the cache, from where the last slice was: a cache may hold fewer than there are.

    Ends the slice where others should have the worker for a while.
    """
    places = [(source, number) for source in sources for number in range(len(source))]
    state = run.state("looked")
    for done in range(int(state.load() or b"0"), len(places)):
        features(segmenter, *places[done])
        run.step(span[0] + (span[1] - span[0]) * done / len(places), f"Looking at image {done + 1} of {len(places)}")
        if run.interrupted:
            state.save(str(done + 1).encode())
            run.pause()


def fit_head(
    run: JobRun,
    project: ProjectData,
    segmenter: FrozenSegmenter,
    images: ProjectImages,
    *,
    known: list[ImageSource],
    labelled: LabelledSet,
    steps: int,
    span: tuple[float, float],
) -> None:
    """Fit the head anew to images labelled as a whole and to labelled regions of `images`, as they were numbered then.

    Goes on from where an earlier slice put the fit away. Ends the slice where others should have the worker for a while.
    """
    of_fit = [_made_of(project, known, labelled, steps), asdict(project.loop.refit), project.settings.seed]
    kept = KeptFits(run.state("fit"), settings_hash(of_fit))

    def begun(name: str, fit: Refitting) -> None:
        kept.take_up(name, fit)
        if name == "refit":  # the first of them
            run.begin_slice()  # to read what is labelled may take longer than a slice

    def check() -> None:
        if run.interrupted:
            kept.save()
            run.pause()
        kept.save_if_due()

    def on_step(step: int) -> None:
        run.report(span[0] + (span[1] - span[0]) * step / steps, f"Fitting the head, step {step} of {steps}")
        check()

    learner = learner_of(project, segmenter, labelled, images, known=known)
    learner.learn_known(Fit(steps=steps, on_step=on_step, check=check, begun=begun))


def _made_of(project: ProjectData, known: list[ImageSource], labelled: LabelledSet, steps: int) -> str:
    counts = [labelled.regions, labelled.counts().sum(axis=0).tolist(), [len(each) for each in known]]
    return settings_hash([counts, steps, asdict(project.architecture)])


def labelled_regions(
    project: ProjectData, images: ProjectImages, *, told: bool, among: Collection[int] | None = None
) -> LabelledSet:
    """All labelled regions of the pool, or those of rounds that were learned from; of them those `among` the ids, if given."""
    with project.worker.database.read() as session:
        regions = pool_store.labelled_regions(session, project.id, told=told)
    labelled = LabelledSet(len(project.classes))
    labelled.add(project.answers(images, [each for each in regions if among is None or each.region_id in among]))
    return labelled


def labelled_at_first(run: JobRun, project: ProjectData, images: ProjectImages, *, told: bool) -> LabelledSet:
    """As `labelled_regions`, of those that were there when the job asked first.

    What is labelled between two slices would have its fit begin anew, again and again while people label.
    """
    state = run.state("regions")
    saved = state.load()
    if saved is None:
        with project.worker.database.read() as session:
            ids = [each.region_id for each in pool_store.labelled_regions(session, project.id, told=told)]
        saved = json.dumps(ids).encode()
        state.save(saved)
    return labelled_regions(project, images, told=told, among=frozenset(json.loads(saved)))


def fit_start(run: JobRun, project: ProjectData) -> dict[str, Any]:
    """A head for the first round: fitted to D_S alone, which a policy's games begin with, then to D_T and to what is told too.

    Where nothing of that is labelled there is none: the first round makes it.
    """
    base, images, state = frozen_base(run, project), project.images("pool"), labelled_part(project.images("state"))
    reward, known = labelled_part(project.images("reward")), project.known()
    look_at(run, base, [*known, reward], (0.0, 0.4))
    nothing, steps = LabelledSet(len(project.classes)), project.loop.refit.first_steps
    row = _made_source(run)
    if row is None:
        source = with_fresh_head(base, project.settings.seed)
        if len(state):
            fit_head(run, project, source, images, known=[state], labelled=nothing, steps=steps, span=(0.4, 0.6))
        row = save_network(run, project, source, "source", {"source": "state" if len(state) else "none"}, None)
    labelled, head = labelled_at_first(run, project, images, told=True), base
    fit_head(run, project, head, images, known=known, labelled=labelled, steps=steps, span=(0.6, 0.9))
    told = _learned_since(run, project, head, images, known, labelled.regions)
    figures: dict[str, Any] = {}
    if bool(head.fitted):
        figures = measured(project, head)
        _save_first(run, project, head, row, {"parent": "source", "regions": told, **figures})
    _forget(run)
    return {"source": row.description["source"], "regions_learned_from": told, **figures}


def _made_source(run: JobRun) -> Checkpoint | None:
    """The row of the head for games, where an earlier slice has made it."""
    with run.worker.database.read() as session:
        return checkpoint_of_job(session, run.job_id, "source")


def _learned_since(
    run: JobRun,
    project: ProjectData,
    head: FrozenSegmenter,
    images: ProjectImages,
    known: list[ImageSource],
    learned_from: int,
) -> int:
    """Learn, as a tell does, from rounds that were told between two slices of the fit; the regions learned from by now."""
    labelled = labelled_regions(project, images, told=True)
    if labelled.regions > learned_from:
        learner = learner_of(project, head, labelled, images, known=known)
        learner.learn_known(Fit(on_step=lambda step: run.check(), check=run.check))
    return labelled.regions


def _save_first(
    run: JobRun, project: ProjectData, head: FrozenSegmenter, source: Checkpoint, description: dict[str, Any]
) -> None:
    """Keep a head, and with it what it predicts of the regions that are open."""
    with project.worker.database.snapshot() as session:
        waiting = open_regions_of(session, project.id)
        groups = pool_store.groups_of_split(session, project.id, "pool")
    predictions = predicted(project, head, project.images_of(groups), waiting)

    def write(session: Session, new: NewCheckpoint, now: datetime) -> None:
        refresh_predictions(session, record_checkpoint(session, new, now).id, predictions)

    data = save_segmenter(head, project.classes, **description)
    save_checkpoint(run, data, kind="segmenter", description=description, parent=source, write=write)


def finish_head(run: JobRun, project: ProjectData, payload: FinishPayload) -> dict[str, Any]:
    """A head fitted anew and long to everything; with `unfreeze` the encoder goes on from there, and the better one is kept."""
    reward = labelled_part(project.images("reward"))
    if payload.unfreeze and not len(reward):
        raise JobFailed(
            "To unfreeze the encoder needs labelled images in the split `reward`, to tell whether that is better."
        )
    images, known = project.images("pool"), project.known()
    labelled = labelled_at_first(run, project, images, told=False)
    head, figures = _long_fitted(run, project, payload, images, known=[*known], labelled=labelled, reward=reward)
    network: Segmenter = head
    if payload.unfreeze:
        tuned = fine_tuned(run, project, head, images, labelled, payload, (SHARE_OF_HEAD, 0.95))
        better = measured(project, tuned)
        if better.get("miou", 0.0) > figures.get("miou", 0.0):
            network, figures = tuned, better
    description = {"regions": labelled.regions, "unfrozen": network is not head, **figures}
    save_network(run, project, network, "final", description, project.latest("segmenter"))
    _forget(run)
    return description


def _long_fitted(
    run: JobRun,
    project: ProjectData,
    payload: FinishPayload,
    images: ProjectImages,
    *,
    known: list[ImageSource],
    labelled: LabelledSet,
    reward: ImageSource,
) -> tuple[FrozenSegmenter, dict[str, Any]]:
    """The head of an earlier slice, if it was fitted to these very labels, else one that is fitted now; and its figures."""
    end = SHARE_OF_HEAD if payload.unfreeze else 0.9
    steps = payload.steps or LONG * project.settings.refit_steps
    made_of = _made_of(project, known, labelled, steps)
    saved = run.state("head").load()
    if saved is not None:
        loaded, checkpoint = load_segmenter(saved, project.classes, project.worker.device)
        if checkpoint.description["made_of"] == made_of:
            assert isinstance(loaded, FrozenSegmenter)
            return loaded, dict(checkpoint.description["figures"])
        run.state("tuned").clear()
    head = frozen_base(run, project)
    look_at(run, head, [*known, reward], (0.0, 0.1))
    fit_head(run, project, head, images, known=known, labelled=labelled, steps=steps, span=(0.1, end))
    figures = measured(project, head)
    run.state("head").save(save_segmenter(head, project.classes, made_of=made_of, figures=figures))
    run.begin_slice()
    return head, figures


def _forget(run: JobRun) -> None:
    """Clear what slices have left for each other."""
    for phase in ("base", "looked", "regions", "fit", "head", "tuned"):
        run.state(phase).clear()
