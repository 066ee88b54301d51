"""docker-compose.yml: what it confines, asks for and starts. Its commands play a campaign as processes of this machine."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.client import Client
from service.settings import Settings
from tests.deploy.composed import POSTGRES, ROOT, Composed, example, services, stages, variables
from tests.workers.deployment import Campaigner, until

TOKEN = "a-token-of-the-first-admin-0123456789"
VALUES = example() | {
    "POSTGRES_PASSWORD": "p@ss/w:rd",
    "ADMIN_NAME": "ada",
    "ADMIN_TOKEN": TOKEN,
    "METRICS_TOKEN": "metrics",
    "WORKER_CPU_THREADS": "1",
}
SERVICES = services(VALUES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" in service:
        (user,) = (each for each in stages()[service["build"]["target"]] if each.startswith("USER"))
        assert user == "USER 10001:10001"
    else:
        assert service["user"] == name


def test_what_is_inside_is_reached_from_nowhere_else() -> None:
    assert {name for name, each in SERVICES.items() if "ports" in each} == {"api"}
    assert {name for name, each in SERVICES.items() if each["networks"] == ["inside"]} == {
        "postgres",
        "redis",
        "migrate",
    }


def test_every_variable_is_explained_with_its_default_and_no_secret_has_one() -> None:
    wanted = variables((ROOT / "docker-compose.yml").read_text())
    assert example() == {name: default or "" for name, default in wanted.items()}
    secrets = {name for name in wanted if any(word in name for word in ("PASSWORD", "TOKEN", "KEY"))}
    assert len(secrets) == 5
    assert not any(example()[name] for name in secrets)
    assert [name for name, default in wanted.items() if default is None] == ["POSTGRES_PASSWORD"]


def test_every_setting_that_is_given_is_one() -> None:
    known = {f"REGIONWISE_{name.upper()}" for name in Settings.model_fields}
    for name, service in SERVICES.items():
        given = {each for each in service.get("environment", {}) if each.startswith("REGIONWISE_")}
        assert given <= known, name


def test_every_setting_can_be_given_by_its_name() -> None:
    names = {f"REGIONWISE_{name.upper()}" for name in Settings.model_fields}
    values = VALUES | dict.fromkeys(names, "set")
    # What decides where a service runs, and what only some services are asked.
    fixed = {"REGIONWISE_DATA_DIR", "REGIONWISE_PORT"}
    asked = {"HOST", "SIGNED_SECONDS", "FIRST_ADMIN", "FIRST_ADMIN_TOKEN", "DEVICE", "QUEUES", "THREADS"}
    for name in ("migrate", "api", "worker", "worker-cpu"):
        environment = services(values)[name]["environment"]
        given = {each for each in environment if each.startswith("REGIONWISE_")}
        assert names - given - fixed <= {f"REGIONWISE_{each}" for each in asked}, name
        assert not given & fixed  # the image's, which a name without a value would take away
        assert environment["REGIONWISE_TRUSTED_PROXIES"] == "set"
        assert "REGIONWISE_TRUSTED_PROXIES" not in SERVICES[name]["environment"]


class Lab(Campaigner):
    """Everything that `docker compose --profile cpu up api worker-cpu --scale worker-cpu=2` starts, and its first admin."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.composed = folder, Composed(folder, VALUES)
        self.address = f"http://127.0.0.1:{self.composed.port}"
        self.client = Client(self.address, TOKEN)

    def metrics(self) -> str:
        return httpx.get(f"{self.address}/metrics", headers={"Authorization": "Bearer metrics"}).text


@pytest.fixture
def lab() -> Iterator[Lab]:
    if POSTGRES is None or shutil.which("redis-server") is None:
        pytest.skip("The programs of PostgreSQL and Redis are not on this machine.")
    # Not below /tmp, of which each confined process has its own.
    folder = Path(tempfile.mkdtemp(prefix="regionwise-compose-", dir="/var/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        folder.chmod(0o755)
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.client.close()
        lab.composed.close()
        shutil.rmtree(folder)


def test_a_campaign_is_played_to_its_end_by_two_workers_and_all_stop_when_asked(lab: Lab) -> None:
    composed = lab.composed
    composed.up("api")
    assert "Added the first admin, ada" in composed.log("api")
    assert TOKEN not in composed.log("api")
    composed.up("worker-cpu", scale=2)
    until(lambda: "regionwise_workers 2" in lab.metrics(), "both workers were known")
    projects = [lab.project(budget=4) for _ in range(2)]
    for project in projects:
        assert lab.annotator(project).run() == 4
    for project in projects:
        until(lambda project=project: lab.ended(project, "finish"), "the campaign was finished")  # type: ignore[misc]
        assert {each["state"] for each in lab.jobs(project)} == {"done"}
    assert lab.client.call("GET", "/readyz")["status"] == "ready"
    assert [composed.terminate(name, "worker-cpu") for name in ("worker-cpu", "worker-cpu-2")] == [0, 0]
    until(lambda: "regionwise_workers 0" in lab.metrics(), "the workers had left")
    assert composed.terminate("api") == 0
    assert "Traceback" not in composed.log("api")
