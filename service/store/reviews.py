"""Reviews in the database: what waits for one, what reviewers decide, and what follows for the region."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.domain.label_kinds import REVIEWED
from service.errors import Conflict, Invalid
from service.store import events
from service.store.afterwards import learn_afterwards
from service.store.answers import Answers, answers_of
from service.store.comparisons import compare_labels
from service.store.labels import Submission
from service.store.migrated import class_changes_of, require_classes
from service.store.regions import PLACED, Placed, frames, lock_regions, placed
from service.store.rounds import close_if_done
from service.store.settling import settle
from service.tables import Image, Label, Lease, Project, Region, Review, Round

Decision = Literal["accepted", "corrected", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reviewer says of a label of a region, of the one that it goes by where none is named.

    Of rejected ones: all that annotators have drawn. `correction` is the label map of what is `corrected`.
    """

    decision: Decision
    label_id: int | None
    reason: str
    correction: Submission | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The reviews that were written, or were there already, and the region as it is now."""

    reviews: Sequence[Review]
    created: bool
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A region that waits for a review, its labels that it goes by, oldest first, and the number of the newest of all."""

    placed: Placed
    labels: Sequence[Label]
    newest_label: int


def decide(session: Session, region_id: int, verdict: Verdict, reviewer_id: int, *, now: datetime) -> Decided:
    """Write what a reviewer decides, and the version of the label that counts from then on. The same again changes nothing.

    Raises Conflict for one's own label, and a region that does not wait for a review and is not labelled; Invalid for a label
    that is not one of the region's, or where several do and none is named.
    """
    round_id = frames(session, [region_id])[region_id].round_id
    regions, rounds = lock_regions(session, [region_id], [round_id])
    region = regions[region_id]
    if verdict.correction is not None:
        require_classes(class_changes_of(session, region.project_id), verdict.correction.class_changes)
    answers = answers_of(session, [region_id])[region_id]
    if said := _said_before(session, region, answers, verdict, reviewer_id):
        return Decided(reviews=said, created=False, region=region)
    _require_reviewable(region, answers)
    _require_standing(session, region, answers, verdict.label_id)
    targets = _targets(region, answers, verdict)
    _require_of_others(region, answers, targets, reviewer_id)
    held = update(Lease).where(Lease.region_id == region_id, Lease.ended_at.is_(None))
    session.execute(held.values(ended_at=now, end="revoked"), execution_options={"synchronize_session": False})
    if verdict.decision == "rejected":
        reviews = [_review(region, each, verdict, reviewer_id, None, now) for each in targets]
        region.state, region.priority, teaches = "open", 1, False
    else:
        result = _result(targets[0], answers, verdict, reviewer_id, now)
        session.add(result)
        session.flush()
        if verdict.correction is not None:
            compare_labels(session, [region_id], reviewer_id, now)
        reviews = [_review(region, targets[0], verdict, reviewer_id, result.id, now)]
        teaches = _teaches(session, region, answers.counting, result)
        region.state = "labelled"
    session.add_all(reviews)
    _record(session, region, reviews, now)
    session.flush()
    if verdict.decision == "rejected":
        settle(session, [region_id], now)
    close_if_done(session, rounds[round_id], now)
    if teaches:
        learn_afterwards(session, [round_id], now)
    return Decided(reviews=reviews, created=True, region=region)


def _teaches(session: Session, region: Region, before: Label | None, result: Label) -> bool:
    """Whether a decision gives other labels to learn from, and does not just confirm the one that counted `before`."""
    if region.state != "labelled" or before is None or before.digest != result.digest:
        return True
    learn_from = session.get_one(Project, region.project_id).settings.get("learn_from")
    return learn_from == "reviewed" and before.kind not in REVIEWED


def _require_reviewable(region: Region, answers: Answers) -> None:
    detail = {"region_id": region.id}
    if region.gold:
        sentence = f"Region {region.id} is gold: its truth is known, and labels of it are held against that."
        raise Conflict(sentence, code="region_gold", detail=detail)
    if region.state == "open":
        more = region.overlap - len(answers.standing)
        sentence = (
            f"Region {region.id} waits for {more} more label{'' if more == 1 else 's'}: review it when they are there."
        )
        raise Conflict(sentence, code="region_open", detail=detail)
    if region.state == "skipped":
        sentence = f"Region {region.id} has been skipped: open it again (POST /regions/{region.id}/unskip) to have it labelled."
        raise Conflict(sentence, code="region_skipped", detail=detail)


def _counts(region: Region, answers: Answers) -> list[Label]:
    """The label that counts for a region that is done, if any."""
    return [answers.counting] if region.state == "labelled" and answers.counting is not None else []


def _require_standing(session: Session, region: Region, answers: Answers, label_id: int | None) -> None:
    """Refuse a label that the region does not go by: 409 for one that it went by before, 422 for any other."""
    known = sorted(each.id for each in [*answers.standing, *_counts(region, answers)])
    if label_id is None or label_id in known:
        return
    goes_by = ", ".join(map(str, known)) or "none"
    detail = {"region_id": region.id, "labels": known}
    if session.scalar(select(Label.id).where(Label.id == label_id, Label.region_id == region.id)) is not None:
        sentence = (
            f"Label {label_id} of region {region.id} stands no more: look at what the region goes by now: {goes_by}."
        )
        raise Conflict(sentence, code="label_replaced", detail=detail)
    sentence = f"Label {label_id} is none of region {region.id}, which goes by these: {goes_by}."
    raise Invalid(sentence, code="label_not_here", detail=detail)


def _targets(region: Region, answers: Answers, verdict: Verdict) -> list[Label]:
    """The labels that a verdict is about; of what is rejected all that were drawn, or one of them."""
    standing, counts = answers.standing, _counts(region, answers)
    known = {each.id: each for each in [*standing, *counts]}
    named = known.get(verdict.label_id or 0)
    if verdict.decision == "rejected":
        drawn = [named] if named is not None and named in standing else standing
        if drawn:
            return drawn
    elif named is not None:
        return [named]
    elif counts or len(standing) == 1:
        return counts or standing
    elif len(standing) > 1:
        listed = ", ".join(str(each.id) for each in standing)
        sentence = f"Region {region.id} has several labels: say by label_id which is {verdict.decision}: {listed}."
        raise Invalid(sentence, code="which_label", detail={"region_id": region.id})
    elif verdict.decision == "corrected" and answers.counting is not None:
        return [answers.counting]  # all were rejected, and nobody is left to draw another
    sentence = f"All labels of region {region.id} were rejected: correct one, or skip the region."
    raise Conflict(sentence, code="nothing_to_review", detail={"region_id": region.id})


def _require_of_others(region: Region, answers: Answers, targets: Sequence[Label], reviewer_id: int) -> None:
    authors = {each.annotator_id for each in targets}
    if any(each.kind == "agreed" for each in targets):
        authors |= {each.annotator_id for each in answers.standing}
    if reviewer_id in authors:
        sentence = f"A label of region {region.id} that this is about is your own: somebody else has to review it."
        raise Conflict(sentence, code="own_label", detail={"region_id": region.id})


def _result(target: Label, answers: Answers, verdict: Verdict, reviewer_id: int, now: datetime) -> Label:
    """The version that counts from now on: what was accepted keeps its author, a correction is its reviewer's."""
    result = Label(region_id=target.region_id, version=answers.next_version, kind=verdict.decision, created_at=now)
    result.corrects_id = target.id
    correction = verdict.correction
    if correction is None:
        result.annotator_id, result.mask, result.digest = target.annotator_id, target.mask, target.digest
        result.class_counts, result.seconds = target.class_counts, target.seconds
        return result
    if correction.digest == target.digest:
        sentence = f"The correction has the same pixels as label {target.id}: accept that, or send another label map."
        raise Invalid(sentence, code="nothing_corrected", detail={"region_id": target.region_id})
    result.annotator_id, result.mask, result.digest = reviewer_id, correction.mask, correction.digest
    result.class_counts, result.seconds = correction.class_counts, correction.seconds
    return result


def _review(
    region: Region, label: Label, verdict: Verdict, reviewer_id: int, result_id: int | None, now: datetime
) -> Review:
    return Review(
        project_id=region.project_id,
        region_id=region.id,
        label_id=label.id,
        reviewer_id=reviewer_id,
        decision=verdict.decision,
        reason=verdict.reason,
        result_label_id=result_id,
        created_at=now,
    )


def _said_before(
    session: Session, region: Region, answers: Answers, verdict: Verdict, reviewer_id: int
) -> list[Review]:
    """The reviews that a verdict became when it was sent before, if nothing has happened to the region since."""
    ours = (Review.reviewer_id == reviewer_id, Review.decision == verdict.decision, Review.reason == verdict.reason)
    chosen = select(Review).where(Review.region_id == region.id, *ours).order_by(Review.id.desc()).limit(1)
    last, counting = session.scalars(chosen).first(), answers.counting
    if last is None or counting is None or (verdict.label_id is not None and last.label_id != verdict.label_id):
        return []
    if verdict.decision == "rejected":
        return [last] if region.state == "open" and not answers.standing and last.label_id in answers.rejected else []
    same = verdict.correction is None or verdict.correction.digest == counting.digest
    return [last] if last.result_label_id == counting.id and same else []


def _record(session: Session, region: Region, reviews: Sequence[Review], now: datetime) -> None:
    for each in reviews:
        events.record(
            session,
            now=now,
            kind="label_reviewed",
            project_id=region.project_id,
            annotator_id=each.reviewer_id,
            region=region.id,
            label=each.label_id,
            decision=each.decision,
            reason=each.reason,
            result=each.result_label_id,
        )


def waiting_for_review(session: Session, project_id: int, *, limit: int, after: int) -> list[Waiting]:
    """Regions that wait for a review whose newest label has a number above `after`: in the order of these, oldest first."""
    newest = select(func.max(Label.id)).where(Label.region_id == Region.id).correlate(Region).scalar_subquery()
    chosen = select(*PLACED, newest.label("newest")).join(Round, Region.round_id == Round.id)
    chosen = chosen.join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "review", newest > after)
    rows = session.execute(chosen.order_by(newest).limit(limit)).all()
    answers = answers_of(session, [row.id for row in rows])
    return [Waiting(placed=placed(row), labels=answers[row.id].standing, newest_label=row.newest) for row in rows]


def reviews_of(session: Session, region_id: int, *, limit: int, after: int) -> Sequence[Review]:
    """What reviewers decided about a region, with numbers above `after`, oldest first."""
    chosen = select(Review).where(Review.region_id == region_id, Review.id > after)
    return session.scalars(chosen.order_by(Review.id).limit(limit)).all()


def rejection(session: Session, region_id: int, *, of: int | None = None) -> str | None:
    """Why a label of a region was rejected last, be it one that `of` drew; None where none was."""
    chosen = select(Review.reason).join(Label, Review.label_id == Label.id)
    chosen = chosen.where(Review.region_id == region_id, Review.decision == "rejected")
    if of is not None:
        chosen = chosen.where(Label.annotator_id == of)
    return session.scalar(chosen.order_by(Review.id.desc()).limit(1))
