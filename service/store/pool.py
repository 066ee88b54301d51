"""What a round needs to know of the pool: its groups of images, what was proposed, what was labelled and how."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.tables import Image, ImageGroup, Label, Region, Round


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


def whole_images(session: Session, project_id: int, splits: Iterable[str]) -> list[tuple[int, int, int]]:
    """(height, width, how many) of the splits' images that are labelled as a whole."""
    chosen = select(Image.height, Image.width, func.count()).where(
        Image.project_id == project_id, Image.split.in_(splits), Image.label_key.is_not(None)
    )
    return [(h, w, count) for h, w, count in session.execute(chosen.group_by(Image.height, Image.width))]


def proposed_cells(session: Session, project_id: int) -> Sequence[tuple[int, int, int]]:
    """(group id, ordinal, cell) of every region ever proposed: what is no longer in U_t."""
    chosen = select(Image.group_id, Image.ordinal, Region.cell).join(Image, Region.image_id == Image.id)
    return [(g, o, c) for g, o, c in session.execute(chosen.where(Region.project_id == project_id))]


def label_counts(session: Session, project_id: int) -> list[list[Any]]:
    """Pixels of each class in the latest label of every labelled region of the rounds learned from, by region.

    A round that is being labelled is left out: what a round ahead of it chooses must not depend on who is fast.
    """
    chosen = latest_labels(select(Label.class_counts)).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", Round.state == "told")
    return list(session.scalars(chosen.order_by(Region.id)))


def labelled_parts(session: Session, project_id: int, per_cell: int) -> list[int]:
    """Which part of its cell each region of `label_counts` is, in the same order; `per_cell` is how many a cell has."""
    chosen = select(Region.cell).join(Round, Region.round_id == Round.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled", Round.state == "told")
    return [cell % per_cell for cell in session.scalars(chosen.order_by(Region.id))]


def labelled_regions(
    session: Session, project_id: int, *, told: bool = False, image_ids: Iterable[int] | None = None
) -> list[LabelledRegion]:
    """Labelled regions with their latest masks, oldest first: of the project, of its `told` rounds, or of some images."""
    columns = select(Region.id, Region.round_id, Image.group_id, Image.ordinal, Region.cell, Label.mask)
    chosen = latest_labels(columns).join(Image, Region.image_id == Image.id)
    chosen = chosen.where(Region.project_id == project_id, Region.state == "labelled").order_by(Region.id)
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


def latest_labels(columns: Any) -> Any:
    """The columns, from regions joined with the newest version of their labels.

    The newest is looked for by region, in the index: to find it of all labels first would read those of every project.
    """
    versions = aliased(Label)
    newest = select(func.max(versions.version)).where(versions.region_id == Region.id).scalar_subquery()
    return columns.select_from(Region).join(Label, (Label.region_id == Region.id) & (Label.version == newest))
