"""The commands that rename and delete: what is meant, what is asked before, and that nothing goes without it."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Image, Project
from tests.maker import Maker
from tests.service.commands.conftest import Run
from tests.service.commands.test_standing import cells, queued, running
from tests.service.labelled import make_labelled


def names(database: Database, table: type[Project | Image]) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(table.name).order_by(table.id)))


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_project_is_deleted_by_its_name_once_that_was_typed(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.images(make.project("streets"), 2)
    make.project("other")
    for typed in ("", "y\n", "other\n"):
        answer(monkeypatch, typed)
        ended = run("projects", "delete", "streets", *asked)
        assert ended.code == 1
        assert "This deletes the project streets with 2 images, for good.\nType streets to delete it" in ended.err
    assert names(database, Project) == ["streets", "other"]
    answer(monkeypatch, "streets\n")
    ended = run("projects", "delete", "streets", *asked)
    assert (ended.code, ended.out.strip()) == (0, "The project streets is deleted.")
    assert names(database, Project) == ["other"]


def test_nothing_is_asked_where_that_is_wished(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    make.project("streets")
    assert run("projects", "delete", "1", "--yes", *asked).code == 0
    assert names(database, Project) == []
    assert "There is nothing called streets" in run("projects", "delete", "streets", "--yes", *asked).err


def test_what_stands_in_the_way_is_said_at_once(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    project = make.project("streets")
    running(database, queued(database, project))
    ended = run("projects", "delete", "streets", "--yes", *asked)
    assert (ended.code, "Job 1, pretrain, is under way: cancel it, or wait" in ended.err) == (1, True)


def test_projects_and_images_have_new_names(run: Run, asked: tuple[str, ...], make: Maker, database: Database) -> None:
    make.images(make.project("streets"), 2)
    assert run("projects", "rename", "streets", "night", *asked).out == "Project 1, streets, is called night now.\n"
    ended = run("images", "rename", "night", "00001.png", "b/1.png", *asked)
    assert ended.out == "Image 2, 00001.png, is called b/1.png now.\n"
    assert (names(database, Project), names(database, Image)) == (["night"], ["00000.png", "b/1.png"])
    assert "already has an image b/1.png" in run("images", "rename", "1", "00000.png", "b/1.png", *asked).err


def test_images_are_listed_and_deleted(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make.project("streets")
    make.images(project, 2)
    make.images(project, 1, split="state")
    found = cells(run("images", "list", "streets", *asked).out)
    assert [row[:6] for row in found][:2] == [
        ["1", "00000.png", "pool", "180", "160", "-"],
        ["2", "00001.png", "pool", "180", "160", "-"],
    ]
    assert [row[1] for row in cells(run("images", "list", "1", "--split", "state", *asked).out)] == ["00002.png"]
    answer(monkeypatch, "00000.png\n")
    ended = run("images", "delete", "streets", "00000.png", *asked)
    assert (ended.code, ended.out.strip()) == (0, "The image 00000.png is deleted.")
    assert names(database, Image) == ["00001.png", "00002.png"]


def test_a_server_that_is_named_before_the_command_is_not_passed_over(run: Run, asked: tuple[str, ...]) -> None:
    ended = run("projects", *asked, "delete", "streets")
    assert (ended.code, "behind `projects delete`" in ended.err) == (1, True)


@pytest.mark.parametrize("option", ["--export", "--force"])
def test_labels_that_no_export_has_are_exported_or_given_up_by_name(
    run: Run, asked: tuple[str, ...], make: Maker, login: Callable[..., TestClient], tmp_path: Path, option: str
) -> None:
    make_labelled(make, login("admin", "another"), name="streets")
    refused = run("projects", "delete", "streets", "--yes", *asked)
    assert (refused.code, "14 labels were made since" in refused.err) == (1, True)
    to = tmp_path / "labels.zip"
    more = [option, str(to)] if option == "--export" else [option]
    assert run("projects", "delete", "streets", "--yes", *more, *asked).code == 0
    if option == "--export":
        assert "label_maps/a.png" in zipfile.ZipFile(to).namelist()
