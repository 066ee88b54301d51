"""The tasks of a round: ask proposes its regions, tell learns from their labels."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.frozen import FrozenSegmenter
from service.domain.doubts import said_of
from service.domain.masks import encode_label_png
from service.store import rounds as round_store
from service.store.jobs import owned_job
from service.store.round_values import NewRegion, RoundFigures, RoundProposal
from service.store.snapshots import AskSnapshot, TellSnapshot, ask_snapshot, tell_snapshot
from workers.jobs.choosing import LOOK_AT_LABELLED, Choice, at_random, choose_strategy
from workers.jobs.costs import with_seconds
from workers.jobs.delivery import JobRun
from workers.jobs.learning import learner_before, measured_on, measures, plain, predicted, remembered, warning_of
from workers.jobs.project import ProjectData, ProjectImages, project_of
from workers.jobs.saving import save_checkpoint
from workers.loop.chooser import Chooser, ScoresNotFinite
from workers.loop.labelled import LabelledSet
from workers.loop.learner import Learner
from workers.loop.observer import Observer
from workers.loop.round import Proposal, RoundResult
from workers.policy.memories import kept, kind_of
from workers.training.checkpoints import save_segmenter


def ask(run: JobRun) -> dict[str, Any]:
    """Propose a round: candidates from the pool, scored, the chosen ones written as open regions."""
    with run.worker.database.snapshot() as session:
        known = ask_snapshot(session, run.payload["round_id"], places_for=LOOK_AT_LABELLED)
    round_, project = known.round, project_of(run.worker, known.project)
    if round_.state != "scoring":
        return {"round": round_.number, "state": round_.state}
    images, state = project.images_of(known.pool), project.images_of(known.state)
    choice = choose_strategy(project, known, state)
    run.step(0.1, f"Scoring candidates of round {round_.number} ({choice.strategy.name})")
    try:
        chooser = _asking(project, known, choice, images, state)
        proposal = chooser.ask(round_.size, round_number=round_.number, predict=True)
    except ScoresNotFinite as error:
        choice = at_random(choice.segmenter, f"{error} Until another one is trained regions are drawn at random.")
        chooser = _asking(project, known, choice, images, state)
        proposal = chooser.ask(round_.size, round_number=round_.number, predict=True)
    written = replace(_written(project, images, choice, proposal), seen_key=_keep_seen(run, choice, proposal))
    now = run.worker.clock()
    with run.worker.database.write() as session:
        round_store.open_round(session, round_.id, written, now=now)
        owned_job(session, run.job_id, run.lock)  # at the end: locks go from rounds to projects to jobs
    return {"round": round_.number, "regions": len(proposal.regions), "strategy": choice.strategy.name}


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
    labelled = LabelledSet(
        len(project.classes), np.array(known.label_counts, np.int64).reshape(-1, len(project.classes))
    )
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
        segmenter=None if choice.segmenter is None else project.load_segmenter(choice.segmenter)[0],
        strategy=choice.strategy,
        pool=project.pool(images, known.proposed),
        observer=observer,
        settings=settings,
        seed=project.settings.seed,
    )


def _written(project: ProjectData, images: ProjectImages, choice: Choice, proposal: Proposal) -> RoundProposal:
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
            )
            for each in proposal.regions
        ],
        strategy=choice.strategy.name,
        note=choice.note,
        checkpoint_id=None if choice.segmenter is None else choice.segmenter.id,
        policy_id=None if choice.policy is None else choice.policy.id,
        warning="" if choice.policy is None else said_of(choice.policy.description),
        seconds=proposal.seconds,
    )


def tell(run: JobRun) -> dict[str, Any]:
    """Learn from a labelled round, measure what it brought, and make room for the next."""
    with run.worker.database.snapshot() as session:
        known = tell_snapshot(session, run.payload["round_id"])
    round_, project = known.round, project_of(run.worker, known.project)
    if round_.state != "labelled":
        return {"round": round_.number, "state": round_.state}
    if known.segmenter is None and known.pretraining:
        return _passed_over(run, known, "Labelled before there was a segmenter; learned from when pretraining ends.")
    run.step(0.1, f"Learning from round {round_.number}")
    learner, answers = learner_before(project, known)
    result = learner.tell(answers, round_number=round_.number)
    if isinstance(learner.segmenter, FrozenSegmenter) and not bool(learner.segmenter.fitted):
        return _passed_over(run, known, "There is no labelled pixel yet that a head could be fitted to.")
    _close(run, project, known, learner, result)
    return {"round": round_.number, **measures(result), "warning": warning_of(result, known.course)}


def _passed_over(run: JobRun, known: TellSnapshot, note: str) -> dict[str, Any]:
    """Close a round that nothing was learned from."""
    now = run.worker.clock()
    with run.worker.database.write() as session:
        round_store.close_round(session, known.round.id, None, now=now, note=note)
        owned_job(session, run.job_id, run.lock)
    return {"round": known.round.number, "note": note}


def _close(run: JobRun, project: ProjectData, known: TellSnapshot, learner: Learner, result: RoundResult) -> None:
    """Keep the segmenter and close the round in one transaction: no segmenter has learned from a round that is not told."""
    description = {"round_number": result.round_number, **measures(result)}
    predictions = predicted(project, learner.segmenter, project.images_of(known.pool), known.open_regions)
    save_checkpoint(
        run,
        save_segmenter(learner.segmenter, project.classes, remembered(learner, measured_on(known)), **description),
        kind="segmenter",
        description=description,
        parent=known.segmenter,
        write=lambda session, new, now: round_store.close_round(
            session, known.round.id, (_figures(result, known), new), now=now, predictions=predictions
        ),
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
    )
