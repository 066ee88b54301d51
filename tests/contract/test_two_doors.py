"""Each case of the corpus is taken or refused alike by an upload and by an import of a folder."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
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
from tests.corpus.cases import CLASSES, Case, Refused, Taken
from tests.corpus.table import TABLE
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
        """What is kept. Raises DatasetError."""
        for folder, files in (("images", case.images), ("labels", case.labels)):
            for name, data in files.items():
                path = root / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        (root / "classes.json").write_text(json.dumps(CLASSES.to_json()))
        stems = sorted({str(PurePosixPath(name).with_suffix("")) for name in case.images})
        (root / "splits.json").write_text(json.dumps({"train": stems}))
        name = f"{case.title[:50]}, imported"
        try:
            project = import_dataset(
                AppClient(self.http),
                dataset="folder",
                root=root,
                name=name,
                anyway=True,
                keep_twins=True,
                **case.form,
            )
        except DatasetError:
            assert not self.has(name)  # nothing is sent
            raise
        assert project is not None
        return self.kept(project)

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


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Doors]:
    home = tmp_path_factory.mktemp("doors")
    (home / "test.db").write_bytes(sqlite_template.read_bytes())
    found = Doors(home)
    yield found
    found.database.engine.dispose()


def rgb(data: bytes) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(float)


def coloured(pixels: NDArray[Any]) -> NDArray[np.float64]:
    return (pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)).astype(float)


def squeezed(text: str) -> str:
    """Without what a terminal's width does to it."""
    return "".join(text.split())


@pytest.mark.parametrize("case", [pytest.param(each, id=each.title) for each in TABLE])
def test_what_comes_in_is_what_the_table_says_by_either_door(
    case: Case, doors: Doors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = doors.upload(case)
    if isinstance(case.outcome, Refused):
        assert isinstance(sent, tuple), "it was taken"
        status, code, message = sent
        assert (status in (413, 422), code) == (True, case.outcome.code), message
        assert case.outcome.sentence in message
        if case.outcome.folder is not None:
            with pytest.raises((DatasetError, ValueError)) as stopped:
                doors.import_(case, tmp_path)
            said = squeezed(capsys.readouterr().out + str(stopped.value))
            assert squeezed(case.outcome.folder or message.partition(": ")[2] or message) in said
        return
    assert isinstance(sent, list), sent
    require_as_said(case.outcome, sent, case)
    if case.outcome.in_folder:
        assert doors.import_(case, tmp_path) == sent
    else:
        with pytest.raises(DatasetError, match="no image"):
            doors.import_(case, tmp_path)


def require_as_said(outcome: Taken, kept: list[Kept], case: Case) -> None:
    assert [each.name for each in kept] == sorted(outcome.pixels)
    for each in kept:
        expected, found = coloured(outcome.pixels[each.name]), rgb(each.seen)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= outcome.within, (found, expected)
        assert outcome.reading.items() <= each.reading.items()
        label = outcome.labels.get(each.name)
        assert (each.label is None) == (label is None)
        if each.label is not None and label is not None:
            with Image.open(io.BytesIO(each.label)) as image:
                np.testing.assert_array_equal(np.asarray(image), label)


def test_the_table_has_each_case_once() -> None:
    assert len({case.title for case in TABLE}) == len(TABLE) >= 150
