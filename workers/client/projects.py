"""Projects of a service: found by their names, held against what an import brings, and made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from service.client import ApiError, Client
from service.domain.class_changes import reads
from service.domain.classes import CAMVID, CITYSCAPES, ClassSet
from service.schemas.projects import ProjectIn
from workers.client.known import KnownImages, known_images
from workers.client.limits import Limits, limits_of
from workers.client.ordering import ImportOrder
from workers.datasets.base import DatasetError

_PRESETS = {CAMVID: "camvid", CITYSCAPES: "cityscapes"}
Project = Mapping[str, Any]
UNASKED = (0, 401)
"""Statuses of a service that does not answer, or does not know the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a service has and takes: the project that an import adds to, None where it makes one, the images there, limits."""

    project: Project | None = None
    images: KnownImages = field(default_factory=KnownImages)
    limits: Limits = field(default_factory=Limits)


def look_up(client: Client, name: str, classes: ClassSet, order: ImportOrder) -> Standing:
    """What a service has and takes.

    Raises DatasetError as `require_fit`, where the caller may not, and, of a dry run, for what no service makes a project of.
    """
    there = project_named(client, name)
    require_fit(there, name, classes, order)
    _require_admin(client.call("GET", "/session"), there)
    if there is None and order.dry_run:
        _require_sound(_on_the_wire(name, classes, order.settings))
    images = KnownImages() if there is None else known_images(client, int(there["id"]))
    return Standing(project=there, images=images, limits=limits_of(client))


def project_named(client: Client, name: str) -> Project | None:
    """The project of a name."""
    return next((project for project in client.pages("/projects") if project["name"] == name), None)


def make_project(client: Client, name: str, classes: ClassSet, settings: Mapping[str, Any]) -> int:
    """Make one; returns its number."""
    return int(client.call("POST", "/projects", json=_on_the_wire(name, classes, settings))["id"])


@contextmanager
def project_for(
    client: Client, there: Project | None, name: str, classes: ClassSet, settings: Mapping[str, Any], console: Console
) -> Iterator[int]:
    """The number of the project that is there, or of one that is made. Where what comes then fails, one without an image is
    taken back, and of another it is said how to go on.
    """
    if there is not None:
        yield int(there["id"])
        return
    made = make_project(client, name, classes, settings)
    try:
        yield made
    except BaseException as error:
        console.print(_left(client, made, name, error), markup=False, highlight=False)
        raise


def _left(client: Client, made: int, name: str, error: BaseException) -> str:
    """What has become of a project that an import failed into: it is taken back where nothing has come."""
    stays = f"The project {name!r} is there, number {made}: the same command goes on with --into {name!r}."
    if isinstance(error, ApiError) and error.status == 0:
        return stays
    try:
        if any(client.call("GET", f"/projects/{made}")["images"].values()):
            return stays
        client.call("DELETE", f"/projects/{made}", params={"confirm": name})
    except ApiError:
        return stays
    return f"No image of it was taken, and the project {name!r} is not kept."


def _on_the_wire(name: str, classes: ClassSet, settings: Mapping[str, Any]) -> dict[str, Any]:
    wire = _PRESETS.get(classes) or classes.without_history().to_json()
    return {"name": name, "classes": wire, "settings": dict(settings)}


def _require_sound(project: Mapping[str, Any]) -> None:
    """Raises DatasetError for a project that a service of this release would not make."""
    try:
        ProjectIn.model_validate(project)
    except ValidationError as error:
        said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise DatasetError(f"No project can be made so: {'; '.join(said[:5])}.") from error


def _require_admin(who: Mapping[str, Any], project: Project | None) -> None:
    if who["role"] == "admin" or (project is not None and who["projects"].get(str(project["id"])) == "admin"):
        return
    what = "to make a project" if project is None else f"to add images to the project {project['name']!r}"
    raise DatasetError(f"The token is that of {who['name']}, and it takes an admin {what}: give an admin's.")


def require_classes(project: Project, classes: ClassSet) -> None:
    """Raises DatasetError where a project has others."""
    if not reads(ClassSet.from_json(project), classes):
        raise DatasetError(f"The project {project['name']!r} has other classes, ids or colours than the data set.")


def require_fit(project: Project | None, name: str, classes: ClassSet, order: ImportOrder) -> None:
    """Raises DatasetError where a project of this name is there and should not, or should and is not, or does not fit."""
    if order.into is None:
        if project is not None:
            raise DatasetError(
                f"There is a project {name!r} already, number {project['id']}: add to it with --into {name!r}, or give another "
                "--name."
            )
        return
    if project is None:
        raise DatasetError(f"There is no project {name!r} to add to; leave --into out to make one.")
    require_classes(project, classes)
    has = {key: project["settings"].get(key) for key in order.settings}
    other = {key: value for key, value in has.items() if value != order.settings[key]}
    if other:
        said = ", ".join(f"{key} {value!r}" for key, value in other.items())
        raise DatasetError(
            f"The project {name!r} has other settings: {said}. Change them with PATCH /projects/{project['id']}."
        )
