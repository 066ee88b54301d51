"""The tasks of a round: ask proposes its regions, tell learns from their labels."""

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from models.segmenter import Segmenter
from models.strategies import Strategy, build_strategy
from service.domain.masks import encode_label_png
from service.store import checkpoints as checkpoint_store
from service.store import events
from service.store import pool as pool_store
from service.store import rounds as round_store
from service.store.checkpoints import NewCheckpoint
from service.tables import Checkpoint, Project, Region, Round
from workers.jobs.delivery import JobRun
from workers.jobs.project import ProjectData, ProjectImages, load_project
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
    image_ids = {region.image: images.row(region.image).id for region in proposal.regions}
    with run.worker.database.write() as session:
        _open_round(session, project, round_.id, choice, proposal, image_ids, run.worker.clock())
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


def _open_round(
    session: Session,
    project: ProjectData,
    round_id: int,
    choice: Choice,
    proposal: Proposal,
    image_ids: dict[int, int],
    now: datetime,
) -> None:
    """Write the proposal, unless another delivery of the same job has done so, and propose ahead if that is wished."""
    round_ = round_store.lock_round(session, round_id)
    if round_.state != "scoring":
        return
    palette = project.classes.palette()
    for region in proposal.regions:
        prediction = None
        if region.prediction is not None:
            prediction = encode_label_png(project.classes.to_ids(region.prediction), palette)
        session.add(
            Region(
                project_id=project.id,
                round_id=round_.id,
                image_id=image_ids[region.image],
                cell=region.cell,
                number=region.number,
                row=region.box.row,
                col=region.box.col,
                height=region.box.height,
                width=region.box.width,
                score=region.score,
                state="open",
                prediction=prediction,
            )
        )
    round_.strategy, round_.note, round_.size = choice.strategy.name, choice.note, len(proposal.regions)
    round_.checkpoint_id = None if choice.segmenter is None else choice.segmenter.id
    round_.policy_id = None if choice.policy is None else choice.policy.id
    round_.seconds = {f"ask_{phase}": round(value, 4) for phase, value in proposal.seconds.items()}
    round_.state, round_.opened_at = ("open", now) if proposal.regions else ("told", now)
    events.record(
        session,
        now=now,
        kind="round_proposed",
        project_id=project.id,
        round=round_.number,
        regions=round_.size,
        strategy=round_.strategy,
    )
    session.flush()
    round_store.advance(session, session.get_one(Project, project.id), now)


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
        _close_round(run, project, round_.id, None, None, None, note)
        return {"round": round_.number, "note": note}
    run.step(0.1, f"Learning from round {round_.number}")
    learner, answers = _learner(project, images, row, round_.id)
    result = learner.tell(answers, round_number=round_.number)
    checkpoint = save_learner(project, learner, round_number=round_.number, **measures(result))
    _close_round(run, project, round_.id, result, checkpoint, row, "")
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


def plain(values: list[float]) -> list[float | None]:
    """Numbers for JSON: NaN becomes None."""
    return [None if math.isnan(value) else value for value in values]


def save_learner(project: ProjectData, learner: ActiveLearner, **description: Any) -> tuple[str, dict[str, Any]]:
    """Store the learner's segmenter; returns its blob key and description."""
    assert learner.segmenter is not None
    data = save_segmenter(learner.segmenter, project.classes, learner.momentum, **description)
    return project.worker.blobs.put_content("checkpoints", data, ".safetensors"), json.loads(json.dumps(description))


def _close_round(
    run: JobRun,
    project: ProjectData,
    round_id: int,
    result: RoundResult | None,
    checkpoint: tuple[str, dict[str, Any]] | None,
    parent: Checkpoint | None,
    note: str,
) -> None:
    now = run.worker.clock()
    with run.worker.database.write() as session:
        round_ = round_store.lock_round(session, round_id)
        if round_.state != "labelled":
            return
        if checkpoint is not None and result is not None:
            new = NewCheckpoint(
                project_id=project.id,
                kind="segmenter",
                blob_key=checkpoint[0],
                description=checkpoint[1],
                parent_id=None if parent is None else parent.id,
                job_id=run.job_id,
            )
            row = checkpoint_store.add_checkpoint(session, new, now)
            _write_result(round_, result, row.id)
        round_.state, round_.told_at = "told", now
        round_.note = " ".join(filter(None, (round_.note, note)))
        events.record(session, now=now, kind="round_told", project_id=project.id, round=round_.number)
        session.flush()
        round_store.advance(session, session.get_one(Project, project.id), now)


def _write_result(round_: Round, result: RoundResult, checkpoint_id: int) -> None:
    round_.result_checkpoint_id = checkpoint_id
    round_.miou_before, round_.miou_after, round_.reward = result.miou_before, result.miou_after, result.reward
    round_.iou_per_class = None if result.iou_per_class is None else plain(result.iou_per_class.tolist())
    round_.class_counts = result.class_counts.tolist()
    seconds = {f"tell_{phase}": round(value, 4) for phase, value in result.seconds.items()}
    round_.seconds = {**round_.seconds, **seconds}


def _round(run: JobRun) -> Round:
    with run.worker.database.read() as session:
        return session.get_one(Round, run.payload["round_id"])
