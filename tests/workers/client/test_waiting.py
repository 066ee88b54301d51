"""What a campaign says while it waits, where there is no terminal."""

from typing import Any

import pytest

from service.client import Client
from workers.client.campaign import run_job_once, wait_until_told


class Server(Client):
    """Answers each path with what comes next for it."""

    def __init__(self, **answers: list[Any]) -> None:
        self._answers = {path: iter(each) for path, each in answers.items()}

    def call(self, method: str, path: str, **request: Any) -> Any:
        return next(self._answers[path.strip("/").replace("/", "_")])

    def pages(self, path: str, after: int = 0, **narrowed: Any) -> Any:
        return iter(self.call("GET", path))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.client.campaign.time.sleep", lambda seconds: None)


def test_a_job_is_followed_to_its_end_and_said_to_be_over(capsys: pytest.CaptureFixture[str]) -> None:
    job = {"id": 7, "kind": "pretrain", "message": "", "error": None}
    server = Server(
        projects_1_jobs=[[{**job, "state": "running", "progress": 0.2}]],
        jobs_7=[{**job, "state": "running", "progress": 0.5}, {**job, "state": "done", "progress": 1.0}],
    )
    assert run_job_once(server, 1, "pretrain", {})["state"] == "done"
    assert capsys.readouterr().err == "pretrain: 100 %, in 0 s\n"


def test_rounds_are_counted_until_all_are_learned_from(capsys: pytest.CaptureFixture[str]) -> None:
    server = Server(projects_1=[{"rounds": {"labelled": 1, "told": 2}}, {"rounds": {"told": 3}}], projects_1_jobs=[[]])
    wait_until_told(server, 1)
    assert capsys.readouterr().err == "learn: 3 rounds learned from, in 0 s\n"
