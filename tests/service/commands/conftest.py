"""A server that listens on a port of its own, and the command line as somebody types it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from service import cli
from service.server import bind
from service.settings import get_settings
from tests.maker import Maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Types a command: run("status", "--server", ...). Nothing of this machine's settings is there, but a folder for data."""
    for name in [each for each in os.environ if each.startswith("REGIONWISE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REGIONWISE_DATA_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr("service.client.time.sleep", lambda seconds: None)

    def typed(*arguments: str) -> Ended:
        get_settings.cache_clear()
        monkeypatch.setattr("sys.argv", ["regionwise", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        said = capsys.readouterr()
        return Ended(code=int(stopped.value.code or 0), out=said.out, err=said.err)

    yield typed
    get_settings.cache_clear()


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """Where `app` answers: on no port that anybody would guess."""
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=30)
    listener.close()


@pytest.fixture
def asked(address: str, make: Maker) -> tuple[str, ...]:
    """The options by which an admin reaches the server."""
    return "--server", address, "--token", make.annotator("admin", "root")
