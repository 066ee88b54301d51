"""The tasks of a round: ask proposes its regions, tell learns from their labels."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from models.frozen import FrozenSegmenter
from service.domain.doubts import said_of
from service.domain.masks import encode_label_png
from service.store import rounds as round_store
from service.store.checkpoints import NewCheckpoint
from service.store.class_changes import note_learned
from service.store.jobs import owned_job
from service.store.measured import name_of
from service.store.migrated import ClassesChanged
from service.store.pool import labels_upto
from service.store.predictions import NewHints
from service.store.round_values import NewGold, NewRegion, RoundFigures, RoundProposal
from service.store.snapshots import AskSnapshot, TellSnapshot, ask_snapshot, tell_snapshot
from workers.jobs.choosing import LOOK_AT_LABELLED, Choice, as_asked, at_random, choose_strategy
from workers.jobs.costs import with_seconds
from workers.jobs.delivery import JobRun
from workers.jobs.fitting import Taught, fit_of_round
from workers.jobs.golden import gold_regions
from workers.jobs.learning import learner_before, measured_on, measures, plain, remembered, warning_of
from workers.jobs.predicting import places_of, predicted
from workers.jobs.project import ProjectData, ProjectImages, project_of
from workers.jobs.saving import save_checkpoint
from workers.loop.chooser import Chooser, ScoresNotFinite
from workers.loop.labelled import LabelledSet
from workers.loop.learner import Learner
from workers.loop.observer import Observer
from workers.loop.round import Proposal, RoundResult
from workers.policy.memories import kept, kind_of
from workers.training.checkpoints import save_segmenter

_TRIES = 3


def ask(run: JobRun) -> dict[str, Any]:
    """Propose a round: candidates from the pool, scored, the chosen ones written as open regions."""
    return _with_classes_of_now(_ask, run)


def _with_classes_of_now(task: Callable[[JobRun], dict[str, Any]], run: JobRun) -> dict[str, Any]:
    """Do a round's task, again where the project's classes were changed while it was computed."""
    for _ in range(_TRIES - 1):
        with suppress(ClassesChanged):
            return task(run)
    return task(run)


def _ask(run: JobRun) -> dict[str, Any]:
    with run.worker.database.snapshot() as session:
        known = ask_snapshot(session, run.payload["round_id"], places_for=LOOK_AT_LABELLED)
    round_, project = known.round, project_of(run.worker, known.project)
    if round_.state != "scoring":
        return {"round": round_.number, "state": round_.state}
    images, state = project.images_of(known.pool), project.images_of(known.state)
    if known.segmenter is None:
        run.step(0.05, f"Looking at what there is, for round {round_.number}")
    choice = choose_strategy(project, known, state)
    run.step(0.1, f"Scoring candidates of round {round_.number} ({choice.strategy.name})")
    try:
        chooser = _asking(project, known, choice, images, state)
        proposal = chooser.ask(round_.size, round_number=round_.number, predict=choice.fresh is None)
    except ScoresNotFinite as error:
        choice = at_random(choice.segmenter, f"{error} Until another one is trained regions are drawn at random.")
        chooser = _asking(project, known, choice, images, state)
        proposal = chooser.ask(round_.size, round_number=round_.number, predict=True)
    choice = as_asked(choice, proposal.strategy)
    counts_C = project.classes.counts_now(known.label_counts).sum(axis=0)
    hints = _hints(project, images, chooser, proposal, counts_C)
    written = replace(_written(project, images, choice, proposal, hints), seen_key=_keep_seen(run, choice, proposal))
    written = replace(written, gold=_gold(project, known, chooser, proposal, counts_C))
    now = run.worker.clock()
    with run.worker.database.write() as session:
        note_learned(session, round_.id, project.classes.changes)
        round_store.open_round(session, round_.id, written, now=now)
        owned_job(session, run.job_id, run.lock)  # at the end: locks go from rounds to projects to jobs
    return {"round": round_.number, "regions": len(proposal.regions), "strategy": choice.strategy.name}


def _hints(
    project: ProjectData, images: ProjectImages, chooser: Chooser, proposal: Proposal, counts_C: NDArray[np.int64]
) -> Mapping[int, NewHints]:
    """Hints on the proposal's regions by their place in it, on those that are predicted."""
    places = {
        place: (each.image, each.cell) for place, each in enumerate(proposal.regions) if each.prediction is not None
    }
    if chooser.segmenter is None or not places:
        return {}
    return predicted(project, chooser.segmenter, images, places, counts_C).hints


def _gold(
    project: ProjectData, known: AskSnapshot, chooser: Chooser, proposal: Proposal, counts_C: NDArray[np.int64]
) -> list[NewGold]:
    """Gold regions beside the round, predicted where its own are."""
    are_predicted = any(each.prediction is not None for each in proposal.regions)
    cells = [each.cell for each in proposal.regions]
    return gold_regions(project, known, cells, chooser.segmenter if are_predicted else None, counts_C)


def _keep_seen(run: JobRun, choice: Choice, proposal: Proposal) -> str | None:
    """The key of what the round's policy saw, for those that learn later; None where none looked, or nothing is of use."""
    policy = choice.strategy.policy
    data = None if policy is None else kept(policy, proposal)
    if policy is None or data is None:
        return None
    return run.worker.blobs.put_content(f"rounds/{kind_of(policy)}", data, ".safetensors")


def _asking(
    project: ProjectData, known: AskSnapshot, choice: Choice, images: ProjectImages, state: ProjectImages
) -> Chooser:
    """The chooser of a round. L is what the rounds learned from have it: its counts, and its regions if they are looked at."""
    labelled = LabelledSet(len(project.classes), project.classes.counts_now(known.label_counts))
    if choice.strategy.needs_labelled:
        labelled.add(project.answers(images, known.told_regions), counted=False)
    labelled.cells = known.label_area
    labelled.known_cells = float(sum(count * project.grid(h, w).cells.size for h, w, count in known.whole_images))
    settings, budget = with_seconds(project, known.timed_labels), project.settings.budget
    observer = Observer(
        images=images,
        state=state,
        truth=None,
        labelled=labelled,
        settings=settings,
        # What was imported is in L, and was not asked for: the share that is spent stays below all of it.
        budget=None if budget is None else budget + round(known.imported_area),
    )
    return Chooser(
        segmenter=choice.fresh if choice.segmenter is None else project.load_segmenter(choice.segmenter)[0],
        strategy=choice.strategy,
        pool=project.pool(images, known.proposed),
        observer=observer,
        settings=settings,
        seed=project.settings.seed,
    )


def _written(
    project: ProjectData,
    images: ProjectImages,
    choice: Choice,
    proposal: Proposal,
    hints: Mapping[int, NewHints],
) -> RoundProposal:
    """The proposal as the store takes it."""
    palette = project.classes.palette()

    def png(prediction: NDArray[np.uint8] | None) -> bytes | None:
        return None if prediction is None else encode_label_png(project.classes.to_ids(prediction), palette)

    return RoundProposal(
        regions=[
            NewRegion(
                image_id=images.row(each.image).id,
                cell=each.cell,
                number=each.number,
                box=each.box,
                score=each.score,
                prediction=png(each.prediction),
                hints=hints.get(place),
            )
            for place, each in enumerate(proposal.regions)
        ],
        strategy=choice.strategy.name,
        note=choice.note,
        checkpoint_id=None if choice.segmenter is None else choice.segmenter.id,
        policy_id=None if choice.policy is None else choice.policy.id,
        warning="" if choice.policy is None else said_of(choice.policy.description),
        seconds=proposal.seconds,
        pool_shares=None if proposal.class_shares_C is None else proposal.class_shares_C.tolist(),
    )


def tell(run: JobRun) -> dict[str, Any]:
    """Learn from a labelled round, measure what it brought, and make room for the next."""
    return _with_classes_of_now(_tell, run)


def _tell(run: JobRun) -> dict[str, Any]:
    with run.worker.database.write() as session:
        upto = labels_upto(session, round_store.get_round(session, run.payload["round_id"]).project_id)
    with run.worker.database.snapshot() as session:
        known = tell_snapshot(session, run.payload["round_id"])
    round_, project = known.round, project_of(run.worker, known.project)
    if round_.state != "labelled":
        return {"round": round_.number, "state": round_.state}
    if known.segmenter is None and known.pretraining:
        return _passed_over(run, known, "Labelled before there was a segmenter; learned from when pretraining ends.")
    run.step(0.1, f"Learning from round {round_.number}")
    images, sources = project.images_of(known.pool), project.known(known.state, known.train)
    learner, answers, changed = learner_before(project, known, images, sources)
    before = Taught(images=images, known=sources, labelled=learner.labelled)
    fit = fit_of_round(run, project, known, learner.segmenter, before, [*answers, *changed])
    result = learner.tell(answers, round_number=round_.number, changed=changed, fit=fit)
    if isinstance(learner.segmenter, FrozenSegmenter) and not bool(learner.segmenter.fitted):
        return _passed_over(run, known, "There is no labelled pixel yet that a head could be fitted to.")
    _close(run, project, known, learner, result, upto)
    run.state("fit").clear()
    return {"round": round_.number, **measures(result), "warning": warning_of(result, known.course)}


def _passed_over(run: JobRun, known: TellSnapshot, note: str) -> dict[str, Any]:
    """Close a round that nothing was learned from."""
    now = run.worker.clock()
    with run.worker.database.write() as session:
        round_store.close_round(session, known.round.id, None, now=now, note=note)
        owned_job(session, run.job_id, run.lock)
    return {"round": known.round.number, "note": note}


def _close(
    run: JobRun, project: ProjectData, known: TellSnapshot, learner: Learner, result: RoundResult, upto: int | None
) -> None:
    """Keep the segmenter and close the round in one transaction: no segmenter has learned from a round that is not told."""
    description = {"round_number": result.round_number, **measures(result)}
    if isinstance(learner.segmenter, FrozenSegmenter):
        description["stride"] = learner.segmenter.stride
    counts_C = learner.labelled.counts().sum(axis=0)
    pool, train = project.images_of(known.pool), project.images_of(known.train)
    found = predicted(project, learner.segmenter, pool, places_of(pool, known.open_regions), counts_C)
    if known.gold_regions:
        found |= predicted(project, learner.segmenter, train, places_of(train, known.gold_regions), counts_C)

    def write(session: Session, new: NewCheckpoint, now: datetime) -> bool:
        note_learned(session, known.round.id, project.classes.changes)
        learned = (_figures(result, known), new)
        return round_store.close_round(
            session,
            known.round.id,
            learned,
            now=now,
            note=result.said,
            predictions=found.maps,
            hints=found.hints,
            learned_upto=upto,
        )

    save_checkpoint(
        run,
        save_segmenter(learner.segmenter, project.classes, remembered(learner, measured_on(known)), **description),
        kind="segmenter",
        description=description,
        parent=known.segmenter,
        write=write,
    )


def _figures(result: RoundResult, known: TellSnapshot) -> RoundFigures:
    return RoundFigures(
        miou_before=result.miou_before,
        miou_after=result.miou_after,
        reward=result.reward,
        iou_per_class=None if result.iou_per_class is None else plain(result.iou_per_class.tolist()),
        class_counts=result.class_counts.tolist(),
        seconds=result.seconds,
        warning=warning_of(result, known.course),
        measured_on=None if result.miou_after is None else name_of(known.reward_ids),
    )
