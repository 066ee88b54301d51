"""Rounds in the database: when the next one is proposed, when one is labelled, and what to tell those who wait."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from service.domain.doubts import of_order, together
from service.domain.gold import GOLD
from service.engines import finite
from service.errors import NotFound
from service.schemas.jobs import FinishPayload
from service.schemas.project_settings import ProjectSettings
from service.store import events, removals
from service.store.budget import regions_left
from service.store.checkpoints import NewCheckpoint, add_checkpoint
from service.store.gold_rows import gold_regions, spread
from service.store.jobs import pending_job, queue_job
from service.store.needs import lacking
from service.store.predictions import NewHints, refresh_predictions, write_hints
from service.store.project_lock import lock_project
from service.store.retraining import retrain_if_due
from service.store.round_values import NewRegion, RoundFigures, RoundProposal, SeenRound, ToldRound
from service.store.taken import still_free
from service.tables import Project, Region, Round, by_dialect

UNFINISHED = ("scoring", "open", "labelled")


def advance(session: Session, project: Project, now: datetime) -> None:
    """Propose the next round if it is time: an ask job for a new round in state `scoring`.

    One round is proposed at a time, each knowing the regions of the one before. With lookahead a round may be proposed
    while another is being labelled or learned from.
    """
    lock_project(session, project.id)
    settings = ProjectSettings.model_validate(project.settings)
    states = unfinished_states(session, project.id)
    if not project.active or "scoring" in states or len(states) >= (2 if settings.lookahead else 1):
        return
    size = min(settings.batch_size, regions_left(session, project))
    if size <= 0:
        if not states:
            _finish_campaign(session, project, now)
        return
    last = session.scalar(select(func.max(Round.number)).where(Round.project_id == project.id)) or 0
    round_ = Round(
        project_id=project.id, number=last + 1, state="scoring", size=size, seconds={}, note="", created_at=now
    )
    session.add(round_)
    session.flush()
    queue_job(
        session, project_id=project.id, kind="ask", now=now, payload={"round_id": round_.id}, key=f"ask:{round_.id}"
    )


def unfinished_states(session: Session, project_id: int) -> list[str]:
    """The state of each round that is not learned from yet."""
    chosen = select(Round.state).where(Round.project_id == project_id, Round.state.in_(UNFINISHED))
    return list(session.scalars(chosen))


def _finish_campaign(session: Session, project: Project, now: datetime) -> None:
    """The budget is spent and learned from: train to convergence, once."""
    told = session.scalar(select(func.count()).where(Round.project_id == project.id, Round.state != GOLD))
    if told and not lacking(session, project, FinishPayload()):
        queue_job(session, project_id=project.id, kind="finish", now=now, key=f"finish:{told}")


def get_round(session: Session, round_id: int) -> Round:
    """The round, or NotFound."""
    round_ = session.get(Round, round_id)
    if round_ is None:
        raise NotFound(f"There is no round {round_id}.")
    return round_


def lock_round(session: Session, round_id: int) -> Round:
    """The round, locked until the transaction ends, so that two last labels see each other; or NotFound."""
    round_ = session.scalars(select(Round).where(Round.id == round_id).with_for_update()).one_or_none()
    if round_ is None:
        raise NotFound(f"There is no round {round_id}.")
    return round_


_LOCK = by_dialect(lambda among: select(Round.id).where(among(Round.id, "ids")).order_by(Round.id).with_for_update())


def lock_rounds(session: Session, round_ids: Collection[int]) -> None:
    """Lock rounds until the transaction ends, by id. On SQLite whoever writes is alone anyway. Raises NotFound."""
    dialect = session.get_bind().dialect.name
    if dialect == "sqlite":
        return
    ids = set(round_ids)
    found = session.connection().execute(_LOCK[dialect], {"ids": list(ids)}).scalars().all()
    if absent := ids - set(found):
        raise NotFound(f"There is no round {min(absent)}.")


def open_round(session: Session, round_id: int, proposal: RoundProposal, *, now: datetime) -> bool:
    """Write what a scored round asks for, and propose ahead if that is wished. A round that asks for nothing is told at once.

    Returns False, and writes nothing, where another delivery of the same job has opened the round.
    """
    round_ = lock_round(session, round_id)
    if round_.state != "scoring":
        return False
    # While the regions were chosen, labels of some may have been imported.
    regions = still_free(session, round_.project_id, proposal.regions)
    round_.strategy, round_.note, round_.size = proposal.strategy, proposal.note, len(regions)
    round_.checkpoint_id, round_.policy_id = proposal.checkpoint_id, proposal.policy_id
    round_.seen_key, round_.warning = proposal.seen_key, proposal.warning or None
    round_.pool_shares = None if proposal.pool_shares is None else list(proposal.pool_shares)
    removals.keep(session, [proposal.seen_key])
    overlap = ProjectSettings.model_validate(session.get_one(Project, round_.project_id).settings).overlap
    gold = gold_regions(session, round_.project_id, proposal.gold, proposal.checkpoint_id, now)
    opened = spread([(_open_region(round_, each, overlap), each.hints) for each in regions], gold)
    session.add_all([region for region, _ in opened])
    round_.seconds = _seconds("ask", proposal.seconds)
    round_.state, round_.opened_at = ("open", now) if regions else ("told", now)
    events.record(
        session,
        now=now,
        kind="round_proposed",
        project_id=round_.project_id,
        round=round_.number,
        regions=round_.size,
        strategy=round_.strategy,
    )
    session.flush()
    hints = {region.id: each for region, each in opened if each is not None}
    write_hints(session, proposal.checkpoint_id, hints)
    advance(session, session.get_one(Project, round_.project_id), now)
    return True


def _open_region(round_: Round, new: NewRegion, overlap: int) -> Region:
    return Region(
        project_id=round_.project_id,
        round_id=round_.id,
        image_id=new.image_id,
        cell=new.cell,
        number=new.number,
        row=new.box.row,
        col=new.box.col,
        height=new.box.height,
        width=new.box.width,
        score=new.score,
        state="open",
        overlap=overlap,
        prediction=new.prediction,
        prediction_checkpoint_id=None if new.prediction is None else round_.checkpoint_id,
    )


def close_round(
    session: Session,
    round_id: int,
    learned: tuple[RoundFigures, NewCheckpoint] | None,
    *,
    now: datetime,
    note: str = "",
    predictions: Mapping[int, bytes] = {},
    hints: Mapping[int, NewHints] = {},
    learned_upto: int | None = None,
) -> bool:
    """A labelled round is told: write its figures and the segmenter that learned from it, and propose the next round.

    `predictions` and `hints` are what that segmenter says of regions that wait for labels (see `refresh_predictions`);
    `learned_upto` is the newest label that it was learned from with (see `labels_upto`). Without `learned` the round was
    passed over, and `note` says why; else it may say how is learned from now on. Returns False, and writes nothing, where
    another delivery has closed it.
    """
    round_ = lock_round(session, round_id)
    if round_.state != "labelled":
        return False
    if learned is not None:
        figures, checkpoint = learned
        _write_figures(round_, figures)
        round_.warning = together(round_.warning, of_order(_learned_later(session, round_))) or None
        round_.result_checkpoint_id = add_checkpoint(session, checkpoint, now).id
        refresh_predictions(session, round_.result_checkpoint_id, predictions, hints)
        round_.learned_label_id = learned_upto
    round_.state, round_.told_at = "told", now
    round_.note = " ".join(filter(None, (round_.note, note)))
    events.record(session, now=now, kind="round_told", project_id=round_.project_id, round=round_.number)
    session.flush()
    project = session.get_one(Project, round_.project_id)
    advance(session, project, now)
    retrain_if_due(session, project, round_, now)
    return True


def _learned_later(session: Session, round_: Round) -> Sequence[int]:
    """The numbers of later rounds that have been learned from already: a job that is tried again is overtaken by others."""
    later = select(Round.number).where(Round.project_id == round_.project_id, Round.number > round_.number)
    learned = later.where(Round.state == "told", Round.result_checkpoint_id.is_not(None))
    return session.scalars(learned.order_by(Round.number)).all()


def _write_figures(round_: Round, figures: RoundFigures) -> None:
    measured = finite([figures.miou_before, figures.miou_after, figures.reward])
    round_.miou_before, round_.miou_after, round_.reward = measured
    round_.measured_on = figures.measured_on
    round_.iou_per_class = None if figures.iou_per_class is None else list(figures.iou_per_class)
    round_.class_counts = list(figures.class_counts)
    round_.warning = together(round_.warning, figures.warning) or None
    round_.seconds = {**round_.seconds, **_seconds("tell", figures.seconds)}


def _seconds(task: str, by_phase: Mapping[str, float]) -> dict[str, float]:
    return {f"{task}_{phase}": round(value, 4) for phase, value in by_phase.items()}


# A region that keeps its round open.
UNDECIDED = Region.state.in_(("open", "review"))
_WAITING = select(Region.id).where(Region.round_id == bindparam("round"), UNDECIDED).limit(1)


def close_those_done(session: Session, round_ids: Collection[int], now: datetime) -> None:
    """Like `close_if_done`, of rounds that are locked, without their rows where there is nothing to close."""
    connection = session.connection()
    for round_id in sorted(set(round_ids)):
        if connection.execute(_WAITING, {"round": round_id}).first() is None:
            close_if_done(session, lock_round(session, round_id), now)


def close_if_done(session: Session, round_: Round, now: datetime) -> None:
    """Once no region of an open round waits for a label or a review, the round is labelled and its tell job queued."""
    session.flush()
    if round_.state == "open" and session.scalar(_WAITING, {"round": round_.id}) is None:
        close_now(session, round_, now)


def close_now(session: Session, round_: Round, now: datetime) -> None:
    """An open round is labelled, whatever still waits for a review, and its tell job queued."""
    round_.state, round_.labelled_at = "labelled", now
    queue_job(
        session,
        project_id=round_.project_id,
        kind="tell",
        now=now,
        payload={"round_id": round_.id},
        key=f"tell:{round_.id}",
    )
    events.record(session, now=now, kind="round_labelled", project_id=round_.project_id, round=round_.number)


def list_rounds(session: Session, project_id: int, *, limit: int, after: int) -> Sequence[Round]:
    """Rounds with numbers above `after`, first to last."""
    chosen = select(Round).where(Round.project_id == project_id, Round.number > after)
    return session.scalars(chosen.order_by(Round.number).limit(limit)).all()


def told_rounds(session: Session, project_id: int) -> list[ToldRound]:
    """The rounds that were learned from, first to last."""
    chosen = select(Round.id, Round.number).where(Round.project_id == project_id, Round.state == "told")
    return [ToldRound(id=id, number=number) for id, number in session.execute(chosen.order_by(Round.number))]


def seen_rounds(session: Session, project_id: int) -> list[SeenRound]:
    """The rounds that a policy asked for and that brought a measured gain, first to last."""
    chosen = select(Round.number, Round.reward, Round.seen_key).where(
        Round.project_id == project_id, Round.state == "told", Round.reward.is_not(None), Round.seen_key.is_not(None)
    )
    rows = session.execute(chosen.order_by(Round.number))
    return [
        SeenRound(number=number, gain=gain, seen_key=key)
        for number, gain, key in rows
        if gain is not None and key is not None
    ]


def is_pretraining(session: Session, project_id: int) -> bool:
    """Whether a pretrain job is queued or running."""
    return pending_job(session, project_id, "pretrain") is not None
