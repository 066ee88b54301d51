"""Fixtures of everything that needs a database or the API: real migrations, on SQLite and, when told of one, PostgreSQL."""

import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from fastapi import FastAPI
from sqlalchemy import create_engine, make_url, text

from service import giving, migrate
from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.settings import Settings
from service.tables import Base
from tests.maker import Maker
from tests.service import s3

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have the successor of httpx, which nothing else here uses yet
    from starlette.testclient import TestClient

POSTGRES = os.environ.get("REGIONWISE_TEST_POSTGRES")
REQUIRED = [name for name in os.environ.get("REGIONWISE_TEST_REQUIRED", "").split(",") if name]


def _own_redis(url: str) -> str:
    """The database of Redis that this process of a run has to itself: workers take whatever is in their queues."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    address, _, number = url.rpartition("/")
    return f"{address}/{(int(number) - process) % 16}" if url else ""


REDIS = _own_redis(os.environ.get("REGIONWISE_TEST_REDIS", ""))
BACKENDS = ["sqlite", "postgresql"] if POSTGRES else ["sqlite"]
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


_ran: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember which of camvid, postgres and redis a test has used and passed with."""
    if report.when == "call" and report.passed:
        _ran.update(name for name in REQUIRED if name in report.keywords)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever runs on PostgreSQL is marked so."""
    for item in items:
        if "postgresql" in item.name:
            item.add_marker(pytest.mark.postgres)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What had to be tested with, and was not, fails the run."""
    missing = sorted(set(REQUIRED) - _ran)
    if missing and exitstatus == 0 and not session.config.option.collectonly:
        warnings.warn(f"Nothing was tested with {', '.join(missing)}, which is here and required.", stacklevel=1)
        session.exitstatus = 1


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """One torch thread: two that fight over busy cores are many times slower than one."""
    torch.set_num_threads(1)


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class Outbox(list[tuple[int, str]]):
    """A sender that keeps what it was to send."""

    def __call__(self, jobs: Iterable[tuple[int, str]]) -> None:
        self.extend(jobs)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL database of this test run, dropped at its end."""
    assert POSTGRES is not None
    server = make_url(POSTGRES)
    name = f"regionwise_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = server.set(database=name).render_as_string(hide_password=False)
    migrate.upgrade(url)
    yield url
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database."""
    if request.param == "sqlite":
        path = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        # Ten times faster than TRUNCATE; without triggers, for events refuse to go.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in Base.metadata.sorted_tables:
            connection.execute(text(f"DELETE FROM {table.name}"))
            connection.execute(text(f"ALTER SEQUENCE {table.name}_id_seq RESTART"))
    engine.dispose()
    return url


@pytest.fixture
def outbox() -> Outbox:
    """The jobs that committed transactions sent: (id, kind)."""
    return Outbox()


@pytest.fixture
def database(database_url: str, outbox: Outbox) -> Iterator[Database]:
    """An empty database; its jobs go to `outbox`."""
    database = Database(database_url, outbox)
    yield database
    database.engine.dispose()


@contextmanager
def at_revision(database: Database, revision: str) -> Iterator[None]:
    """The database, as if at another revision."""

    def said(number: str | None) -> None:
        with database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})

    said(revision)
    try:
        yield
    finally:
        said(migrate.head())


@pytest.fixture
def clock() -> FakeClock:
    """The clock of `app`."""
    return FakeClock()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty folder of blobs."""
    return Blobs((tmp_path / "blobs").as_uri())


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that speaks S3."""
    with s3.s3_server(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def s3_url(s3_server: str) -> str:
    """The URL of an empty folder in a bucket of its own."""
    return s3.bucket()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with small limits."""
    return Settings(
        data_dir=tmp_path,
        max_image_bytes=2_000_000,
        max_image_pixels=1_000_000,
        max_request_bytes=4_000_000,
        max_json_bytes=1_000_000,
        heartbeat_seconds=0.2,
        wrong_tokens_per_minute=1000,
    )


@pytest.fixture(params=BACKENDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server = make_url(POSTGRES or "")
    name = f"regionwise_test_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture(autouse=True)
def _nothing_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why there is no region is looked up anew for each request: tests change things faster than people."""
    monkeypatch.setattr(giving, "BELIEVED_SECONDS", 0.0)


@pytest.fixture
def app(settings: Settings, database: Database, blobs: Blobs, clock: FakeClock) -> FastAPI:
    """The API over `database`."""
    return create_app(settings, database=database, blobs=blobs, clock=clock)


@pytest.fixture
def login(app: FastAPI, make: "Maker") -> Callable[..., TestClient]:
    """Makes a client with a token: login("annotator", "ada")."""

    def client(role: str = "annotator", name: str | None = None) -> TestClient:
        token = make.annotator(role, name)
        return TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=False)

    return client


@pytest.fixture
def admin(login: Callable[..., TestClient]) -> TestClient:
    """A client whose caller is an admin."""
    return login("admin", "root")


@pytest.fixture
def client(login: Callable[..., TestClient]) -> TestClient:
    """A client whose caller is an annotator."""
    return login("annotator", "ada")


@pytest.fixture
def stranger(app: FastAPI) -> TestClient:
    """A client without a token."""
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def make(database: Database, blobs: Blobs, clock: FakeClock) -> "Maker":
    """Makes rows directly."""
    return Maker(database, blobs, clock)
