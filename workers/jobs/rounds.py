"""The tasks of a round: ask proposes its regions, tell learns from their labels."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.segmenter import Segmenter
from models.strategies import Strategy, build_strategy
from service.domain.masks import encode_label_png
from service.store import pool as pool_store
from service.store import rounds as round_store
from service.store.rounds import NewRegion, RoundFigures, RoundProposal
from service.tables import Checkpoint, Round
from workers.jobs.delivery import JobRun
from workers.jobs.project import ProjectData, ProjectImages, load_project
from workers.jobs.saving import save_checkpoint
from workers.loop.labelled import LabelledSet
from workers.loop.learner import ActiveLearner
from workers.loop.round import Proposal, RoundResult
from workers.training.checkpoints import CheckpointError, save_segmenter


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a round is proposed with: the strategy, the networks behind it, and a note where it is not the one wished for."""

    strategy: Strategy
    segmenter: Checkpoint | None
    policy: Checkpoint | None
    note: str


def ask(run: JobRun) -> dict[str, Any]:
    """Propose a round: candidates from the pool, scored, the chosen ones written as open regions."""
    project = load_project(run.worker, run.project_id)
    round_ = _round(run)
    if round_.state != "scoring":
        return {"round": round_.number, "state": round_.state}
    choice = choose_strategy(project)
    run.step(0.1, f"Scoring candidates of round {round_.number} ({choice.strategy.name})")
    images = project.images("pool")
    learner = ActiveLearner(
        segmenter=None if choice.segmenter is None else project.load_segmenter(choice.segmenter)[0],
        strategy=choice.strategy,
        pool=project.pool(images),
        labelled=_labelled(project, images, places=choice.strategy.needs_labelled),
        images=images,
        state=project.images("state"),
        reward=None,
        settings=project.loop,
        seed=project.settings.seed,
        budget=project.settings.budget,
    )
    proposal = learner.ask(round_.size, round_number=round_.number, predict=True)
    written = _written(project, images, choice, proposal)
    now = run.worker.clock()
    with run.worker.database.write() as session:
        round_store.open_round(session, round_.id, written, now=now)
    return {"round": round_.number, "regions": len(proposal.regions), "strategy": choice.strategy.name}


def _labelled(project: ProjectData, images: ProjectImages, *, places: bool) -> LabelledSet:
    """L as the rounds learned from have it: its counts, and with `places` its regions too."""
    labelled = LabelledSet(len(project.classes), project.label_counts())
    if places:
        with project.worker.database.read() as session:
            rounds = round_store.list_rounds(session, project.id, limit=1_000_000, after=0)
            told = {each.id for each in rounds if each.state == "told"}
            regions = pool_store.labelled_regions(session, project.id)
        labelled.add(project.answers(images, [each for each in regions if each.round_id in told]), counted=False)
    return labelled


def choose_strategy(project: ProjectData) -> Choice:
    """The project's strategy if the networks it needs exist and fit, else random, with a note that says why."""
    segmenter = project.latest("segmenter")
    wanted = project.settings.strategy
    if wanted == "learned":
        policy = project.latest("policy")
        if policy is None or segmenter is None:
            missing = "segmenter" if segmenter is None else "policy"
            return _random(segmenter, f"There is no {missing} yet, so regions were drawn at random.")
        try:
            strategy = build_strategy("learned", project.load_policy(policy))
        except CheckpointError as error:
            return _random(segmenter, f"{error} Until then regions are drawn at random.")
        return Choice(strategy=strategy, segmenter=segmenter, policy=policy, note="")
    strategy = build_strategy(wanted)
    if strategy.needs_segmenter and segmenter is None:
        return _random(None, "There is no segmenter yet, so regions were drawn at random.")
    return Choice(strategy=strategy, segmenter=segmenter, policy=None, note="")


def _random(segmenter: Checkpoint | None, note: str) -> Choice:
    return Choice(strategy=build_strategy("random"), segmenter=segmenter, policy=None, note=note)


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
        seconds=proposal.seconds,
    )


def tell(run: JobRun) -> dict[str, Any]:
    """Learn from a labelled round, measure what it brought, and make room for the next."""
    project = load_project(run.worker, run.project_id)
    round_ = _round(run)
    if round_.state != "labelled":
        return {"round": round_.number, "state": round_.state}
    row = project.latest("segmenter")
    with run.worker.database.read() as session:
        waiting = row is None and round_store.is_pretraining(session, project.id)
    images = project.images("pool")
    if waiting:
        note = "Labelled before there was a segmenter; learned from when pretraining ends."
        now = run.worker.clock()
        with run.worker.database.write() as session:
            round_store.close_round(session, round_.id, None, now=now, note=note)
        return {"round": round_.number, "note": note}
    run.step(0.1, f"Learning from round {round_.number}")
    learner, answers = _learner(project, images, row, round_.id)
    result = learner.tell(answers, round_number=round_.number)
    description = {"round_number": round_.number, **measures(result)}
    assert learner.segmenter is not None
    save_checkpoint(
        run,
        save_segmenter(learner.segmenter, project.classes, learner.momentum, **description),
        kind="segmenter",
        description=description,
        parent=row,
        # In one transaction, so that a worker that dies never leaves a segmenter that has learned from an untold round.
        write=lambda session, new, now: round_store.close_round(session, round_.id, (_figures(result), new), now=now),
    )
    return {"round": round_.number, **measures(result)}


def _learner(
    project: ProjectData, images: ProjectImages, row: Checkpoint | None, round_id: int
) -> tuple[ActiveLearner, list[Any]]:
    """The learner as it was before the round, and the round's answers."""
    with project.worker.database.read() as session:
        image_ids = pool_store.image_ids_of_round(session, round_id)
        nearby = pool_store.labelled_regions(session, project.id, image_ids=image_ids)
    labelled = LabelledSet(len(project.classes))
    # Crops of this round also show what earlier rounds labelled nearby; a later round, labelled ahead, waits for its turn.
    labelled.add(project.answers(images, [each for each in nearby if each.round_id < round_id]))
    segmenter, momentum = (project.fresh_segmenter(), {}) if row is None else project.load_segmenter(row)
    learner = ActiveLearner(
        segmenter=segmenter,
        strategy=build_strategy("random"),
        pool=project.pool(images),
        labelled=labelled,
        images=images,
        state=None,
        reward=project.images("reward"),
        settings=project.loop,
        seed=project.settings.seed,
    )
    learner.resume(momentum, None)
    return learner, project.answers(images, [each for each in nearby if each.round_id == round_id])


def tell_again(project: ProjectData, segmenter: Segmenter) -> int:
    """One training pass over each round learned from so far, for a segmenter that has not seen them; returns how many."""
    images = project.images("pool")
    with project.worker.database.read() as session:
        told = [
            each
            for each in round_store.list_rounds(session, project.id, limit=1_000_000, after=0)
            if each.state == "told"
        ]
        regions = pool_store.labelled_regions(session, project.id)
    learner = ActiveLearner(
        segmenter=segmenter,
        strategy=build_strategy("random"),
        pool=project.pool(images),
        labelled=LabelledSet(len(project.classes)),
        images=images,
        state=None,
        reward=None,
        settings=project.loop,
        seed=project.settings.seed,
    )
    for round_ in told:
        answers = project.answers(images, [each for each in regions if each.round_id == round_.id])
        learner.tell(answers, round_number=round_.number, measured=False)
    return len(told)


def measures(result: RoundResult) -> dict[str, Any]:
    """A round's figures as JSON: NaN, which JSON lacks, becomes null."""
    return {
        "miou_before": result.miou_before,
        "miou": result.miou_after,
        "reward": result.reward,
        "iou_per_class": None if result.iou_per_class is None else plain(result.iou_per_class.tolist()),
        "loss": result.loss,
    }


def _figures(result: RoundResult) -> RoundFigures:
    return RoundFigures(
        miou_before=result.miou_before,
        miou_after=result.miou_after,
        reward=result.reward,
        iou_per_class=None if result.iou_per_class is None else plain(result.iou_per_class.tolist()),
        class_counts=result.class_counts.tolist(),
        seconds=result.seconds,
    )


def plain(values: list[float]) -> list[float | None]:
    """Numbers for JSON: NaN becomes None."""
    return [None if math.isnan(value) else value for value in values]


def _round(run: JobRun) -> Round:
    with run.worker.database.read() as session:
        return session.get_one(Round, run.payload["round_id"])
