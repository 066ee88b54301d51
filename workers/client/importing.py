"""Puts a data set into the service over HTTP, as any other client would: the bytes that are there, through the one door."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.prompt import Confirm

from service.client import ApiError, Client
from service.domain.classes import ClassSet
from service.domain.label_doubts import SAY_HOW
from service.domain.label_readings import LabelReading
from service.domain.readings import Reading, color_of
from service.progress import Progress
from service.schemas.project_settings import leaves_cells_open
from workers.client.entries import Entry, entries_of
from workers.client.known import KnownImages
from workers.client.limits import limits_of
from workers.client.ordering import ImportOrder
from workers.client.places import LIST, Place, placed
from workers.client.planning import Plan, plan_of
from workers.client.pool_labels import send_pool_labels
from workers.client.projects import (
    UNASKED,
    Standing,
    look_up,
    make_project,
    project_for,
    project_named,
    require_classes,
)
from workers.client.sending import send
from workers.client.told import tell_plan
from workers.datasets import open_dataset
from workers.datasets.base import SPLITS, Dataset, DatasetError
from workers.datasets.folder import FolderReading, LabelsNamedOtherwise, open_folder
from workers.datasets.formats import FORMATS, FormatReading
from workers.datasets.listed import open_list

OWN = "regionwise"


def import_dataset(client: Client, **given: Any) -> int | None:
    """Check all, then send all; the project's number, None for a dry run. `given`: the fields of an ImportOrder.

    Raises DatasetError, before anything is sent, where something is wrong that the order does not go on with.
    """
    order, console = ImportOrder(**given), Console()
    if not isinstance(order.settings, dict):
        raise DatasetError('--settings takes a JSON object, such as {"budget": 1000}.')
    if order.root is None:
        return _import(client, order, console, None)
    with placed(order.root) as place:
        return _import(client, order, console, place)


def _import(client: Client, order: ImportOrder, console: Console, place: Place | None) -> int | None:
    opened = _opened(order, console, place)
    for note in opened.notes:
        console.print(note, markup=False, highlight=False)
    if order.dataset == OWN:
        # The project has them all, each with labels of its own.
        order = replace(order, pool_labels=True, keep_twins=True)
    elif order.dataset in FORMATS and "pool" in opened.splits and not order.pool_labels:
        console.print("Labels of the pool stay here; with --pool-labels they are sent, of the regions that they cover.")
    if order.into is None:
        order = replace(order, settings={**opened.settings, **order.settings})
    name = order.into or order.name or (order.dataset if place is None else place.name)
    there = _looked_up(client, name, opened.classes, order, console)
    whole = sum(len(source) for split, source in opened.splits.items() if split in order.splits)
    with Progress("Reading files", total=whole, unit="images") as progress:
        plan = plan_of(
            opened,
            order.splits,
            known=there.images,
            limits=there.limits,
            keep_twins=order.keep_twins,
            pool_labels=order.pool_labels,
            advance=progress.advance,
        )
    tell_plan(console, plan, name)
    _require_sound(plan, order)
    if there.project is None and leaves_cells_open(order.settings):
        cell = plan.cell
        order = replace(order, settings={**order.settings, **cell})
        console.print(
            "Regions of {cell_height} x {cell_width} pixels, as suits the images; by --settings others. How finely they are "
            "looked at (stride) labels show.".format(**cell),
            highlight=False,
        )
    urls = _urls(plan, place) if order.reference else None
    absent = _absent(there.images, plan.entries)
    if order.dry_run:
        console.print("A dry run: nothing was sent.")
        return None
    with project_for(client, there.project, name, opened.classes, order.settings, console) as project:
        send(client, project, absent, opened, order, urls, limits=there.limits)
        if order.pool_labels:
            source = f"Imported from {order.dataset} as {name}."
            told = send_pool_labels(
                client, project, plan.entries, opened.classes, source=source, replace=order.replace, limits=there.limits
            )
            console.print(str(told), markup=False, highlight=False)
    return project


def _looked_up(client: Client, name: str, classes: ClassSet, order: ImportOrder, console: Console) -> Standing:
    """What the service has and takes; a dry run goes on without one, which it says."""
    try:
        return look_up(client, name, classes, order)
    except ApiError as error:
        if not order.dry_run or error.status not in UNASKED:
            raise
        console.print(
            f"The service was not asked what it has, and what it takes: {error.message}", markup=False, highlight=False
        )
        return Standing()


def complete_project(
    client: Client,
    dataset: str,
    root: Path | None,
    name: str,
    settings: dict[str, Any],
    options: dict[str, Any] | None = None,
    splits: Sequence[str] = SPLITS,
) -> int:
    """Make (or complete) the project `name`; returns its number. The pool's label maps stay here: people give those."""
    opened = open_dataset(dataset, root, **(options or {}))
    order = ImportOrder(dataset=dataset, root=root, name=name, settings=settings, splits=splits, label_reading="")
    there = project_named(client, name)
    if there is None:
        project = make_project(client, name, opened.classes, settings)
    else:
        require_classes(there, opened.classes)
        project = int(there["id"])
    send(client, project, entries_of(opened, splits), opened, order, limits=limits_of(client))
    return project


def _opened(order: ImportOrder, console: Console, place: Place | None) -> Dataset:
    if order.dataset != "folder" and (order.pages is not None or order.classes is not None):
        raise DatasetError(
            f"--pages and --classes are for own images, and {order.dataset} has its own: leave them out."
        )
    images = Reading(scale=order.scale, background=color_of(order.background))
    if order.dataset not in ("folder", *FORMATS):
        if images != Reading():
            raise DatasetError(
                f"--scale and --background are for own images and other tools', and those of {order.dataset} are read as they "
                "are: leave them out."
            )
        return open_dataset(order.dataset, None if place is None else place.path)
    if place is None:
        raise DatasetError("Which folder? Say --root.")
    if order.dataset in FORMATS:
        return FORMATS[order.dataset](place.path, FormatReading(split=order.split, rest=order.rest, images=images))
    reading = FolderReading(
        labels=order.labels,
        images=images,
        label_maps=LabelReading.parse(order.label_reading),
        strays=order.strays,
        pages=order.pages,
    )
    if place.path.suffix.lower() == LIST and not place.path.is_dir():
        return open_list(place.path, reading=reading, classes=order.classes)
    try:
        opened = open_folder(place.path, reading=reading, classes=order.classes)
        return replace(opened, left_out=[*opened.left_out, *place.left_out])
    except LabelsNamedOtherwise as error:
        if not sys.stdin.isatty() or not Confirm.ask(f"{error} Is it?", console=console, default=True):
            raise
        return _opened(replace(order, labels=error.pattern), console, place)


def _require_sound(plan: Plan, order: ImportOrder) -> None:
    if plan.leaks and not order.anyway:
        example = " and ".join(plan.leaks[0])
        raise DatasetError(
            f"{len(plan.leaks)} pictures are in several splits, so that what is tested on is learned from: {example}. Take them "
            "out of all splits but one, or go on with --anyway."
        )
    if plan.at_odds and not order.anyway:
        one, taken = plan.at_odds[0]
        raise DatasetError(
            f"{len(plan.at_odds)} pictures have other labels under another name, which would be left out: {one} is {taken}. Take "
            "each picture under all its names (--keep-duplicates), or go on without these labels (--anyway)."
        )
    if plan.bad and not order.skip_bad:
        raise DatasetError(
            f"{len(plan.bad)} files cannot be taken, see above: mend them, or go on without (--skip-bad)."
        )
    doubts = plan.doubts(order.most_ignored)
    if doubts and not order.anyway:
        raise DatasetError(f"{' '.join(doubts)} {SAY_HOW}")
    if useless := plan.useless():
        more = f" ({len(useless) - 1} more are like it)" if len(useless) > 1 else ""
        raise DatasetError(
            f"Nothing can be learned from {useless[0]}, or measured on it, as its label map is{more}, and no service takes it: "
            "say how label maps are read, or take it out."
        )
    if not plan.entries:
        raise DatasetError("There is nothing to import.")


def _urls(plan: Plan, place: Place | None) -> dict[Path, str]:
    """Where the service finds each image's file itself. Raises DatasetError where it does not."""
    if place is None:
        raise DatasetError("Drawn images lie nowhere, and cannot be referenced: leave --reference out.")
    return {entry.path: place.url_of(entry.path) for entry in plan.entries if entry.path is not None}


def _absent(known: KnownImages, entries: Sequence[Entry]) -> list[Entry]:
    """The entries but for those that the project has already, as their export says. Raises DatasetError for lacking files."""
    absent = [each for each in entries if each.original is None or not _has(known, each)]
    lacking = [each.title for each in absent if each.original is not None and each.path is None]
    if lacking:
        raise DatasetError(
            f"The project lacks {len(lacking)} images that did not come with the export, {lacking[0]} for one: export with "
            "--images."
        )
    return absent


def _has(known: KnownImages, entry: Entry) -> bool:
    there = known.named(entry.name)
    return there is not None and there.sha256 == entry.original
