"""What an export is made of: labelled images in order, each with the latest label of its regions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.store.pool import latest_labels
from service.tables import Annotator, Image, Label, Region, Round


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRegion:
    """A labelled region of an image: where it is, its mask (8-bit PNG of class ids), and where the label came from."""

    region_id: int
    row: int
    col: int
    height: int
    width: int
    round_number: int
    annotator: str
    label_id: int
    version: int
    seconds: float | None
    created_at: datetime
    mask: bytes


def labelled_images(session: Session, project_id: int, *, at_once: int = 200) -> Iterator[Image]:
    """Images with at least one labelled region, by id, read a few at a time."""
    after = 0
    while True:
        labelled = select(Region.image_id).where(Region.project_id == project_id, Region.state == "labelled")
        chosen = select(Image).where(Image.id > after, Image.id.in_(labelled)).order_by(Image.id).limit(at_once)
        images = session.scalars(chosen).all()
        if not images:
            return
        yield from images
        after = images[-1].id


def regions_of_image(session: Session, image_id: int) -> Sequence[ExportedRegion]:
    """The labelled regions of an image, in the order of the grid."""
    columns = select(Region, Label, Round.number, Annotator.name)
    chosen = latest_labels(columns).join(Round, Region.round_id == Round.id)
    chosen = chosen.join(Annotator, Label.annotator_id == Annotator.id)
    chosen = chosen.where(Region.image_id == image_id, Region.state == "labelled").order_by(Region.cell)
    return [
        ExportedRegion(
            region_id=region.id,
            row=region.row,
            col=region.col,
            height=region.height,
            width=region.width,
            round_number=number,
            annotator=name,
            label_id=label.id,
            version=label.version,
            seconds=label.seconds,
            created_at=label.created_at,
            mask=label.mask,
        )
        for region, label, number, name in session.execute(chosen)
    ]
