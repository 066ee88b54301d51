"""Images in the database: their arrival, in groups of one size, without gaps or races."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound
from service.schemas.project_settings import leaves_cells_open, suited_cells
from service.store import events, removals
from service.store.project_lock import lock_project
from service.tables import Image, ImageGroup, Project


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """A checked image whose bytes are stored already; `digest` is the SHA-256 of the file.

    seen_key, reading: of what is seen of it, where the file is not just that, and what was done to get there.
    """

    name: str
    split: str
    height: int
    width: int
    media_type: str
    digest: str
    blob_key: str
    seen_key: str | None = None
    reading: dict[str, Any] | None = None
    label_key: str | None = None


_OF_ARRIVALS = tuple(each.name for each in fields(NewImage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An image and whether it came with this call."""

    image: Image
    created: bool


def add_images(
    session: Session, project_id: int, arrivals: Sequence[NewImage], now: datetime, *, by: int | None = None
) -> list[Added]:
    """Add images, all or none; one that is there already with the same bytes and split is returned as it is.

    The first ones choose the size of the project's regions, if nobody has.

    Raises Conflict where a name stands for other bytes, another split or another label map.
    """
    # One arrival at a time in each project: ordinals have no gaps, and names and groups no races.
    lock_project(session, project_id)
    _choose_cell(session, project_id, arrivals, now, by)
    known = _images_by_name(session, project_id, [each.name for each in arrivals])
    new: dict[str, NewImage] = {}
    for arrival in arrivals:
        if arrival.name not in known:
            new.setdefault(arrival.name, arrival)
    made = {image.name: image for image in _insert(session, project_id, list(new.values()), now)}
    added = []
    for arrival in arrivals:
        image = known.get(arrival.name) or made[arrival.name]
        is_new = new.get(arrival.name) is arrival
        if not is_new:
            _check_same(image, arrival)
        added.append(Added(image=image, created=is_new))
    removals.keep(session, (key for each in arrivals for key in keys_of(each)))
    created = [each.image.id for each in added if each.created]
    if created:
        events.record(
            session,
            now=now,
            kind="images_added",
            project_id=project_id,
            annotator_id=by,
            count=len(created),
            first=created[0],
        )
    return added


def _choose_cell(
    session: Session, project_id: int, arrivals: Sequence[NewImage], now: datetime, by: int | None
) -> None:
    project = session.get(Project, project_id, populate_existing=True)
    if project is None:
        raise NotFound(f"There is no project {project_id}.")  # it was deleted meanwhile
    if not arrivals or not leaves_cells_open(project.settings):
        return
    chosen = suited_cells((each.height, each.width) for each in arrivals)
    project.settings = {**project.settings, **chosen}
    events.record(session, now=now, kind="project_changed", project_id=project_id, annotator_id=by, changes=chosen)


def keys_of(arrival: NewImage) -> tuple[str, str | None, str | None]:
    """The keys of all bytes of an image."""
    return arrival.blob_key, arrival.seen_key, arrival.label_key


def rename_image(session: Session, image_id: int, name: str, now: datetime, *, by: int | None = None) -> Image:
    """Give an image another name. Raises NotFound, and Conflict where another image of the project has it."""
    image = get_image(session, image_id)
    lock_project(session, image.project_id)
    taken = _images_by_name(session, image.project_id, [name]).get(name)
    if taken is not None and taken.id != image_id:
        raise _name_taken(taken, "which is another one")
    if taken is None:
        was, image.name = image.name, name
        events.record(
            session,
            now=now,
            kind="image_renamed",
            project_id=image.project_id,
            annotator_id=by,
            image=image_id,
            was=was,
            name=name,
        )
    return image


def _images_by_name(session: Session, project_id: int, names: Sequence[str]) -> dict[str, Image]:
    found: dict[str, Image] = {}
    for start in range(0, len(names), 500):  # SQLite bounds the parameters of a statement
        part = names[start : start + 500]
        images = session.scalars(select(Image).where(Image.project_id == project_id, Image.name.in_(part)))
        found.update((image.name, image) for image in images)
    return found


def _locked_group(session: Session, project_id: int, split: str, height: int, width: int) -> ImageGroup:
    """The group of this split and size, made if it is the first; the caller holds the project's row."""
    place = {"project_id": project_id, "split": split, "height": height, "width": width}
    chosen = select(ImageGroup).filter_by(**place).with_for_update().execution_options(populate_existing=True)
    group = session.scalars(chosen).one_or_none()
    if group is None:
        group = ImageGroup(**place, count=0)
        session.add(group)
        session.flush()
    return group


def _insert(session: Session, project_id: int, arrivals: Sequence[NewImage], now: datetime) -> Sequence[Image]:
    """The rows of images that are not there yet, in one statement; each group's count is written once."""
    groups: dict[tuple[str, int, int], ImageGroup] = {}
    rows = []
    for arrival in arrivals:
        place = (arrival.split, arrival.height, arrival.width)
        if place not in groups:
            groups[place] = _locked_group(session, project_id, *place)
        group = groups[place]
        place_of = {"project_id": project_id, "group_id": group.id, "ordinal": group.count, "created_at": now}
        rows.append({name: getattr(arrival, name) for name in _OF_ARRIVALS} | place_of)
        group.count += 1
    if not rows:
        return ()
    session.flush()
    return session.scalars(insert(Image).returning(Image, sort_by_parameter_order=True), rows).all()


def _check_same(image: Image, arrival: NewImage) -> None:
    if image.digest != arrival.digest:
        raise _name_taken(image, "with other bytes")
    # The bytes of what is seen follow from both, and from the library that packed them.
    if image.reading != arrival.reading:
        raise _name_taken(image, "that was read otherwise")
    if image.split != arrival.split:
        raise _name_taken(image, f"in the split {image.split}")
    if arrival.label_key is not None and arrival.label_key != image.label_key:
        raise _name_taken(image, "with another label map" if image.label_key else "without a label map")


def _name_taken(image: Image, how: str) -> Conflict:
    return Conflict(
        f"The project already has an image {image.name}, {how}.",
        code="image_exists",
        detail={"image_id": image.id, "name": image.name},
    )


def get_image(session: Session, image_id: int) -> Image:
    """The image, or NotFound."""
    image = session.get(Image, image_id)
    if image is None:
        raise NotFound(f"There is no image {image_id}.")
    return image


def list_images(session: Session, project_id: int, *, split: str | None, limit: int, after: int) -> Sequence[Image]:
    """Images of a project with ids above `after`, in the order of arrival."""
    chosen = select(Image).where(Image.project_id == project_id, Image.id > after)
    if split is not None:
        chosen = chosen.where(Image.split == split)
    return session.scalars(chosen.order_by(Image.id).limit(limit)).all()
