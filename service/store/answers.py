"""What annotators have answered for a region: the versions of its label by who drew them, and those that were rejected."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Exists, exists, select
from sqlalchemy.orm import Session, aliased, defer

from service.domain.label_kinds import DRAWN, REVIEWED
from service.tables import Label, Lease, Region, Review

SKIPPED = ("skipped", "unskipped")
"""How leases ended that skipped their region; by `unskipped` ones it may be given to the same people again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The versions of a region's label, oldest first, their bytes not read yet; and when which, by number, were rejected."""

    versions: Sequence[Label]
    rejected: Mapping[int, datetime]

    @property
    def next_version(self) -> int:
        """The number of the version that comes next."""
        return self.versions[-1].version + 1 if self.versions else 1

    @property
    def counting(self) -> Label | None:
        """The version that counts once the region is labelled."""
        return self.versions[-1] if self.versions else None

    @property
    def standing(self) -> list[Label]:
        """The newest that each annotator drew, unless it was rejected, oldest first."""
        newest = {each.annotator_id: each for each in self.versions if each.kind in DRAWN}
        return sorted((each for each in newest.values() if each.id not in self.rejected), key=lambda each: each.version)

    def own(self, annotator_id: int) -> Label | None:
        """The newest that an annotator drew, be it rejected."""
        return next(
            (each for each in reversed(self.versions) if each.annotator_id == annotator_id and each.kind in DRAWN), None
        )

    def decided_since(self, label: Label) -> bool:
        """Whether a reviewer has decided since a label came."""
        return label.id in self.rejected or any(
            each.version > label.version and each.kind in REVIEWED for each in self.versions
        )


def answers_of(session: Session, region_ids: Sequence[int]) -> Mapping[int, Answers]:
    """The answers for each of these regions."""
    versions = defaultdict[int, list[Label]](list)
    chosen = select(Label).where(Label.region_id.in_(region_ids)).order_by(Label.version).options(defer(Label.mask))
    for label in session.scalars(chosen):
        versions[label.region_id].append(label)
    rejected = defaultdict[int, dict[int, datetime]](dict)
    turned_down = select(Review.region_id, Review.label_id, Review.created_at).where(Review.decision == "rejected")
    for region_id, label_id, at in session.execute(turned_down.where(Review.region_id.in_(region_ids))):
        rejected[region_id][label_id] = at
    return {id: Answers(versions=versions[id], rejected=rejected[id]) for id in region_ids}


def versions_of(session: Session, region_id: int, *, by: int | None, limit: int, after: int) -> Sequence[Label]:
    """Versions of a region's label above `after`, oldest first, their bytes not read yet; of `by` alone, where named."""
    chosen = select(Label).where(Label.region_id == region_id, Label.version > after).options(defer(Label.mask))
    chosen = chosen.order_by(Label.version).limit(limit)
    return session.scalars(chosen if by is None else chosen.where(*_drawn_by(by))).all()


def version_of(session: Session, region_id: int, version: int, *, by: int | None) -> Label | None:
    """A version of a region's label; one that `by` drew, where that is named."""
    chosen = select(Label).where(Label.region_id == region_id, Label.version == version)
    return session.scalars(chosen if by is None else chosen.where(*_drawn_by(by))).one_or_none()


def _drawn_by(annotator_id: int) -> tuple[ColumnElement[bool], ...]:
    return Label.annotator_id == annotator_id, Label.kind.in_((*DRAWN, "corrected"))


def has_skipped(annotator_id: ColumnElement[int]) -> Exists:
    """Whether an annotator has skipped `Region`, as a part of a statement."""
    lease = aliased(Lease)
    return exists().where(lease.region_id == Region.id, lease.annotator_id == annotator_id, lease.end == "skipped")


def has_drawn(annotator_id: ColumnElement[int]) -> Exists:
    """Whether an annotator has ever drawn a label of `Region`, be it rejected, as a part of a statement."""
    label = aliased(Label)
    return exists().where(label.region_id == Region.id, label.annotator_id == annotator_id, label.kind.in_(DRAWN))


def has_standing(annotator_id: ColumnElement[int]) -> Exists:
    """Whether an annotator has drawn a label of `Region` that nobody has rejected since, as a part of a statement."""
    label, review, of = aliased(Label), aliased(Review), aliased(Label)
    # Who draws anew after a rejection has a label that stands; what they drew before went with the rejected one.
    turned_down = exists().where(
        review.region_id == label.region_id,
        review.decision == "rejected",
        review.label_id >= label.id,
        review.label_id == of.id,
        of.annotator_id == label.annotator_id,
    )
    return exists().where(
        label.region_id == Region.id, label.annotator_id == annotator_id, label.kind.in_(DRAWN), ~turned_down
    )
