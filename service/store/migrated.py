"""Whether labels were checked, and figures computed, by the classes of now."""

from datetime import datetime

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import Session

from service.errors import Conflict
from service.tables import ClassChange, Project

MIGRATED = "migrated"
# What takes a change back says of which kind that was.
_KIND = func.coalesce(ClassChange.change["of"].as_string(), ClassChange.change["kind"].as_string())
_ALTERS = _KIND.not_in(("rename", "recolour"))


class ClassesChanged(Conflict):
    """The classes were changed after a label map was checked by them: check it again."""

    code = "classes_changed"

    def __init__(self) -> None:
        super().__init__("The project's classes are being changed just now: send the labels again.")


def class_changes_of(session: Session, project_id: int) -> int:
    """How often the project's classes were changed."""
    chosen = select(Project.classes["changes"].as_integer()).where(Project.id == project_id)
    return session.scalar(chosen) or 0


def require_classes(now: int, then: int) -> None:
    """Raises ClassesChanged where the classes were changed more often by now than when something was made with them."""
    if now != then:
        raise ClassesChanged


def last_altered(project_id: int) -> ScalarSelect[int]:
    """The number of the newest change that made other classes of a project's, and not just other names or colours; 0 for none."""
    chosen = select(func.coalesce(func.max(ClassChange.number), 0)).where(ClassChange.project_id == project_id)
    return chosen.where(_ALTERS).scalar_subquery()


def altered_since(session: Session, project_id: int, moment: datetime) -> bool:
    """Whether a project has other classes than it had at a moment."""
    chosen = select(ClassChange.id).where(ClassChange.project_id == project_id, ClassChange.created_at >= moment)
    chosen = chosen.where(_ALTERS)
    return session.scalar(chosen.limit(1)) is not None
