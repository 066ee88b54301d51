"""PostgreSQL and Redis of a run's own, from their binaries, which are found or not."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg
import redis

from tests.chaos.disk import Disk, give_to
from tests.chaos.processes import Process, free_port, until

_POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
_SETTINGS = {
    "fsync": "on",
    "max_wal_size": "16MB",
    "min_wal_size": "2MB",
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
    "restart_after_crash": "on",
}


def missing_servers() -> str:
    """Why there cannot be servers of a run's own; empty where there can."""
    if postgresql() is None:
        return "PostgreSQL's initdb and postgres are not here"
    if shutil.which("redis-server") is None:
        return "redis-server is not here"
    if os.getuid() == 0 and _unprivileged() is None:
        return "PostgreSQL does not run as root, and there is no user postgres or nobody"
    return ""


def postgresql() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = shutil.which("initdb")
    folders = [*_POSTGRESQL, *([Path(found).parent] if found else [])]
    return folders[-1] if folders else None


def _unprivileged() -> str | None:
    names = {each.pw_name for each in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


class PostgreSQL:
    """A cluster on a disk and a port of its own."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        """Made, not started."""
        programs = postgresql()
        assert programs is not None, missing_servers()
        user = _unprivileged() if os.getuid() == 0 else None
        data, self.port = disk.folder / "data", free_port()
        data.mkdir()
        give_to(data, user)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--wal-segsize=1"]
        subprocess.run([programs / "initdb", "-D", data, *options], check=True, capture_output=True, user=user, cwd="/")
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port), "-h", "127.0.0.1", *settings]
        self.process = Process("postgresql", command, folder / "postgresql.log", env=dict(os.environ), user=user)
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of one's own."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True, connect_timeout=5
        )

    def answers(self) -> bool:
        """Whether it takes connections and writes."""
        try:
            with self.connect() as connection:
                return not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0]  # type: ignore[index]
        except psycopg.Error:
            return False

    def start(self) -> None:
        """Start it, without waiting."""
        self.process.start()

    def ready(self) -> None:
        """Wait until it answers."""
        until(self._tended, "PostgreSQL answered")

    def _tended(self) -> bool:
        self.process.tend()
        return self.answers()

    def stop(self, *, crash: bool) -> None:
        """Shut it down: connections are ended, and what is committed is written; or, in a `crash`, nothing is."""
        self.process.stop(signal.SIGQUIT if crash else signal.SIGINT)

    def end_connections(self, share: float) -> None:
        """Have it end this share of its connections; those with the highest numbers."""
        with suppress(psycopg.Error), self.connect() as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"
            ).fetchall()
            for (pid,) in rows[int(len(rows) * (1 - share)) :]:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))

    def backends(self) -> list[int]:
        """The processes of its connections."""
        with suppress(psycopg.Error), self.connect() as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid"
            ).fetchall()
            return [int(str(pid)) for (pid,) in rows]
        return []


class Redis:
    """A broker without a memory of its own."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        program = shutil.which("redis-server") or "redis-server"
        self.process = Process("redis", [program, *options], folder / "redis.log", env=dict(os.environ))
        self.url, self._port = f"redis://127.0.0.1:{port}/0", port

    def answers(self) -> bool:
        """Whether somebody listens."""
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=2).close()
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """Lose all data."""
        with suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            client.flushall()
