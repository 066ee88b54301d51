"""Which images mIoU is measured on, and which rounds' figures can be held against each other."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from service.store.migrated import last_altered
from service.tables import Image, ImageGroup, Round


def reward_ids(session: Session, project_id: int) -> list[int]:
    """The ids of D_R's labelled images, in the order in which they are measured."""
    chosen = select(Image.id).join(ImageGroup, Image.group_id == ImageGroup.id)
    chosen = chosen.where(ImageGroup.project_id == project_id, ImageGroup.split == "reward")
    return list(session.scalars(chosen.where(Image.label_key.is_not(None)).order_by(Image.group_id, Image.ordinal)))


def name_of(image_ids: Sequence[int]) -> str:
    """16 hexadecimal digits for these images. A label map never changes once it is there, so the ids say it all."""
    return hashlib.sha256(",".join(map(str, image_ids)).encode()).hexdigest()[:16]


def measured_alike(project_id: int, image_ids: Sequence[int]) -> ColumnElement[bool]:
    """Of rounds: mIoU was measured on these images, with the classes as they are now.

    Rounds of earlier versions do not say what they were measured on, and do not count as alike.
    """
    return and_(Round.measured_on == name_of(image_ids), Round.class_changes >= last_altered(project_id))
