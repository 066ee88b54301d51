"""What a round needs to know of the pool: its groups of images, what was proposed, what was labelled and how."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.domain.gold import GOLD
from service.domain.label_kinds import REVIEWED
from service.tables import Checkpoint, Image, ImageGroup, Job, Label, Project, Region, Round

_decided = aliased(Label)
_LEARN_FROM = select(Project.settings["learn_from"].as_string()).where(Project.id == Region.project_id)
DECIDED = or_(
    Label.kind.in_(REVIEWED),
    # What a change of classes has made of it.
    (Label.kind == "migrated") & exists().where(_decided.region_id == Label.region_id, _decided.kind.in_(REVIEWED)),
)
"""Whether a label is what a reviewer has decided or imported."""

LEARNED = or_(func.coalesce(_LEARN_FROM.correlate(Region).scalar_subquery(), "newest") != "reviewed", DECIDED)
"""Whether a label is learned from: where a project says `reviewed`, those that are `DECIDED` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRegion:
    """The latest label of a region, and where the region is. `mask` is an 8-bit PNG of class ids."""

    region_id: int
    round_id: int
    group_id: int
    ordinal: int
    cell: int
    mask: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedLabel:
    """A region's first label, an 8-bit PNG of class ids of height x width, and the seconds that it took."""

    height: int
    width: int
    mask: bytes
    seconds: float


def groups_of_split(session: Session, project_id: int, split: str) -> Sequence[ImageGroup]:
    """The groups in their fixed order, which numbers the split's images."""
    chosen = select(ImageGroup).where(ImageGroup.project_id == project_id, ImageGroup.split == split)
    return session.scalars(chosen.order_by(ImageGroup.id)).all()


def image_in_group(session: Session, group_id: int, ordinal: int) -> Image:
    """The image at a place of a group."""
    return session.scalars(select(Image).where(Image.group_id == group_id, Image.ordinal == ordinal)).one()


def images_in_group(session: Session, group_id: int, ordinals: Sequence[int]) -> list[Image]:
    """The images at some places of a group, in no order."""
    chosen, found = select(Image).where(Image.group_id == group_id), list[Image]()
    for start in range(0, len(ordinals), 500):  # SQLite bounds the parameters of a statement
        found += session.scalars(chosen.where(Image.ordinal.in_(ordinals[start : start + 500])))
    return found


def whole_images(session: Session, project_id: int, splits: Iterable[str]) -> list[tuple[int, int, int]]:
    """(height, width, how many) of the splits' images that are labelled as a whole."""
    # By way of the groups: a pool of a million images is not gone through for a few others.
    chosen = select(ImageGroup.height, ImageGroup.width, func.count()).join(Image, Image.group_id == ImageGroup.id)
    chosen = chosen.where(
        ImageGroup.project_id == project_id, ImageGroup.split.in_(splits), Image.label_key.is_not(None)
    )
    return [(h, w, count) for h, w, count in session.execute(chosen.group_by(ImageGroup.height, ImageGroup.width))]


def proposed_cells(session: Session, project_id: int) -> Sequence[tuple[int, int, int]]:
    """(group id, ordinal, cell) of every region ever proposed: what is no longer in U_t."""
    chosen = select(Image.group_id, Image.ordinal, Region.cell).join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state != GOLD)
    return [(g, o, c) for g, o, c in session.execute(chosen)]


def gold_cells(session: Session, project_id: int) -> Sequence[tuple[int, int, int]]:
    """(group id, ordinal, cell) of every gold region."""
    chosen = select(Image.group_id, Image.ordinal, Region.cell).join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == GOLD)
    return [(g, o, c) for g, o, c in session.execute(chosen)]


def label_counts(session: Session, project_id: int) -> list[list[Any]]:
    """Pixels of each class in the latest label of every labelled region of the rounds learned from, by region.

    A round that is being labelled is left out: what a round ahead of it chooses must not depend on who is fast.
    """
    chosen = latest_labels(select(Label.class_counts)).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", Round.state == "told", LEARNED)
    return list(session.scalars(chosen.order_by(Region.id)))


def labelled_parts(session: Session, project_id: int, per_cell: int) -> list[int]:
    """Which part of its cell each region of `label_counts` is, in the same order; `per_cell` is how many a cell has."""
    chosen = latest_labels(select(Region.cell)).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", Round.state == "told", LEARNED)
    return [cell % per_cell for cell in session.scalars(chosen.order_by(Region.id))]


def labelled_regions(
    session: Session, project_id: int, *, told: bool = False, image_ids: Iterable[int] | None = None
) -> list[LabelledRegion]:
    """Labelled regions to learn from with their latest masks, oldest first: of the project, its `told` rounds, or some images."""
    columns = select(Region.id, Region.round_id, Image.group_id, Image.ordinal, Region.cell, Label.mask)
    chosen = latest_labels(columns).join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", LEARNED).order_by(Region.id)
    if told:
        chosen = chosen.join(Round, Region.round_id == Round.id).where(Round.state == "told")
    if image_ids is not None:
        chosen = chosen.where(Region.image_id.in_(list(image_ids)))
    return [
        LabelledRegion(region_id=i, round_id=r, group_id=g, ordinal=o, cell=c, mask=m)
        for i, r, g, o, c, m in session.execute(chosen)
    ]


def timed_labels(session: Session, project_id: int, *, limit: int) -> list[TimedLabel]:
    """The newest first labels of regions of the rounds learned from, if sent with their seconds. A correction is no drawing."""
    chosen = select(Region.height, Region.width, Label.mask, Label.seconds).join(Region, Label.region_id == Region.id)
    chosen = chosen.join(Round, Region.round_id == Round.id).where(Round.state == "told")
    chosen = chosen.where(Region.project_id == project_id, Label.version == 1, Label.seconds.is_not(None))
    found = session.execute(chosen.order_by(Label.id.desc()).limit(limit))
    return [TimedLabel(height=h, width=w, mask=m, seconds=s) for h, w, m, s in found if s is not None]


def image_ids_of_round(session: Session, round_id: int) -> list[int]:
    """Images that hold a region of the round."""
    return list(session.scalars(select(Region.image_id).where(Region.round_id == round_id).distinct()))


def changed_since_told(session: Session, project_id: int) -> dict[int, int]:
    """By their numbers the images of regions whose label came after their round was over, and that no tell since has seen.

    As well those of rounds that were passed over for a `pretrain` that has not come to its end.

    Labels go by their numbers, given as they are written: an import's moment is that of its request, which may take long. A tell
    has seen it that knew of labels so new, if the label's round was told by then: before the label came, or before the tell's
    own round was labelled. Of two tells side by side both may learn from a label, but never none.
    """
    later = aliased(Round)
    seen = exists().where(
        later.project_id == project_id,
        later.learned_label_id >= Label.id,
        or_(Label.created_at >= Round.told_at, later.labelled_at >= Round.told_at),
    )
    chosen = latest_labels(select(Region.id, Region.image_id)).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", Round.state == "told")
    unknown = Round.learned_label_id.is_(None) & (Label.created_at > Round.labelled_at)
    chosen = chosen.where(or_(unknown, Label.id > Round.learned_label_id, _passed_over()), ~seen)
    return {row[0]: row[1] for row in session.execute(chosen)}


def _passed_over() -> ColumnElement[bool]:
    """Whether a told round's own job has learned nothing from it, and no `pretrain` since, which learns from all told rounds.

    One that was closed without its job is not: what made that fail would have the next one fail, too.
    """
    own, other = aliased(Job), aliased(Job)
    by_job = exists().where(
        own.project_id == Round.project_id,
        own.dedup_key == "tell:" + cast(Round.id, String),
        own.state.not_in(("failed", "cancelled")),
    )
    pretrained = exists().where(
        Checkpoint.project_id == Round.project_id,
        Checkpoint.kind == "segmenter",
        Checkpoint.created_at >= Round.told_at,
        Checkpoint.job_id == other.id,
        other.kind == "pretrain",
    )
    return and_(Round.result_checkpoint_id.is_(None), by_job, ~pretrained)


def labels_upto(session: Session, project_id: int) -> int | None:
    """The newest label of a project, of which no older one is still being written: what a snapshot taken from now on has.

    See `await_labels`.
    """
    await_labels(session, project_id)
    chosen = select(func.max(Label.id)).join(Region, Label.region_id == Region.id)
    return session.scalar(chosen.where(Region.project_id == project_id))


def await_labels(session: Session, project_id: int) -> None:
    """Wait until labels of a project that are being written are there. Whoever writes one holds its round: all are locked."""
    session.execute(select(Round.id).where(Round.project_id == project_id).order_by(Round.id).with_for_update()).all()


def latest_labels(columns: Any) -> Any:
    """The columns, from regions joined with the newest version of their labels.

    The newest is looked for by region, in the index: to find it of all labels first would read those of every project.
    """
    versions = aliased(Label)
    newest = select(func.max(versions.version)).where(versions.region_id == Region.id).scalar_subquery()
    return columns.select_from(Region).join(Label, (Label.region_id == Region.id) & (Label.version == newest))
