"""Whoever listens to a project hears within seconds what has changed, and no longer than they may."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from service.app import utc_now
from service.blobs import Blobs
from service.db import Database
from service.live import MOST_OF_A_PERSON, QUIET_SECONDS
from service.store import jobs
from service.tables import Annotator, Membership, Project, WorkerHost
from tests.maker import Maker
from tests.service.siege import Besieged

SOON = 2.0
BUSY = 6.0  # on top, where others need the cores


class Stream:
    """One who listens, in a thread of its own: what was heard, and when it was over."""

    def __init__(self, server: Besieged, project: int, **headers: str) -> None:
        self.events: list[tuple[str, set[str]]] = []
        self.heard = threading.Condition()
        self.status = 0
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{server.port}/projects/{project}/live"
        self._headers = headers
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait(lambda: bool(self.events) or self.over.is_set(), 20)

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Whether it came to this within so many seconds."""
        with self.heard:
            return self.heard.wait_for(until, seconds)

    def hears(self, *subjects: str) -> bool:
        """Whether these are told of within seconds, if need be in several events."""
        return self.wait(lambda: set(subjects) <= set().union(*(said for _, said in self.events[1:])), SOON + BUSY)

    def _listen(self) -> None:
        with contextlib.suppress(httpx.HTTPError), _stream(self.url, self._headers) as response:
            self.status = response.status_code
            name = ""
            for line in response.iter_lines():
                name = line.removeprefix("event: ") if line.startswith("event: ") else name
                if line.startswith("data: "):
                    with self.heard:
                        self.events.append((name, set(json.loads(line.removeprefix("data: "))["subjects"])))
                        self.heard.notify_all()
        with self.heard:
            self.over.set()
            self.heard.notify_all()


def _stream(url: str, headers: dict[str, str]) -> contextlib.AbstractContextManager[httpx.Response]:
    return httpx.stream("GET", url, headers=headers, timeout=60)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Besieged]:
    server = Besieged(tmp_path, database_url)
    yield server
    server.close()


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Maker]:
    database = Database(database_url)
    yield Maker(database, Blobs((tmp_path / "blobs").as_uri()), utc_now)
    database.engine.dispose()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_two_who_listen_hear_of_each_change_and_of_nothing_else(server: Besieged, make: Maker) -> None:
    reviewers = [make.annotator("reviewer") for _ in range(2)]
    ada = make.annotator()
    project, other = make.project(lookahead=False), make.project("other")
    make.round_(project, make.images(project, 1), regions=3)
    streams = [Stream(server, project.id, **bearer(each)) for each in reviewers]
    assert [each.events[0][0] for each in streams] == ["listening", "listening"]
    with make.database.write() as session:
        session.add(WorkerHost(name="a", missing={}, started_at=utc_now(), seen_at=utc_now()))
        jobs.queue_job(session, project_id=other.id, kind="evaluate", now=utc_now())
    assert all(each.hears("workers") for each in streams)
    with make.database.write() as session:
        job = jobs.queue_job(session, project_id=project.id, kind="evaluate", now=utc_now()).id
    assert all(each.hears("jobs") for each in streams)
    assert {"regions", "rounds", "project"}.isdisjoint(set().union(*(said for _, said in streams[0].events[1:])))
    begun = len(streams[0].events)
    with make.database.write() as session:
        session.execute(update(WorkerHost).values(seen_at=utc_now()))
        session.get_one(type(jobs.get_job(session, job)), job).heartbeat_at = utc_now()
    time.sleep(SOON)
    assert len(streams[0].events) == begun
    url = f"http://127.0.0.1:{server.port}"
    (given,) = httpx.get(f"{url}/next-regions?project={project.id}", headers=bearer(ada), timeout=60).json()["items"]
    mask = {"mask": ("m.png", make.mask_png())}
    body = {"region_id": given["id"], "lease_token": given["lease_token"]}
    assert httpx.post(f"{url}/labels", data=body, files=mask, headers=bearer(ada), timeout=60).status_code == 201
    assert all(each.hears("regions", "project") for each in streams)


def test_a_stream_ends_when_its_session_or_its_role_does(server: Besieged, make: Maker) -> None:
    token, other = make.annotator("reviewer", "ada"), make.annotator("reviewer", "eve")
    project = make.project()
    url = f"http://127.0.0.1:{server.port}/session"
    cookie = httpx.post(url, json={"token": token}, timeout=60).headers["set-cookie"].partition(";")[0]
    by_cookie, by_token = (
        Stream(server, project.id, Cookie=cookie),
        Stream(server, project.id, **bearer(other)),
    )
    assert by_cookie.status == by_token.status == 200
    meant = {"Cookie": cookie, "X-Requested-With": "regionwise", "Sec-Fetch-Site": "same-origin"}
    assert httpx.delete(url, headers=meant, timeout=60).is_success
    with make.database.write() as session:
        eve = session.scalars(select(Annotator.id).where(Annotator.name == "eve")).one()
        session.execute(update(Membership).where(Membership.annotator_id == eve).values(role="annotator"))
    for each in (by_cookie, by_token):
        assert each.over.wait(QUIET_SECONDS + BUSY)


def test_one_person_has_few_streams_and_gives_each_back(server: Besieged, make: Maker) -> None:
    token = bearer(make.annotator("reviewer"))
    project = make.project()
    path = f"http://127.0.0.1:{server.port}/projects/{project.id}/live"
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_OF_A_PERSON):
            open_ = stack.enter_context(httpx.stream("GET", path, headers=token, timeout=60))
            assert open_.headers["content-type"].startswith("text/event-stream")
        refused = httpx.get(path, headers=token, timeout=60)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
        assert int(refused.headers["retry-after"]) > 0
    deadline = time.monotonic() + BUSY
    while Stream(server, project.id, **token).status != 200:
        assert time.monotonic() < deadline


def test_all_streams_of_a_process_are_bounded(database_url: str, make: Maker, tmp_path: Path) -> None:
    server = Besieged(tmp_path, database_url, max_connections=8)
    project = make.project()
    tokens = [make.annotator("admin") for _ in range(5)]
    statuses = [Stream(server, project.id, **bearer(each)).status for each in tokens]
    server.close()
    assert statuses == [200] * 4 + [503]


def test_a_server_that_is_asked_to_end_waits_for_nobody_who_listens(server: Besieged, make: Maker) -> None:
    project = make.project()
    stream = Stream(server, project.id, **bearer(make.annotator("reviewer")))
    server.process.send_signal(signal.SIGTERM)
    assert stream.over.wait(SOON + BUSY)
    server.process.wait(SOON + BUSY)


def test_who_may_not_review_or_asks_for_what_is_not_there_hears_nothing(server: Besieged, make: Maker) -> None:
    project = make.project(open_to_all=True)
    reviewer, annotator = make.annotator("reviewer"), make.annotator("annotator")
    assert server.get(f"/projects/{project.id}/live", annotator).status_code == 403
    assert server.get("/projects/99/live", reviewer).status_code == 404
    assert server.get("/projects/99/live", make.annotator("admin")).status_code == 404
    with make.database.read() as session:
        assert session.get(Project, 99) is None
