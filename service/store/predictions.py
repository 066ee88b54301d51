"""What the newest segmenter predicts of regions that still wait for a label: which they are, and its label maps written."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service.domain.gold import GOLD
from service.store.checkpoints import get_checkpoint
from service.tables import Image, Region, RegionHints


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRegion:
    """A region that waits for a label, and where it is."""

    id: int
    group_id: int
    ordinal: int
    cell: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHints:
    """What a segmenter knows of a region beside its prediction: 8-bit PNGs, and numbers (see RegionHints)."""

    uncertainty: bytes
    features: bytes | None
    described: Mapping[str, Any]


def open_regions_of(session: Session, project_id: int) -> list[OpenRegion]:
    """The regions of a project that are neither labelled nor skipped, oldest first."""
    return _regions_of(session, project_id, "open")


def gold_regions_of(session: Session, project_id: int) -> list[OpenRegion]:
    """The gold regions of a project, oldest first: they show what the newest segmenter predicts, as those do that are open."""
    return _regions_of(session, project_id, GOLD)


def _regions_of(session: Session, project_id: int, state: str) -> list[OpenRegion]:
    columns = select(Region.id, Image.group_id, Image.ordinal, Region.cell).join(Image, Region.image_id == Image.id)
    chosen = columns.where(Region.project_id == project_id, Region.state == state).order_by(Region.id)
    return [OpenRegion(id=i, group_id=g, ordinal=o, cell=c) for i, g, o, c in session.execute(chosen)]


def refresh_predictions(
    session: Session,
    checkpoint_id: int,
    predictions: Mapping[int, bytes],
    hints: Mapping[int, NewHints] = {},
) -> None:
    """Give regions, by their ids, the label maps that this checkpoint predicts, 8-bit PNGs of class ids, and hints.

    Regions of other projects and those that are no longer open keep what they have: an annotator was shown it. Whoever
    holds a round locks it before; the regions are locked by id, as `lock_regions` does. Raises NotFound without a checkpoint.
    """
    if not predictions:
        return
    project_id = get_checkpoint(session, checkpoint_id).project_id
    waiting = select(Region.id).where(
        Region.id.in_(list(predictions)), Region.project_id == project_id, Region.state.in_(("open", GOLD))
    )
    changed = session.scalars(waiting.order_by(Region.id).with_for_update()).all()
    if changed:
        values = [
            {"id": id, "prediction": predictions[id], "prediction_checkpoint_id": checkpoint_id} for id in changed
        ]
        session.execute(update(Region), values)
        write_hints(session, checkpoint_id, {id: hints[id] for id in changed if id in hints}, stale=changed)


def write_hints(
    session: Session, checkpoint_id: int | None, hints: Mapping[int, NewHints], *, stale: Collection[int] = ()
) -> None:
    """Write hints of this checkpoint on regions, by their ids; those that the stale ones had go."""
    if stale:
        gone = delete(RegionHints).where(RegionHints.region_id.in_(stale))
        session.execute(gone, execution_options={"synchronize_session": False})
    rows = [
        {
            "region_id": id,
            "checkpoint_id": checkpoint_id,
            "uncertainty": each.uncertainty,
            "features": each.features,
            "described": dict(each.described),
        }
        for id, each in hints.items()
    ]
    if rows:
        session.execute(insert(RegionHints), rows)
