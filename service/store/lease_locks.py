"""Regions locked by the leases that an annotator sends labels with: on the way of every label."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import Session

from service.store.regions import missing, no_lease
from service.store.rounds import lock_rounds
from service.tables import Among, Lease, Project, Region, by_dialect

# A lease's number, region and annotator never change, so that the row may be read beside the one that is waited for. Classes
# do, with all rounds locked: whoever has locked the region's round in a statement before reads those of now.
_LEASED = (
    select(
        Region.id,
        Region.round_id,
        Region.project_id,
        Region.state,
        Region.overlap,
        Region.priority,
        Lease.id.label("lease_id"),
        Project.settings["review"].as_string().label("review"),
        Project.settings["learn_from"].as_string().label("learn_from"),
        Project.classes["changes"].as_integer().label("class_changes"),
    )
    .join(Project, Region.project_id == Project.id)
    .order_by(Region.id)
    .with_for_update(of=Region)
)


def _lock_leased(among: Among) -> Any:
    given = (Lease.region_id == Region.id, Lease.annotator_id == bindparam("annotator"), among(Lease.id, "leases"))
    return _LEASED.outerjoin(Lease, and_(*given)).where(among(Region.id, "ids"))


_LOCK_LEASED = by_dialect(_lock_leased)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A region that is locked, as it is now. reviewed: a reviewer decides about it, whatever its labels are.

    class_changes: how often its project's classes were changed.
    """

    id: int
    round_id: int
    project_id: int
    state: str
    overlap: int
    priority: int
    reviewed: bool
    class_changes: int

    @property
    def plain(self) -> bool:
        """Whether it waits for a single label and never had one: by far most do, and take no further statement."""
        return self.state == "open" and self.overlap == 1 and self.priority == 0


def lock_leased(
    session: Session, leases: Mapping[int, int | None], annotator_id: int, round_ids: Collection[int]
) -> dict[int, Leased]:
    """Like `lock_regions`, of regions by the lease that each was given to the annotator by, whether that lasts or has ended.

    Raises NotFound where there is no such lease.
    """
    if not session.info.get("rounds", frozenset()).issuperset(round_ids):
        lock_rounds(session, round_ids)
    connection = session.connection()
    values = {"ids": list(leases), "annotator": annotator_id, "leases": [each or 0 for each in leases.values()]}
    rows = connection.execute(_LOCK_LEASED[connection.dialect.name], values).all()
    # Of two leases of one region that were sent, which is refused afterwards, each has its row.
    found = {(row.id, row.lease_id) for row in rows}
    locked = {row.id: _leased(row) for row in rows}
    if absent := leases.keys() - locked.keys():
        raise missing(absent)
    for region_id, lease_id in leases.items():
        if (region_id, lease_id) not in found or lease_id is None:
            raise no_lease(region_id)
    return locked


def _leased(row: Any) -> Leased:
    return Leased(
        id=row.id,
        round_id=row.round_id,
        project_id=row.project_id,
        state=row.state,
        overlap=row.overlap,
        priority=row.priority,
        reviewed=row.review == "all" or row.learn_from == "reviewed",
        class_changes=row.class_changes or 0,
    )
