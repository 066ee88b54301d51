"""`migrate --down`: what is lost is said first, and nothing is done without a word."""

import io
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from service import migrate
from service.commands.going_down import losses_of
from service.db import Database, make_engine
from service.settings import get_settings
from service.tables import Checkpoint, RemovalHold
from tests.maker import Maker
from tests.service.commands.conftest import Run

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_tables_and_columns_that_go_are_counted(make: Maker, database: Database, database_url: str) -> None:
    project = make.project()
    made = [make.checkpoint(project), make.checkpoint(project)]
    with database.write() as session:
        session.get_one(Checkpoint, made[0].id).weights_gone_at = NOW
        session.add(RemovalHold(reason="backup", until=NOW))
    said = [str(each) for each in losses_of(database_url, "0005")]
    assert "weights_gone_at of checkpoints, which has a value in 1 row" in said
    assert "the table removal_holds with 1 row" in said
    assert "the table projects with 1 row" in [str(each) for each in losses_of(database_url, "base")]


def test_a_database_goes_down_where_that_is_confirmed_and_only_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("migrate").code == 0
    url = get_settings().resolved_database_url

    def current() -> str | None:
        engine = make_engine(url)
        with engine.connect() as connection:
            found = migrate.current(connection)
        engine.dispose()
        return found

    refused = run("migrate", "--down", "9999")
    assert (refused.code, "it can go down to" in refused.err) == (1, True)
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    asked = run("migrate", "--down", "0004")
    assert (asked.code, current()) == (1, migrate.head())
    assert "the table workers with 0 rows" in asked.err
    assert run("migrate", "--down", "0004", "--yes").code == 0
    assert current() == "0004"
    assert run("migrate").code == 0
    with make_engine(url).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM workers")).scalar() == 0
