"""The services of docker-compose.yml as processes of this machine: their commands, environments and health checks, as written."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")
# As containers are: the root read-only, /tmp of one's own, what the service mounts writable, and no way to more rights.
_CONFINE = """
mount --make-rprivate /; mount --bind "$0" "$0"; mount -o remount,bind,ro /; mount -t tmpfs -o mode=1777 tmpfs /tmp
exec setpriv --reuid "$1" --regid "$1" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "${@:2}"
"""
_ENV = re.compile(r"(\w+)=(\S+)")


def variables(text: str) -> dict[str, str | None]:
    """The variables that a compose file asks for, with their defaults; None where it will not do without."""
    return {name: None if kind == ":?" else default for name, kind, default in _VARIABLE.findall(text)}


def example() -> dict[str, str]:
    """What .env.example sets."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(each.split("=", 1) for each in lines if each and not each.startswith("#"))


def services(values: Mapping[str, str]) -> dict[str, Any]:
    """The services, as docker compose would read them with these values in .env."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        if kind == ":?":
            assert values.get(name), default
        return values.get(name) or default or ""

    read: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, (ROOT / "docker-compose.yml").read_text()))["services"]
    for service in read.values():
        # A name without a value is passed on where there is one, and unset otherwise, even what the image sets.
        given = {
            name: values.get(name) if each is None else each for name, each in service.get("environment", {}).items()
        }
        service["environment"] = {name: each for name, each in given.items() if each is not None}
    return read


def stages() -> dict[str, list[str]]:
    """The instructions of each stage of the Dockerfile, those of the stage that it begins from before its own."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    found: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("FROM"):
            _, base, _, name = line.split()
            found[name] = list(found.get(base, ()))
        else:
            found[name].append(line)
    return found


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def confines() -> bool:
    """Whether this machine lets a test confine processes as containers are, none of whose /tmp is ours."""
    if any(each.is_relative_to("/tmp") for each in (ROOT, Path(sys.prefix))):
        return False
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


class Composed:
    """Starts services after those that they depend on, and waits for their health. Everything listens on 127.0.0.1."""

    def __init__(self, folder: Path, values: Mapping[str, str]) -> None:
        self.folder, self.services, self._stages = folder, services(values), stages()
        ports = {"postgres:5432": free_port(), "redis:6379": free_port()}
        self.port = free_port()
        self._here = {place: f"127.0.0.1:{port}" for place, port in ports.items()}
        self._here |= {
            "/data": str(folder / "data"),
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
            "0.0.0.0": "127.0.0.1",
        }
        self._postgres_port, self._redis_port = ports.values()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "data").mkdir()
        self.confined = confines()
        if self.confined:
            os.chown(folder / "data", _user(), _user())
        # Nothing of this process's own environment but what finds programs.
        path = [str(Path(sys.executable).parent), str(POSTGRES), os.environ["PATH"]]
        self._path = {"PATH": ":".join(path), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def up(self, service: str, scale: int = 1) -> None:
        """Start so many of a service, and wait until they are healthy, or have ended well where they end by themselves."""
        for other, wanted in self.services[service].get("depends_on", {}).items():
            if other not in self._processes:
                self.up(other)
                assert wanted["condition"].removeprefix("service_") in ("healthy", "completed_successfully")
        names = [service, *(f"{service}-{number}" for number in range(2, scale + 1))]
        for name in names:
            self._start(name, service)
        for name in names:
            self._wait(name, service)

    def terminate(self, name: str, service: str | None = None) -> int:
        """Stop a process as docker does; returns its status. It must end within the time that its service is given."""
        grace = str(self.services[service or name].get("stop_grace_period", "10s"))
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=int(grace[:-1]) * {"s": 1, "m": 60}[grace[-1]])

    def close(self) -> None:
        """Leave nothing behind."""
        for name, process in reversed(self._processes.items()):
            if process.poll() is None:
                if name == "postgres":
                    process.send_signal(signal.SIGINT)  # at once, but whole
                else:
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)

    def log(self, name: str) -> str:
        """What a process has written."""
        return (self.folder / f"{name}.log").read_text()

    def environment(self, service: str) -> dict[str, str]:
        """What the processes of a service are given: by its image, by the compose file, and nothing else."""
        given = dict(self._path)
        if stage := self._stage(service):
            given |= {name: value for line in stage if line.startswith("ENV") for name, value in _ENV.findall(line)}
        given |= {name: str(value) for name, value in self.services[service].get("environment", {}).items()}
        given = {name: self._moved(value) for name, value in given.items()}
        if service == "api":
            given["REGIONWISE_PORT"] = str(self.port)  # inside the container it is 8000
        return given

    def _stage(self, service: str) -> list[str]:
        build = self.services[service].get("build")
        return self._stages[build["target"]] if build else []

    def _start(self, name: str, service: str) -> None:
        if service == "postgres":
            self._processes[name] = self._start_postgres()
            return
        command = list(self.services[service]["command"])
        if service == "redis":
            command += ["--port", str(self._redis_port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if self.confined and "build" in self.services[service]:
            command = ["unshare", "--mount", "bash", "-ec", _CONFINE, str(self.folder / "data"), str(_user()), *command]
        self._processes[name] = self._popen(name, command, self.environment(service))

    def _start_postgres(self) -> "subprocess.Popen[bytes]":
        """What the image's entry point does: a cluster with this user, password and database, then the server."""
        given = self.services["postgres"]["environment"]
        place, secret = self.folder / "postgres", self.folder / "password"
        secret.write_text(given["POSTGRES_PASSWORD"])
        secret.chmod(0o644)
        made = [
            "initdb",
            "-D",
            str(place),
            "-U",
            given["POSTGRES_USER"],
            "--pwfile",
            str(secret),
            "-A",
            "scram-sha-256",
        ]
        begun = self._popen("initdb", [*made, "--no-sync"], self._path, user=_nobody_special())
        assert begun.wait(timeout=120) == 0, self.log("initdb")
        server = [
            "postgres",
            "-D",
            str(place),
            "-p",
            str(self._postgres_port),
            "-h",
            "127.0.0.1",
            "-k",
            str(self.folder),
        ]
        process = self._popen("postgres", server, self._path, user=_nobody_special())
        create = ["createdb", "-U", given["POSTGRES_USER"], given["POSTGRES_DB"]]
        environment = self._path | self._to_postgres() | {"PGPASSWORD": given["POSTGRES_PASSWORD"]}
        _until(lambda: self._succeeds(create, environment), "the database was made")
        return process

    def _to_postgres(self) -> dict[str, str]:
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self._postgres_port)}

    def _popen(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], user: str | None = None
    ) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True, user=user
            )

    def _wait(self, name: str, service: str) -> None:
        check = self._check(service)
        if check is None:
            assert self._processes[name].wait(timeout=120) == 0, self.log(name)
            return
        environment = self.environment(service) | self._to_postgres()

        def healthy() -> bool:
            assert self._processes[name].poll() is None, self.log(name)
            return self._succeeds(check, environment)

        _until(healthy, f"{name} was healthy")

    def _check(self, service: str) -> list[str] | None:
        """The health check of a service, or of its image; None for one that ends by itself."""
        written = self.services[service].get("healthcheck")
        if written is not None:
            kind, *command = written["test"]
            command = command if kind == "CMD" else ["sh", "-c", *command]
            return [*command, "-p", str(self._redis_port)] if service == "redis" else command
        if self.services[service]["restart"] == "on-failure":
            return None
        (line,) = (each for each in self._stage(service) if each.startswith("HEALTHCHECK"))
        said = self._moved(line.partition(" CMD ")[2])
        return list(yaml.safe_load(said)) if said.startswith("[") else ["sh", "-c", said]

    def _succeeds(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, timeout=120, check=False)
        return done.returncode == 0

    def _moved(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text


def _user() -> int:
    """The images' user; root without a right of root's, where nobody else can read this interpreter."""
    readable = all(each.stat().st_mode & 1 for each in Path(sys.executable).resolve().parents)
    return 10001 if readable else 0


def _nobody_special() -> str | None:
    """Whom PostgreSQL runs as, which refuses to be root's."""
    return "postgres" if os.geteuid() == 0 else None


def _until(true: Any, what: str, seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{seconds} seconds passed before {what}."
        time.sleep(0.5)
