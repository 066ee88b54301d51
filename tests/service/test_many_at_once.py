"""Sixteen clients at once through the real application: no region twice, no label lost, no round closed twice."""

import base64
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from service.db import Database
from service.store import labels, leases
from service.store.offers import Seat
from service.tables import Annotator, Image, ImageGroup, Job, Label, Lease, Region, Round
from tests.conftest import Outbox
from tests.maker import Maker

Login = Callable[..., TestClient]
CLIENTS = 16
MASKS = [base64.b64encode(Maker.mask_png(class_id=id)).decode() for id in range(8)]


def together(works: list[Callable[[], None]]) -> None:
    """Run all at once; the first failure of any is raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            start.wait()
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def label(region: dict[str, Any]) -> dict[str, Any]:
    mask = MASKS[region["id"] % len(MASKS)]
    return {"region_id": region["id"], "lease_token": region["lease_token"], "mask_png": mask}


def test_sixteen_annotators_empty_two_rounds_without_sharing_or_losing_anything(
    login: Login, make: Maker, database: Database, outbox: Outbox
) -> None:
    project = make.project(lookahead=False, batch_size=48)
    images = make.images(project, 24)
    make.round_(project, images[:12], regions=48)
    make.round_(project, images[12:], regions=48, number=2)
    given: list[int] = []
    stored: list[tuple[int, int]] = []

    def annotate(client: TestClient) -> None:
        while True:
            response = client.get("/next-regions", params={"count": 2})
            assert response.status_code == 200, response.text
            regions = response.json()["items"]
            if not regions:
                assert response.json()["reason"] in ("all_leased", "scoring")
                return
            given.extend(region["id"] for region in regions)
            answer = client.post("/labels", json={"labels": [label(region) for region in regions]})
            assert answer.status_code == 201, answer.text
            stored.extend((each["region_id"], each["id"]) for each in answer.json()["labels"])

    clients = [login() for _ in range(CLIENTS)]
    together([lambda client=client: annotate(client) for client in clients])  # type: ignore[misc]

    assert sorted(given) == list(range(1, 97))
    assert sorted(region_id for region_id, _ in stored) == list(range(1, 97))
    with database.read() as session:
        labels = session.scalars(select(Label)).all()
        assert {(each.region_id, each.id) for each in labels} == set(stored)
        assert Counter(session.scalars(select(Lease.end))) == {"labelled": 96}
        assert session.scalars(select(Round.state)).all() == ["labelled", "labelled"]
        tells = session.scalars(select(Job.dedup_key).where(Job.kind == "tell")).all()
    assert sorted(map(str, tells)) == ["tell:1", "tell:2"]
    assert Counter(kind for _, kind in outbox)["tell"] == 2


def test_the_last_labels_of_a_round_posted_at_once_close_it_once(
    login: Login, make: Maker, database: Database, outbox: Outbox
) -> None:
    project = make.project(lookahead=False)
    make.round_(project, make.images(project, 4), regions=CLIENTS)
    clients = [login() for _ in range(CLIENTS)]
    regions = [client.get("/next-regions").json()["items"][0] for client in clients]
    statuses: list[int] = []

    def post(client: TestClient, region: dict[str, Any]) -> None:
        statuses.append(client.post("/labels", json={"labels": [label(region)]}).status_code)

    together([lambda c=c, r=r: post(c, r) for c, r in zip(clients, regions, strict=True)])  # type: ignore[misc]
    assert statuses == [201] * CLIENTS
    assert [kind for _, kind in outbox] == ["tell"]
    with database.read() as session:
        assert session.get_one(Round, 1).state == "labelled"


def test_of_two_last_labels_the_second_waits_for_the_first_and_closes_the_round(
    make: Maker, database: Database
) -> None:
    project = make.project(lookahead=False)
    regions = make.round_(project, make.images(project, 1), regions=2)
    finished = threading.Event()

    def submit(session: Session, region: Region) -> None:
        sent = labels.Submission(
            region_id=region.id,
            round_id=1,
            mask=b"",
            digest="",
            class_counts=[0] * 11,
            seconds=None,
            lease_id=given[region.id],
        )
        labels.submit(session, [sent], 1, now=make.clock())

    def second() -> None:
        with database.write() as session:
            submit(session, regions[1])
        finished.set()

    make.annotator()
    with database.write() as session:
        taken = leases.claim(session, project.id, 1, count=2, now=make.clock(), default_minutes=15)
        given = {each.placed.id: each.lease.id for each in taken}
    with database.write() as session:
        submit(session, regions[0])
        thread = threading.Thread(target=second)
        thread.start()
        assert not finished.wait(0.3)
    thread.join()
    with database.read() as session:
        assert session.get_one(Round, 1).state == "labelled"


def test_a_region_leased_since_it_was_looked_at_is_not_leased_again(make: Maker, database: Database) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    make.annotator()
    make.annotator()
    now = make.clock()
    with database.write() as session:
        (held,) = leases.claim(session, project.id, 1, count=1, now=now, default_minutes=15)
    # What a statement on PostgreSQL does whose snapshot is older than the first lease.
    with database.write() as session:
        free = [
            (
                SimpleNamespace(id=held.placed.id, settings={}),
                Seat(lease_id=None, expires_at=None, number=0, run_out=()),
            )
        ]
        assert leases._granted(session, free, 2, now=now, expires_at=now) == []
    with database.read() as session:
        assert session.scalars(select(Lease.annotator_id)).all() == [1]


def test_one_label_posted_sixteen_times_at_once_is_stored_once(
    client: TestClient, make: Maker, database: Database
) -> None:
    project = make.project(lookahead=False)
    make.round_(project, make.images(project, 1), regions=2)
    region = client.get("/next-regions").json()["items"][0]
    answers: list[tuple[int, int]] = []

    def post() -> None:
        answer = client.post("/labels", json={"labels": [label(region)]})
        answers.append((answer.status_code, answer.json()["labels"][0]["id"]))

    together([post] * CLIENTS)
    assert Counter(answers) == {(201, 1): 1, (200, 1): CLIENTS - 1}


def test_sixteen_who_want_the_same_expired_region_get_different_ones(
    login: Login, make: Maker, database: Database, clock: Any
) -> None:
    project = make.project(lookahead=False)
    make.round_(project, make.images(project, 4), regions=CLIENTS)
    assert len(login().get("/next-regions", params={"count": 100}).json()["items"]) == CLIENTS
    clock.advance(minutes=16)
    given: list[int] = []
    clients = [login() for _ in range(CLIENTS)]

    def take(client: TestClient) -> None:
        # On PostgreSQL rows that another is about to lease are passed over, so that one may have to ask twice.
        while not (items := client.get("/next-regions").json()["items"]):
            pass
        given.append(items[0]["id"])

    together([lambda client=client: take(client) for client in clients])  # type: ignore[misc]
    assert sorted(given) == list(range(1, CLIENTS + 1))
    with database.read() as session:
        assert Counter(session.scalars(select(Lease.end))) == {"expired": CLIENTS, None: CLIENTS}


def test_uploads_at_once_leave_no_gap_in_a_group_and_no_group_twice(
    admin: TestClient, make: Maker, database: Database
) -> None:
    make.project()

    def upload(place: int) -> None:
        # Every second one sends a file that all the others of its kind send too.
        names = [f"{place}.png", "shared.png"] if place % 2 else [f"{place}.png"]
        files = [("image", (name, make.picture(20, 20 + place % 3 if name != "shared.png" else 20))) for name in names]
        response = admin.post("/projects/1/images", files=files, data={"split": "pool"})
        assert response.status_code == 201, response.text

    together([lambda place=place: upload(place) for place in range(CLIENTS)])  # type: ignore[misc]
    with database.read() as session:
        groups = session.scalars(select(ImageGroup)).all()
        assert sorted(group.width for group in groups) == [20, 21, 22]
        assert sum(group.count for group in groups) == CLIENTS + 1
        for group in groups:
            ordinals = session.scalars(select(Image.ordinal).where(Image.group_id == group.id).order_by(Image.ordinal))
            assert ordinals.all() == list(range(group.count))


def test_admins_who_remove_each_other_at_once_leave_one(login: Login, database: Database) -> None:
    first, second = login("admin", "first"), login("admin", "second")
    statuses: list[int] = []
    together(
        [
            lambda: statuses.append(first.delete("/annotators/2").status_code),
            lambda: statuses.append(second.delete("/annotators/1").status_code),
        ]
    )
    with database.read() as session:
        active = select(func.count()).select_from(Annotator).where(Annotator.active.is_(True))
        assert session.scalar(active) == 1
    assert sorted(statuses) in ([200, 401], [200, 409])


def test_those_who_find_nothing_at_once_start_one_round(
    login: Login, make: Maker, database: Database, outbox: Outbox
) -> None:
    project = make.project()
    make.images(project, 4)
    clients = [login() for _ in range(CLIENTS)]
    reasons: list[str] = []

    def ask(client: TestClient) -> None:
        reasons.append(client.get("/next-regions").json()["reason"])

    together([lambda client=client: ask(client) for client in clients])  # type: ignore[misc]
    assert reasons == ["scoring"] * CLIENTS
    assert [kind for _, kind in outbox] == ["ask"]
