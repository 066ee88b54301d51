"""Where a service keeps its database and its blobs, in folders of any name."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from service import migrate
from service.blobs import Blobs
from service.settings import Settings

AWKWARD = ("Daten für alle", "a#b", "why?", "half%20", "50%")


@pytest.mark.parametrize("name", AWKWARD)
def test_the_database_and_the_blobs_are_in_the_data_folder_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    settings = Settings(data_dir=tmp_path / name, database_url="", blob_url="")
    settings.data_dir.mkdir()
    migrate.upgrade(settings.resolved_database_url)
    Blobs(settings.resolved_blob_url).put("images/a.png", b"a picture")
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert (settings.data_dir / "blobs" / "images" / "a.png").read_bytes() == b"a picture"
    with closing(sqlite3.connect(settings.data_dir / "regionwise.db")) as database:
        assert database.execute("SELECT count(*) FROM projects").fetchone() == (0,)
    assert migrate.exists(settings.resolved_database_url)
    database_path = str(settings.data_dir / "regionwise.db")
    assert make_url(settings.resolved_database_url) == URL.create("sqlite", database=database_path)


def test_blobs_stay_in_the_folder_that_an_earlier_version_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "a b", blob_url="")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a%20b" / "blobs").mkdir(parents=True)
    assert Blobs(settings.resolved_blob_url).folder == tmp_path / "a%20b" / "blobs"
    (tmp_path / "a b" / "blobs").mkdir()
    assert Blobs(settings.resolved_blob_url).folder == tmp_path / "a b" / "blobs"


def test_a_database_stays_in_the_file_that_an_earlier_version_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "why?", database_url="")
    settings.data_dir.mkdir()
    migrate.upgrade(f"sqlite:///{tmp_path}/why")
    assert migrate.exists(settings.resolved_database_url)
