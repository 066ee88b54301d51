"""Writes an export: a zip of what was labelled, in one of several formats, and a manifest of where every label came from."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.blobs import Blobs
from service.db import Database
from service.domain.archive_names import ArchiveNames
from service.domain.classes import ClassSet
from service.export.archive import JsonList, Spool, ZipStream, json_object
from service.export.drawn import Drawn, draw_image
from service.export.layouts import File, Layout, layout_of
from service.export.manifest import checkpoint_entries, checkpoints_named, image_entry
from service.image_bytes import bytes_of
from service.schemas.export import ExportQuery
from service.store import export as store
from service.tables import Image, Project

_NAMES_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """An export of one project, ready to be written once."""

    project: Project
    classes: ClassSet
    layout: Layout
    wanted: ExportQuery
    database: Database
    blobs: Blobs
    now: datetime

    @classmethod
    def of(
        cls, project: Project, wanted: ExportQuery, *, database: Database, blobs: Blobs, now: datetime
    ) -> "Exporter":
        """Raises Invalid for classes that the format cannot write."""
        classes = ClassSet.from_json(project.classes)
        layout = layout_of(wanted.format, project=project.name, classes=classes)
        return cls(
            project=project, classes=classes, layout=layout, wanted=wanted, database=database, blobs=blobs, now=now
        )

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the zip. Memory follows the largest image, not their number.

        No transaction is open while a piece is away: each image is read as it is in one moment, and not all in the same.
        Raises Unavailable where the bytes of an image are lost.
        """
        newest = self._newest_label()
        archive, entries, named = ZipStream(self.now), JsonList(), set[int]()
        for drawn in self._images():
            files: dict[str, str] = {}
            for file in self._files(drawn):
                files[file.what] = file.path
                yield from archive.add(file.path, file.data)
            files = {"name": self.layout.name(drawn), **files}
            entries.append(image_entry(drawn, files, with_predictions=self.wanted.predictions))
            named |= checkpoints_named(drawn)
        for file in self.layout.ending():
            yield from archive.add(file.path, file.data)
        yield from archive.add("manifest.json", self._manifest(entries, named))
        yield archive.end()
        # Whoever asks for more has the last piece. An export of complete images alone leaves labels out.
        if newest is not None and self.wanted.only != "complete":
            with self.database.write() as session:
                store.note_exported(session, self.project.id, newest)

    def _newest_label(self) -> int | None:
        with self.database.read() as session:
            return store.newest_label(session, self.project.id)

    def _images(self) -> Iterator[Drawn]:
        """The images that are wanted, in the order of arrival. Their names do not depend on which those are."""
        names = ArchiveNames()
        for page, chosen in self._pages():
            for id, name in page:
                stem = names.take(name, id)
                drawn = self._drawn(id, stem) if id in chosen else None
                if drawn is not None and (self.wanted.only != "complete" or drawn.labels.covered_HW.all()):
                    yield drawn

    def _pages(self) -> Iterator[tuple[list[tuple[int, str]], set[int]]]:
        """(id, name) of all images, some at a time, and which of those are wanted."""
        after, project_id, only = 0, self.project.id, self.wanted.only
        while True:
            with self.database.read() as session:
                page = store.image_names(session, project_id, after=after, limit=_NAMES_AT_ONCE)
                if not page:
                    return
                last = page[-1][0]
                chosen = store.images_with_labels(
                    session, project_id, after=after, last=last, complete=only == "complete"
                )
                if self.wanted.predictions and only is None:
                    chosen |= store.images_with_predictions(session, project_id, after=after, last=last)
            yield page, chosen
            after = last

    def _drawn(self, image_id: int, stem: str) -> Drawn | None:
        """None where the image was deleted meanwhile."""
        with self.database.snapshot() as session:
            image = session.get(Image, image_id)
            if image is None:
                return None
            regions = store.regions_of_image(session, image_id)
            predicted = store.predictions_of_image(session, image_id) if self.wanted.predictions else ()
        return draw_image(image, stem, regions, predicted, classes=self.classes)

    def _files(self, drawn: Drawn) -> Iterator[File]:
        yield from self.layout.labels(drawn)
        yield from self.layout.masks(drawn)
        if drawn.predicted:
            yield from self.layout.predictions(drawn)
        if self.wanted.images:
            data = self.layout.picture(
                drawn, bytes_of(self.blobs, drawn.image, drawn.image.seen_key or drawn.image.blob_key)
            )
            yield File(what="file", path=self.layout.image_path(drawn), data=data)

    def _manifest(self, entries: JsonList, named: set[int]) -> Spool:
        with self.database.read() as session:
            checkpoints = checkpoint_entries(store.checkpoints_of(session, named))
        ids = self.layout.ids
        fields: dict[str, Any] = {
            "project": self.project.name,
            "exported_at": self.now.isoformat(),
            "format": self.wanted.format,
            "only": self.wanted.only,
            "classes": self.project.classes,
            "class_changes": self.classes.changes,
            "written_ids": {each.name: ids.of(each.id) for each in self.classes.classes},
            "unlabelled": self.layout.unlabelled,
            "settings": self.project.settings,
            "checkpoints": checkpoints,
            "images": entries,
        }
        return json_object(fields)
