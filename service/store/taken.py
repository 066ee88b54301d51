"""What of a choice of regions is still to be had once it is written: others may have come first."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.covered import overlapping
from service.schemas.project_settings import ProjectSettings
from service.store.project_lock import lock_project
from service.tables import Project, Region


class OfAnImage(Protocol):
    """A region by its image and its number there."""

    @property
    def image_id(self) -> int: ...

    @property
    def cell(self) -> int: ...


Chosen = TypeVar("Chosen", bound=OfAnImage)


def cells_of(session: Session, image_ids: Collection[int]) -> dict[int, set[int]]:
    """The numbers of the regions of each image that were ever asked for, or labelled."""
    found: dict[int, set[int]] = defaultdict(set)
    listed = list(image_ids)
    for start in range(0, len(listed), 5000):  # databases bound the parameters of a statement
        part = listed[start : start + 5000]
        for image_id, cell in session.execute(select(Region.image_id, Region.cell).where(Region.image_id.in_(part))):
            found[image_id].add(cell)
    return found


def still_free(session: Session, project_id: int, chosen: Sequence[Chosen]) -> list[Chosen]:
    """Those of the chosen regions of which no pixel is taken; the project is locked until the transaction ends."""
    lock_project(session, project_id)
    levels = ProjectSettings.model_validate(session.get_one(Project, project_id).settings).levels
    by_image: dict[int, set[int]] = defaultdict(set)
    for each in chosen:
        by_image[each.image_id].add(each.cell)
    taken = cells_of(session, by_image)
    lost = {(id, cell) for id, cells in by_image.items() for cell in overlapping(cells, taken.get(id, ()), levels)}
    return [each for each in chosen if (each.image_id, each.cell) not in lost]
