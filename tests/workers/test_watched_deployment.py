"""Whoever watches a deployment: one request is followed through API, broker and worker, and nobody's token is in a log."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import REDIS
from tests.workers.deployment import Deployment, until

pytestmark = [
    pytest.mark.redis,
    pytest.mark.skipif(not REDIS, reason="REGIONWISE_TEST_REDIS names no broker"),
]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, own_database_url: str) -> Iterator[Deployment]:
    """API and worker that write JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGIONWISE_LOG_FORMAT", "json")
        patch.setenv("REGIONWISE_METRICS_TOKEN", "monitoring-only")
        deployment = Deployment(tmp_path_factory.mktemp("watched"), own_database_url)
    deployment.forget()
    try:
        deployment.start("serve")
        yield deployment
    finally:
        deployment.close()


def client_name(deployment: Deployment) -> str:
    """Who the deployment's own client is."""
    return str(deployment.client.call("GET", "/session")["name"])


def lines(deployment: Deployment, command: str) -> list[dict[str, Any]]:
    """The lines of a process that are JSON; Celery's greeting and the address to open are not."""
    text = (deployment.folder / f"{command}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_request_is_found_again_in_the_lines_of_api_and_worker(deployment: Deployment) -> None:
    project = deployment.project()
    with httpx.Client(
        base_url=deployment.client.server, headers={"Authorization": f"Bearer {deployment.token}"}
    ) as client:
        said = client.get("/readyz").json()
        assert (said["status"], said["checks"]["broker"]) == ("degraded", "ok")
        assert "regionwise worker" in said["checks"]["workers"]
        deployment.start("worker")
        until(lambda: client.get("/readyz").json()["status"] == "ready", "the worker was known before its first job")
        parameters = {"project": project, "count": 1}
        client.get("/next-regions", params=parameters, headers={"X-Request-ID": "the-first"})
        until(lambda: client.get("/next-regions", params=parameters).json()["items"] != [], "there was a region")
        token = client.get("/next-regions", params=parameters).json()["items"][0]["lease_token"]
        assert client.post(f"/leases/{token}/renew").is_success
        until(lambda: client.get("/readyz").json()["status"] == "ready", "all was well")
        scrape = client.get("/metrics", headers={"Authorization": "Bearer monitoring-only"})
    assert 'regionwise_job_seconds_count{kind="ask",state="done"} 1.0' in scrape.text

    jobs = [line for line in lines(deployment, "worker") if line.get("status") == "done"]
    assert [(line["job_kind"], line["project"], line["request_id"]) for line in jobs] == [("ask", project, "the-first")]
    access = [line for line in lines(deployment, "serve") if line["logger"] == "service.access_log"]
    followed = [line for line in access if line["request_id"] == "the-first"]
    me = client_name(deployment)
    assert [(line["route"], line["user"], line["status"]) for line in followed] == [("/next-regions", me, 200)]
    written = "".join(Path(deployment.folder / f"{each}.log").read_text() for each in ("serve", "worker"))
    assert token.partition("-")[2] not in written
    assert deployment.token not in written
    assert not [line for line in lines(deployment, "serve") if line["logger"] == "uvicorn.access"]
