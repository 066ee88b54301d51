"""The service and its two doors, an upload and an import of a folder, for files that are made up."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from sqlalchemy import select
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.domain.masks import decode_label_png
from service.settings import Settings
from service.store import images as store
from service.tables import Project
from tests.conftest import START
from tests.corpus.cases import CLASSES, Case, Refused
from tests.maker import Maker
from tests.service.test_cli import AppClient
from workers.client.importing import import_dataset
from workers.datasets.base import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Of an image: all that could differ, but for its number."""

    name: str
    sha256: str
    reading: dict[str, Any]
    seen: bytes
    label: bytes | None


class Doors:
    """One service for all cases; each has projects of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # The limits that an import takes for granted.
        settings = Settings(data_dir=home)
        self.database = Database(f"sqlite:///{home / 'test.db'}", lambda jobs: None)
        self.blobs = Blobs((home / "blobs").as_uri())
        app = create_app(settings, database=self.database, blobs=self.blobs, clock=lambda: START)
        self.make = Maker(self.database, self.blobs, lambda: START)
        self.empty = self.make.project("of what is refused", CLASSES).id
        token = self.make.annotator("admin")
        self.http = TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)

    def upload(self, case: Case) -> list[Kept] | tuple[int, str, str]:
        """What is kept, or status, code and message."""
        project = self.empty if isinstance(case.outcome, Refused) else self.make.project(case.title, CLASSES).id
        files = [("image", each) for each in case.images.items()] + [
            ("label_map", each) for each in case.labels.items()
        ]
        sent = self.http.post(f"/projects/{project}/images", files=files, data={"split": "train", **case.form})
        if sent.status_code == 201:
            return self.kept(project)
        assert self.http.get(f"/projects/{project}/images").json()["items"] == []
        return sent.status_code, sent.json()["error"]["code"], sent.json()["error"]["message"]

    def import_(self, case: Case, root: Path) -> list[Kept]:
        """What is kept of a case's files, all in the split `train`. Raises DatasetError."""
        write_folder(root, case.images, case.labels, dict.fromkeys(case.images, "train"))
        name = f"{case.title[:50]}, imported"
        try:
            return self.kept(self.import_folder(root, name=name, **case.form))
        except DatasetError:
            assert not self.has(name)  # nothing is sent
            raise

    def import_folder(self, root: Path, **given: Any) -> int:
        """The project's number. Raises DatasetError."""
        chosen = {"dataset": "folder", "root": root, "anyway": True, "keep_twins": True, **given}
        project = import_dataset(AppClient(self.http), **chosen)
        assert project is not None
        return project

    def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of a call that must succeed."""
        response = self.http.request(method, path, **request)
        assert response.is_success, response.text
        return response.json()

    def has(self, name: str) -> bool:
        """Whether there is a project of that name."""
        with self.database.read() as session:
            return session.scalars(select(Project).where(Project.name == name)).first() is not None

    def kept(self, project: int) -> list[Kept]:
        """In the order of names."""
        with self.database.read() as session:
            rows = store.list_images(session, project, split=None, limit=100, after=0)
        found = []
        for row in rows:
            seen = self.http.get(f"/images/{row.id}/seen").content
            label = None if row.label_key is None else self.blobs.get(row.label_key)
            with Image.open(io.BytesIO(seen)) as shown:
                assert (shown.height, shown.width) == (row.height, row.width)
            if label is not None:
                assert decode_label_png(label, height=row.height, width=row.width).size
            reading = row.reading or {}
            found.append(Kept(name=row.name, sha256=row.digest, reading=reading, seen=seen, label=label))
        return sorted(found, key=lambda each: each.name)


def write_folder(
    root: Path, images: Mapping[str, bytes], labels: Mapping[str, bytes], splits: Mapping[str, str]
) -> None:
    """A folder to import: files by their names, and the split of each image."""
    for place, files in (("images", images), ("labels", labels)):
        for name, data in files.items():
            path = root / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    stems = {split: sorted({stem_of(name) for name in splits if splits[name] == split}) for split in splits.values()}
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.json").write_text(json.dumps(CLASSES.to_json()))
    (root / "splits.json").write_text(json.dumps(stems))


def stem_of(name: str) -> str:
    """A file's name without its suffix, folders included."""
    return str(PurePosixPath(name).with_suffix(""))
