"""How many regions a project's images divide into, how many were proposed, and how many still may be."""

import math
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain import quarters
from service.domain.gold import GOLD
from service.domain.methods import IMPORT
from service.domain.regions import Grid
from service.schemas.project_settings import ProjectSettings
from service.tables import ImageGroup, Project, Region, Round

SPENT = ("open", "review", "labelled")
"""The states of regions that the budget is spent on, once for each, however many people label it."""


def regions_left(session: Session, project: Project) -> int:
    """How many regions may still be proposed: the budget less what is labelled or asked for, and what the pool has.

    Where there are several sizes, undivided ones, those counted of which a part is left.
    """
    settings = ProjectSettings.model_validate(project.settings)
    areas = region_areas(session, project.id, settings.levels)
    left = math.ceil(pool_regions(session, project.id, settings) - sum(areas.values()))
    budget = budget_left(session, project.id, settings, areas)
    return left if budget is None else min(left, budget)


def budget_left(session: Session, project_id: int, settings: ProjectSettings, areas: Mapping[str, float]) -> int | None:
    """How many regions the budget still allows, of several sizes undivided ones, part of one as one; None without a budget.

    `areas`: those of the project, as region_areas gives them.
    """
    if settings.budget is None:
        return None
    spent = spent_of(areas) - imported_area(session, project_id, settings.levels)
    return max(0, math.ceil(settings.budget - spent))


def spent_of(areas: Mapping[str, float]) -> float:
    """What of regions by state a budget is spent on, or, of imported ones, would be."""
    return sum(areas.get(state, 0.0) for state in SPENT)


def pool_left(session: Session, project: Project) -> float:
    """How much of the pool was never asked for, as so many undivided regions hold."""
    settings = ProjectSettings.model_validate(project.settings)
    return pool_regions(session, project.id, settings) - sum(
        region_areas(session, project.id, settings.levels).values()
    )


def region_areas(session: Session, project_id: int, levels: int, *, imported: bool = False) -> dict[str, float]:
    """Proposed regions by state, as many as undivided ones are as large; of `imported` rounds alone, if that is wished."""
    if levels == 1:  # states stand in an index, cells do not
        return {state: float(count) for state, count in region_counts(session, project_id, imported=imported).items()}
    part = Region.cell % quarters.nodes(levels)
    chosen = select(Region.state, part, func.count()).where(Region.project_id == project_id, Region.state != GOLD)
    if imported:
        chosen = chosen.join(Round, Region.round_id == Round.id).where(Round.strategy == IMPORT)
    areas: dict[str, float] = {}
    for state, of_part, count in session.execute(chosen.group_by(Region.state, part)):
        areas[state] = areas.get(state, 0.0) + count * quarters.share(of_part)
    return areas


def imported_area(session: Session, project_id: int, levels: int) -> float:
    """Regions that were never asked for, their labels having been imported, and that still count: no budget is spent on them."""
    return spent_of(region_areas(session, project_id, levels, imported=True))


def region_counts(session: Session, project_id: int, *, imported: bool = False) -> dict[str, int]:
    """Proposed regions by state; of `imported` rounds alone, if that is wished."""
    chosen = select(Region.state, func.count()).where(Region.project_id == project_id, Region.state != GOLD)
    if imported:
        chosen = chosen.join(Round, Region.round_id == Round.id).where(Round.strategy == IMPORT)
    return {row.state: row[1] for row in session.execute(chosen.group_by(Region.state))}


def pool_regions(session: Session, project_id: int, settings: ProjectSettings) -> int:
    """All regions of the pool split."""
    return _split_regions(session, project_id, "pool", settings)


def state_regions(session: Session, project: Project) -> int:
    """All regions of D_S."""
    return _split_regions(session, project.id, "state", ProjectSettings.model_validate(project.settings))


def _split_regions(session: Session, project_id: int, split: str, settings: ProjectSettings) -> int:
    """Arithmetic over the few image sizes."""
    groups = session.scalars(select(ImageGroup).where(ImageGroup.project_id == project_id, ImageGroup.split == split))
    return sum(group.count * grid_of(group.height, group.width, settings).cells.size for group in groups)


def grid_of(height: int, width: int, settings: ProjectSettings) -> Grid:
    """The region grid of an image of this size."""
    return Grid.over(height, width, settings)
