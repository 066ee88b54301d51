"""The first admin: added once, however many processes start at once, and never again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update

from service import first_admin
from service.auth import Presented, caller_of
from service.db import Database
from service.errors import Conflict
from service.settings import Settings
from service.store.annotators import add_annotator
from service.tables import Annotator, Token
from tests.conftest import START

TOKEN = "0123456789abcdef0123456789abcdef"


def settings_of(url: str, tmp_path: Path, **changes: object) -> Settings:
    return Settings.model_validate({"database_url": url, "data_dir": tmp_path, "first_admin": "ada", **changes})


def test_nobody_is_added_unless_the_settings_name_somebody(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    assert first_admin.added(settings_of(database_url, tmp_path, first_admin="")) == []
    with database.read() as session:
        assert session.scalar(select(Annotator.id)) is None


def test_of_many_processes_that_start_at_once_one_adds_the_admin_and_says_the_token(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    settings = settings_of(database_url, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        (line,) = [line for said in pool.map(lambda _: first_admin.added(settings), range(8)) for line in said]
    caller = caller_of(database, Presented(line.rpartition(" ")[2]), START)
    assert caller is not None
    assert (caller.name, caller.role) == ("ada", "admin")


def test_a_token_that_is_given_works_is_not_said_and_only_its_hash_is_kept(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    settings = settings_of(database_url, tmp_path, first_admin_token=TOKEN)
    (line,) = first_admin.added(settings)
    assert TOKEN not in line
    assert caller_of(database, Presented(TOKEN), START) is not None
    with database.read() as session:
        assert TOKEN not in repr(session.execute(select(*Token.__table__.c)).all())
    assert TOKEN not in repr(settings)


def test_a_token_that_was_taken_away_does_not_come_back_with_the_next_start(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    settings = settings_of(database_url, tmp_path, first_admin_token=TOKEN)
    first_admin.added(settings)
    with database.write() as session:
        session.execute(update(Token).values(revoked_at=START))
    assert first_admin.added(settings) == []
    assert caller_of(database, Presented(TOKEN), START) is None


def test_somebody_else_of_that_name_does_not_become_an_admin(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    with database.write() as session:
        add_annotator(session, name="ada", role="annotator", token_hash="0" * 64, now=START)
    with pytest.raises(Conflict, match="ada already"):
        first_admin.added(settings_of(database_url, tmp_path))


@pytest.mark.parametrize("token", ["short", "x" * 31, "with a blank, though it is long enough"])
def test_a_token_that_could_be_guessed_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValidationError, match="32 characters") as raised:
        settings_of("", tmp_path, first_admin_token=token)
    assert token not in str(raised.value)
