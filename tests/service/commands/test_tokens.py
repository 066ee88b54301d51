"""Tokens by the command line, and those of the demo."""

import json
from pathlib import Path

import pytest

from service import migrate
from service.commands.serving import _demo_lines
from service.settings import Settings
from tests.maker import Maker
from tests.service.commands.conftest import Run


def test_tokens_are_added_listed_rotated_and_revoked(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    make.annotator("annotator", "ada")
    made = run("tokens", "add", "ada", "--name", "laptop", "--days", "30", *asked)
    (token,) = made.out.split()
    assert token.startswith("rw_")
    listed = run("tokens", "list", "ada", *asked).out
    (line,) = [line for line in listed.splitlines() if "laptop" in line]
    number, _, begins, works, *_ = line.split()
    assert (begins, works) == (token[:7], "yes")
    assert token not in listed
    (rotated,) = run("tokens", "rotate", number, *asked).out.split()
    assert rotated not in (token, "")
    assert run("tokens", "revoke", str(int(number) + 1), *asked).code == 0
    assert [line.split()[3] for line in run("tokens", "list", "ada", *asked).out.splitlines() if "laptop" in line] == [
        "revoked",
        "revoked",
    ]


def test_somebody_who_was_revoked_is_taken_up_again_under_their_name(
    run: Run, asked: tuple[str, ...], make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.annotator("admin", "ada")
    assert run("users", "revoke", "ada", *asked).code == 0
    (token,) = run("users", "reactivate", "ada", *asked).out.split()
    monkeypatch.setenv("REGIONWISE_TOKEN", token)
    assert run("users", "list", *asked[:2]).code == 0


def test_a_token_more_is_made_in_the_database_of_this_machine(run: Run) -> None:
    assert run("user", "token", "ada").err.startswith("Error: There is no database")
    (first,) = run("user", "add", "ada", "--create").out.split()
    (second,) = run("user", "token", "ada").out.split()
    assert first != second
    assert run("user", "token", "eve").err == "Error: Nobody is called eve.\n"


def test_the_demo_s_tokens_are_said_once_and_then_where_they_are(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url="")
    migrate.upgrade(settings.resolved_database_url)
    page = "http://127.0.0.1:8000/app/"
    first, again = _demo_lines(settings, page), _demo_lines(settings, page)
    file = tmp_path / "demo-tokens.json"
    tokens = json.loads(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    assert all(any(token in line for line in first) for token in tokens.values())
    assert first[0] == f"Open {page}#token={tokens['admin']}"
    assert again == [f"Open {page}", f"The admin's and the annotator's token are in {file}."]
