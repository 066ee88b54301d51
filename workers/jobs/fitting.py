"""Fits of heads in slices of a job: what a head is fitted to, that it stays so from slice to slice, and going on with a fit."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace

from models.frozen import FrozenSegmenter
from models.refit import Refitting
from models.segmenter import Segmenter
from service.store import pool as pool_store
from service.store.snapshots import TellSnapshot
from workers.datasets.base import ImageSource
from workers.files import settings_hash
from workers.jobs.delivery import JobRun
from workers.jobs.learning import learner_of
from workers.jobs.project import ProjectData, ProjectImages
from workers.loop.labelled import Answer, LabelledSet
from workers.loop.lessons import AS_SET, Fit
from workers.training.looking import features
from workers.training.resumable import KeptFits

# What is said of fits by their names; others are of heads that judge. The first one's steps are the job's progress.
_SAID = {"refit": "Fitting the head", "refit finer": "Fitting the head to finer features"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What a head is fitted to: images that are labelled as a whole, and labelled regions of the pool's `images`."""

    images: ProjectImages
    known: list[ImageSource]
    labelled: LabelledSet


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
    taught: Taught,
    *,
    steps: int,
    span: tuple[float, float],
    phase: str = "fit",
    after: str = "",
) -> FrozenSegmenter:
    """Fit the head, from where it is, to all that is `taught`; what is fitted, which is another where finer features are better.

    Goes on from where an earlier slice put the fit away, as the state of the `phase`. `after` names what the head was fitted
    to before. Ends the slice where others should have the worker for a while.
    """
    made = settings_hash([made_of(project, segmenter, taught, steps), after])
    kept, fit = kept_fit(run, made, span, phase=phase, sliced=True)
    learner = learner_of(project, segmenter, taught.labelled, taught.images, known=taught.known)
    learner.learn_known(replace(fit, steps=steps))
    kept.save()  # a slice that ends after it takes none of its steps again
    fitted = learner.segmenter
    assert isinstance(fitted, FrozenSegmenter)
    if learner.said:
        run.report(span[1], learner.said)
    return fitted


def kept_fit(
    run: JobRun, made_of: str, span: tuple[float, float], *, sliced: bool, phase: str = "fit"
) -> tuple[KeptFits, Fit]:
    """Fits of a job that go on from where they were put away, as the state of a `phase`, and how they are to go.

    `made_of` names what they are made of. Where the job is called off, or `sliced` and its slice is over, all is put away between
    two steps and the job pauses. A slice counts from a step on: to read and look at what is labelled, and what earlier slices
    fitted, may take longer than one, and would be done again in the next.
    """
    kept = KeptFits(run.state(phase), made_of)
    now: tuple[str, Refitting] | None = None
    begins, judged = sliced, 0

    def pause() -> None:
        kept.save()
        run.pause()

    def looking() -> None:
        nonlocal begins
        begins = sliced
        if run.called_off:
            pause()

    def begun(name: str, fit: Refitting) -> None:
        nonlocal begins, judged, now
        kept.take_up(name, fit)
        judged += name not in _SAID
        now = _SAID.get(name, f"Judging heads on images that they have not seen, fit {judged}"), fit
        if begins and fit.step < fit.steps:
            run.begin_slice()
            begins = False

    def check() -> None:
        if now is not None:
            said, fit = now
            share = fit.step / fit.steps if said == _SAID["refit"] else 1.0
            run.report(span[0] + (span[1] - span[0]) * share, f"{said}, step {fit.step} of {fit.steps}")
        if run.interrupted if sliced else run.called_off:
            pause()
        kept.save_if_due()

    return kept, Fit(on_step=lambda step: check(), check=check, looking=looking, begun=begun)


def fit_of_round(
    run: JobRun,
    project: ProjectData,
    known: TellSnapshot,
    segmenter: Segmenter,
    before: Taught,
    answers: Sequence[Answer],
) -> Fit:
    """How a tell fits the head: it stops at once where it is called off, and goes on where it is taken up again.

    It is in no slices: what the next round asks for must not depend on which worker was quicker.
    """
    if not isinstance(segmenter, FrozenSegmenter):
        return AS_SET
    labelled = before.labelled.copy()
    labelled.add(answers)
    taught = replace(before, labelled=labelled)
    parent = None if known.segmenter is None else known.segmenter.id
    after = f"round {known.round.number} after {parent}"
    made = settings_hash([made_of(project, segmenter, taught, project.loop.refit.steps), after])
    return kept_fit(run, made, (0.1, 0.8), sliced=False)[1]


def made_of(project: ProjectData, segmenter: FrozenSegmenter, taught: Taught, steps: int) -> str:
    """Names what a fit of a head is made of: fits of one name, from the same weights, give the same head."""
    digest = hashlib.sha256()
    for source in taught.known:
        for number in range(len(source)):
            digest.update(f"{source.digest(number)} ".encode())
        digest.update(b"\n")
    for answer in taught.labelled.answers:
        digest.update(f"{taught.images.digest(answer.image)} {answer.box} ".encode())
        digest.update(answer.label_map.tobytes())
    loop = [project.loop.cell_height, project.loop.cell_width, asdict(project.loop.refit), project.settings.seed]
    # What earlier versions did not have is left out where it is as it was.
    architecture = {key: each for key, each in asdict(project.architecture).items() if key != "chosen" or each}
    return settings_hash([digest.hexdigest(), steps, segmenter.sight, architecture, loop, project.classes.to_json()])


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
    """As `labelled_regions`, of those that were there when the job asked first; of a job that is tried again, since then.

    What is labelled between two slices would have its fit begin anew, again and again while people label.
    """
    state, tried_since = run.state("regions"), run.tried_since.isoformat()
    saved = json.loads(state.load() or b"null")
    # An earlier version kept a list of ids alone, which does not say of which try they are.
    if not isinstance(saved, dict) or saved["tried_since"] != tried_since:
        with project.worker.database.read() as session:
            ids = [each.region_id for each in pool_store.labelled_regions(session, project.id, told=told)]
        saved = {"tried_since": tried_since, "ids": ids}
        state.save(json.dumps(saved).encode())
    return labelled_regions(project, images, told=told, among=frozenset(saved["ids"]))
