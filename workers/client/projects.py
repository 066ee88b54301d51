"""Projects of a service: found by their names, held against what an import brings, and made."""

from collections.abc import Mapping
from typing import Any

from service.client import Client
from service.domain.class_changes import reads
from service.domain.classes import CAMVID, CITYSCAPES, ClassSet
from workers.client.known import KnownImages, known_images
from workers.client.ordering import ImportOrder
from workers.datasets.base import DatasetError

_PRESETS = {CAMVID: "camvid", CITYSCAPES: "cityscapes"}
Project = Mapping[str, Any]
UNASKED = (0, 401)
"""Statuses of a service that does not answer, or does not know the caller."""


def look_up(client: Client, name: str, classes: ClassSet, order: ImportOrder) -> tuple[Project | None, KnownImages]:
    """The project that an import adds to, None where it makes one, and the images there. Raises DatasetError as `require_fit`."""
    there = project_named(client, name)
    require_fit(there, name, classes, order)
    return there, KnownImages() if there is None else known_images(client, int(there["id"]))


def project_named(client: Client, name: str) -> Project | None:
    """The project of a name."""
    return next((project for project in client.pages("/projects") if project["name"] == name), None)


def make_project(client: Client, name: str, classes: ClassSet, settings: Mapping[str, Any]) -> int:
    """Make one; returns its number."""
    wire = _PRESETS.get(classes) or classes.without_history().to_json()
    return int(client.call("POST", "/projects", json={"name": name, "classes": wire, "settings": dict(settings)})["id"])


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
