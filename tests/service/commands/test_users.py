"""Who may call: `user add` says which database it wrote to and makes none unasked, `users` ask a server."""

from pathlib import Path

import pytest
from sqlalchemy import select

from service import migrate
from service.auth import hash_token
from service.db import Database
from service.tables import Annotator, Event
from tests.maker import Maker
from tests.service.commands.conftest import Run


def test_no_database_is_made_unasked(run: Run, tmp_path: Path) -> None:
    ended = run("user", "add", "ada", "--role", "admin")
    assert ended.code == 1
    assert ended.out == ""
    assert f"There is no database at sqlite:///{tmp_path}/own/regionwise.db" in ended.err
    assert "--create" in ended.err
    assert not (tmp_path / "own").exists()


def test_an_empty_file_is_no_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "regionwise.db").touch()
    assert run("user", "add", "ada").code == 1


def test_the_database_that_is_written_to_is_named_beside_the_token(run: Run, tmp_path: Path) -> None:
    ended = run("user", "add", "ada", "--role", "admin", "--create")
    assert f"Added ada, admin, to the database sqlite:///{tmp_path}/own/regionwise.db." in ended.err
    (token,) = ended.out.split()  # and nothing else: `TOKEN=$(regionwise user add ...)`
    assert token.startswith("rw_")
    again = run("user", "add", "bob")  # the database is there by now
    assert again.code == 0
    assert run("user", "add", "ada").err.startswith("Error: There is an annotator ada already")


def test_a_password_in_the_database_s_address_is_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIONWISE_DATABASE_URL", "postgresql+psycopg://me:secret@127.0.0.1:5432/labels")
    monkeypatch.setattr(migrate, "exists", lambda url: False)
    ended = run("user", "add", "ada")
    assert "postgresql+psycopg://me:***@127.0.0.1:5432/labels" in ended.err
    assert "secret" not in ended.err


def test_a_database_is_there_once_it_was_migrated(database_url: str, tmp_path: Path) -> None:
    assert migrate.exists(database_url)
    assert not migrate.exists(f"sqlite:///{tmp_path}/none.db")
    assert not (tmp_path / "none.db").exists()


def test_everybody_is_listed_with_what_their_tokens_are_worth(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    make.annotator("annotator", "ada")
    make.annotator("reviewer", "[red]bob")
    assert run("users", "revoke", "ada", *asked).out.startswith("The tokens of ada work no more")
    rows = [" ".join(line.split()) for line in run("users", "list", *asked).out.splitlines()]
    assert any("ada annotator revoked" in row for row in rows)
    assert any("[red]bob reviewer works" in row for row in rows)


def test_a_user_that_a_server_adds_may_call_it(run: Run, asked: tuple[str, ...], address: str) -> None:
    ended = run("users", "add", "ada", *asked)
    assert f"Added ada, annotator, at {address}" in ended.err
    assert run("projects", "--server", address, "--token", ended.out.strip()).code == 0


def test_a_rotated_token_replaces_the_old_one(run: Run, asked: tuple[str, ...], address: str, make: Maker) -> None:
    old = make.annotator("annotator", "ada")
    ended = run("users", "rotate", "ada", *asked)
    (token,) = ended.out.split()
    assert token != old
    assert f"A new token of ada at {address}" in ended.err
    assert run("projects", "--server", address, "--token", token).code == 0
    assert "Nobody holds this token" in run("projects", "--server", address, "--token", old).err


def test_a_user_may_be_named_by_number_and_a_name_goes_before(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    make.annotator("annotator", "1")  # number 2, named like the number of root
    assert run("users", "revoke", "1", *asked).out.startswith("The tokens of 1 work no more")
    assert run("users", "revoke", "2", *asked).code == 0
    ended = run("users", "revoke", "nobody", *asked)
    assert ended.code == 1
    assert "There is nobody called nobody" in ended.err


def test_an_annotator_does_not_reach_what_is_for_admins(run: Run, address: str, make: Maker) -> None:
    asked = ("--server", address, "--token", make.annotator("annotator", "ada"))
    for command in (("list",), ("add", "x"), ("revoke", "ada"), ("rotate", "ada")):
        ended = run("users", *command, *asked)
        assert (ended.code, "This is for the role admin" in ended.err) == (1, True)


def test_a_rotated_token_is_stored_as_a_hash_alone_and_recorded(
    run: Run, asked: tuple[str, ...], make: Maker, database: Database
) -> None:
    make.annotator("annotator", "ada")
    token = run("users", "rotate", "ada", *asked).out.strip()
    with database.read() as session:
        ada = session.scalars(select(Annotator).where(Annotator.name == "ada")).one()
        event = session.scalars(select(Event).where(Event.kind == "token_rotated")).one()
    assert ada.token_hash == hash_token(token)
    assert (event.annotator_id, event.detail) == (1, {"rotated": ada.id})
