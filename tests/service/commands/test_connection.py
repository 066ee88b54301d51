"""Which server is asked, and by which token; and what is said where there is none, or another program's."""

import socket
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.client import ApiError, Client
from service.commands.connection import Connection
from service.settings import get_settings
from tests.maker import Maker
from tests.service.commands.conftest import Run


def test_the_option_goes_before_the_environment_and_that_before_this_machine_s_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGIONWISE_PORT", "8123")
    get_settings.cache_clear()
    assert Connection().server == "http://127.0.0.1:8123"
    monkeypatch.setenv("REGIONWISE_SERVER", "https://lab.example/regionwise/")
    assert Connection().server == "https://lab.example/regionwise"
    assert Connection(server_option="lab.example:9000").server == "http://lab.example:9000"


@pytest.mark.parametrize(("listened", "called"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.7", "10.0.0.7")])
def test_an_address_that_is_listened_on_is_one_that_can_be_called(
    run: Run, monkeypatch: pytest.MonkeyPatch, listened: str, called: str
) -> None:
    monkeypatch.setenv("REGIONWISE_HOST", listened)
    get_settings.cache_clear()
    assert Connection().server == f"http://{called}:8000"


def test_a_token_comes_from_its_option_a_file_or_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REGIONWISE_TOKEN", "rw_environment")
    file = tmp_path / "token"
    file.write_text("rw_file\n")
    assert Connection().token == "rw_environment"
    assert Connection(token_file=file).token == "rw_file"
    assert Connection(token_option="rw_option").token == "rw_option"
    with pytest.raises(ValueError, match="not both"):
        _ = Connection(token_option="rw_option", token_file=file).token
    file.write_text("rw_one rw_two")
    with pytest.raises(ValueError, match="should hold a token and no more; it holds 2 words"):
        _ = Connection(token_file=file).token


def test_every_way_of_giving_a_token_reaches_a_server_on_any_port(
    run: Run, address: str, make: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = make.annotator("annotator", "ada")
    (tmp_path / "token").write_text(token)
    assert run("projects", "--server", address, "--token", token).code == 0
    assert run("projects", "--server", address, "--token-file", str(tmp_path / "token")).code == 0
    monkeypatch.setenv("REGIONWISE_SERVER", address)
    monkeypatch.setenv("REGIONWISE_TOKEN", token)
    assert run("projects").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("projects",),
        ("jobs",),
        ("cancel", "1"),
        ("open",),
        ("users", "list"),
        ("users", "add", "x"),
        ("users", "revoke", "x"),
        ("users", "rotate", "x"),
        ("export", "1"),
        ("import", "streets"),
        ("annotate", "--oracle", "."),
        ("campaign", "--root", ".", "--dataset", "streets"),
        ("export-model", "1"),
    ],
    ids=" ".join,
)
def test_a_server_that_is_away_is_named_by_every_command(
    run: Run, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{free.getsockname()[1]}"
    ended = run(*command, "--server", server, "--token", "rw_x")
    assert ended.code == 1
    assert f"Error: {server} does not answer" in ended.err
    assert "--server or REGIONWISE_SERVER" in ended.err
    assert "Traceback" not in ended.err


def test_without_a_token_a_command_says_how_to_give_one(run: Run) -> None:
    ended = run("projects", "--server", "http://127.0.0.1:1")
    assert ended.code == 1
    assert ended.err == (
        "Error: http://127.0.0.1:1 wants a token: set REGIONWISE_TOKEN or REGIONWISE_TOKEN_FILE, or give --token-file.\n"
    )


def test_a_server_that_does_not_know_the_token_is_named(run: Run, address: str) -> None:
    ended = run("projects", "--server", address, "--token", "rw_another_database_s")
    assert ended.err.splitlines()[-1] == f"Error: {address} says: Nobody holds this token. (401 unauthorized)"


def test_an_address_that_is_none_is_a_sentence(run: Run) -> None:
    assert "is no address of a server" in run("open", "--server", "http://127.0.0.1:port").err


def test_another_program_s_answers_are_told_from_the_service_s(address: str) -> None:
    with closing(Client(address, "rw_x", tries=1)) as client:
        with pytest.raises(ApiError, match=f"{address} answers /docs as regionwise never does"):
            client.call("GET", "/docs")  # a page, and no JSON
        client._http.close()
        client._http = TestClient(FastAPI())
        with pytest.raises(ApiError, match="http://testserver answers /projects as regionwise never does"):
            client.call("GET", "/projects")  # a refusal in another form


def test_a_token_on_the_command_line_works_and_is_advised_against(run: Run, asked: tuple[str, ...]) -> None:
    ended = run("projects", *asked)
    assert ended.code == 0
    assert "--token shows the token to other users of this machine" in ended.err
    assert asked[-1] not in ended.out + ended.err


def test_a_file_that_the_environment_names_holds_the_token(
    run: Run, asked: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(asked[-1])
    monkeypatch.setenv("REGIONWISE_TOKEN_FILE", str(tmp_path / "token"))
    ended = run("projects", *asked[:2])
    assert (ended.code, ended.err) == (0, "")


def test_a_user_s_own_file_has_server_and_token_and_is_for_nobody_else_to_read(
    run: Run, asked: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "regionwise" / "config.toml"
    file.parent.mkdir()
    file.touch(mode=0o600)
    file.write_text(f'server = "{asked[1]}"\ntoken = "{asked[-1]}"\n')
    assert run("projects").code == 0
    # The token is not sent to another server.
    assert "wants a token" in run("projects", "--server", "http://127.0.0.1:1").err
    file.chmod(0o640)
    refused = run("projects")
    assert (refused.code, refused.err) == (
        1,
        f"Error: {file} is open to other users of this machine: chmod 600 {file}.\n",
    )
    file.chmod(0o600)
    for text, said in (
        ("password = 1", "and nothing else"),
        ('token = "rw_x"', "which server the token is for"),
        ("token", "is no TOML"),
    ):
        file.write_text(text)
        assert said in run("projects").err
