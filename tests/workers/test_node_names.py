"""What Celery calls workers of one host: each by a name of its own, one alone by the host's."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from service.settings import Settings
from workers import app as worker_app
from workers.app import make_app

ANOTHER = (
    "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the first worker of a host holds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / "regionwise-worker.lock"


def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a worker that is started now and ends at once."""
    settings = Settings(broker_url="redis://127.0.0.1:1/0")
    app, taken = make_app(settings), list[str]()
    monkeypatch.setattr(app, "worker_main", taken.extend)
    monkeypatch.setattr(worker_app, "app", app)
    monkeypatch.setattr(worker_app, "get_settings", lambda: settings)
    worker_app.run_worker(concurrency=1, log_level="INFO")
    (found,) = [each for each in taken if each.startswith("--hostname=")]
    return found.removeprefix("--hostname=")


def test_a_worker_beside_another_has_a_name_of_its_own_until_that_has_ended(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name(monkeypatch) == "celery@%h"
    with subprocess.Popen([sys.executable, "-c", ANOTHER, str(lock)], stdin=-1, stdout=-1) as another:
        assert another.stdout is not None
        another.stdout.readline()
        assert name(monkeypatch) == f"celery-{os.getpid()}@%h"
        another.kill()
    assert name(monkeypatch) == "celery@%h"


def test_where_the_file_cannot_be_opened_the_name_is_one_of_its_own(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.mkdir()
    assert name(monkeypatch) == f"celery-{os.getpid()}@%h"
