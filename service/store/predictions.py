"""What the newest segmenter predicts of regions that still wait for a label: which they are, and its label maps written."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.store.checkpoints import get_checkpoint
from service.tables import Image, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRegion:
    """A region that waits for a label, and where it is."""

    id: int
    group_id: int
    ordinal: int
    cell: int


def open_regions_of(session: Session, project_id: int) -> list[OpenRegion]:
    """The regions of a project that are neither labelled nor skipped, oldest first."""
    columns = select(Region.id, Image.group_id, Image.ordinal, Region.cell).join(Image, Region.image_id == Image.id)
    chosen = columns.where(Region.project_id == project_id, Region.state == "open").order_by(Region.id)
    return [OpenRegion(id=i, group_id=g, ordinal=o, cell=c) for i, g, o, c in session.execute(chosen)]


def refresh_predictions(session: Session, checkpoint_id: int, predictions: Mapping[int, bytes]) -> None:
    """Give regions, by their ids, the label maps that this checkpoint predicts: 8-bit PNGs of class ids.

    Regions of other projects and those that are no longer open keep what they have: an annotator was shown it. Whoever
    holds a round locks it before; the regions are locked by id, as `lock_regions` does. Raises NotFound without a checkpoint.
    """
    if not predictions:
        return
    project_id = get_checkpoint(session, checkpoint_id).project_id
    waiting = select(Region.id).where(
        Region.id.in_(list(predictions)), Region.project_id == project_id, Region.state == "open"
    )
    changes = [
        {"id": id, "prediction": predictions[id], "prediction_checkpoint_id": checkpoint_id}
        for id in session.scalars(waiting.order_by(Region.id).with_for_update())
    ]
    if changes:
        session.execute(update(Region), changes)
