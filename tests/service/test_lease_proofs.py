"""Proofs of leases: who made them, what they are bound to, and that a lease that never was proves nothing anywhere."""

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select
from starlette.testclient import TestClient

from service.app import create_app
from service.blobs import Blobs
from service.db import Database
from service.errors import Invalid
from service.lease_proofs import LeaseProofs
from service.settings import Settings
from service.tables import Event, Label, Lease, Project, Region, Secret
from tests.maker import Maker
from tests.service.test_labels_api import label
from tests.service.test_many_at_once import together

Login = Callable[..., TestClient]
Send = Callable[[TestClient, dict[str, Any]], Any]

USES: dict[str, Send] = {
    "label": lambda client, region: client.post("/labels", json={"labels": [label(region)]}),
    "timed label": lambda client, region: client.post("/labels", json={"labels": [label(region, seconds=3.5)]}),
    "form": lambda client, region: client.post(
        "/labels",
        data={"region_id": region["id"], "lease_token": region["lease_token"]},
        files={"mask": ("m.png", Maker.mask_png())},
    ),
    "skip": lambda client, region: client.post(
        f"/regions/{region['id']}/skip", json={"lease_token": region["lease_token"], "reason": "dark"}
    ),
    "release": lambda client, region: client.post(
        f"/regions/{region['id']}/release", json={"lease_token": region["lease_token"]}
    ),
    "renew": lambda client, region: client.post(f"/leases/{region['lease_token']}/renew"),
}


@pytest.fixture
def project(make: Maker) -> Project:
    """A project with an open round of four regions."""
    project = make.project()
    make.round_(project, make.images(project, 1), regions=4)
    return project


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/next-regions", params={"count": count}).json()["items"]
    return items


def by_the_callers_token(client: TestClient, lease_id: int, region_id: int) -> str:
    """The proof that an earlier version took: keyed with what the caller himself knows."""
    bearer = client.headers["Authorization"].removeprefix("Bearer ")
    proof = hmac.new(bearer.encode(), f"{lease_id}:{region_id}".encode(), hashlib.sha256).hexdigest()[:32]
    return f"{lease_id}-{proof}"


def nothing_happened(database: Database) -> bool:
    with database.read() as session:
        states = set(session.scalars(select(Region.state)))
        ends = set(session.scalars(select(Lease.end)))
        return session.scalars(select(Label.id)).all() == [] and states == {"open"} and ends <= {None}


@pytest.mark.parametrize("use", USES)
def test_a_proof_that_was_not_given_for_this_lease_region_and_annotator_is_refused_everywhere(
    use: str, client: TestClient, login: Login, project: Project, app: FastAPI, database: Database
) -> None:
    mine, next_one = take(client, 2)
    other = login()
    (theirs,) = take(other)
    proofs: LeaseProofs = app.state.lease_proofs
    lease = int(mine["lease_token"].partition("-")[0])
    forged = {
        "another region's": (client, {**next_one, "lease_token": mine["lease_token"]}),
        "another lease's number": (client, {**mine, "lease_token": f"{lease + 1}" + mine["lease_token"][1:]}),
        "another annotator's": (client, theirs),
        "mine, sent by another": (other, mine),
        "made with one's own token": (client, {**mine, "lease_token": by_the_callers_token(client, lease, mine["id"])}),
        "made up": (client, {**mine, "lease_token": f"{lease}-" + "0" * 32}),
        "by the service, for a lease that never was": (client, {**mine, "lease_token": proofs.token(999, 1, 1)}),
        "by the service, for another's lease": (other, {**mine, "lease_token": proofs.token(lease, 1, 2)}),
        "by the service, for another's region": (client, {**theirs, "lease_token": proofs.token(lease, 3, 1)}),
    }
    for what, (caller, region) in forged.items():
        if use == "renew" and what in ("another region's", "by the service, for another's region"):
            continue  # a renewal names no region
        answer = USES[use](caller, region)
        code = answer.json()["error"]["code"]
        assert (answer.status_code, code) in ((422, "bad_lease_token"), (404, "lease_not_found")), (what, answer.text)
        assert nothing_happened(database), what


def test_regions_that_were_never_leased_are_not_labelled_with_proofs_made_of_ones_own_token(
    client: TestClient, project: Project, database: Database
) -> None:
    for region_id in (1, 2, 3, 4):
        for lease_id in (0, 1, region_id):
            region = {"id": region_id, "lease_token": by_the_callers_token(client, lease_id, region_id)}
            assert USES["label"](client, region).status_code == 422
            assert USES["skip"](client, region).status_code == 422
    assert nothing_happened(database)


def test_one_of_many_labels_without_a_lease_keeps_all_from_being_stored(
    client: TestClient, project: Project, app: FastAPI, database: Database
) -> None:
    mine, next_one = take(client, 2)
    never = {"id": 3, "lease_token": app.state.lease_proofs.token(77, 3, 1)}
    sent = [label(mine), label(never), label(next_one)]
    answer = client.post("/labels", json={"labels": sent})
    assert (answer.status_code, answer.json()["error"]["detail"]) == (404, {"region_id": 3})
    assert nothing_happened(database)


def test_a_lease_whose_row_is_gone_is_told_and_the_region_is_lent_anew(
    client: TestClient, project: Project, database: Database
) -> None:
    (region,) = take(client)
    with database.write() as session:
        session.execute(delete(Lease))
    answer = USES["label"](client, region)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "lease_not_found")
    assert "GET /next-regions" in answer.json()["error"]["message"]
    (again,) = take(client)
    assert USES["label"](client, again).status_code == 201


def test_a_region_leased_before_the_upgrade_stays_its_annotators_and_comes_with_a_fresh_token(
    client: TestClient, login: Login, project: Project
) -> None:
    (region,) = take(client)
    old = {**region, "lease_token": by_the_callers_token(client, 1, region["id"])}
    assert USES["label"](client, old).json()["error"]["code"] == "bad_lease_token"
    assert [each["id"] for each in take(login(), 4)] == [2, 3, 4]
    (again,) = take(client)
    assert again["id"] == region["id"]
    assert USES["label"](client, again).status_code == 201


def test_a_token_proves_one_lease_of_one_region_to_one_annotator(database: Database) -> None:
    proofs = LeaseProofs(database, "x" * 32)
    token = proofs.token(7, 3, 5)
    assert token == proofs.token(7, 3, 5)
    assert proofs.proven(token, 3, 5) == 7
    for forged, region, annotator in (
        (token, 3, 6),
        (token, 4, 5),
        ("8" + token[1:], 3, 5),
        (token[:-1], 3, 5),
        ("", 3, 5),
        ("7-é", 3, 5),
        ("٧" + token[1:], 3, 5),
        ("9" * 30 + token[1:], 3, 5),
        (proofs.token(7, 35, 5), 3, 5),
        (LeaseProofs(database, "y" * 32).token(7, 3, 5), 3, 5),
    ):
        with pytest.raises(Invalid, match="not a lease token of yours"):
            proofs.proven(forged, region, annotator)


def test_processes_that_begin_at_once_share_one_secret_that_stays(database: Database) -> None:
    proofs = [LeaseProofs(database) for _ in range(8)]
    together([each.load for each in proofs])
    later = LeaseProofs(database)
    later.load()
    assert len({each.token(1, 2, 3) for each in (*proofs, later)}) == 1
    with database.read() as session:
        (kept,) = session.scalars(select(Secret)).all()
    assert len(kept.value) >= 43
    assert kept.value not in repr(kept)


def test_a_first_request_that_writes_makes_the_secret_before_it_begins_to_write(
    client: TestClient, project: Project, database: Database
) -> None:
    done = threading.Event()

    def renew() -> None:
        assert client.post(f"/leases/1-{'0' * 32}/renew").status_code == 404
        done.set()

    threading.Thread(target=renew, daemon=True).start()
    assert done.wait(20)
    with database.read() as session:
        assert len(session.scalars(select(Secret)).all()) == 1


def test_a_secret_of_the_environment_counts_and_the_database_keeps_none(
    database: Database, blobs: Blobs, make: Maker, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGIONWISE_SECRET", "s" * 40)
    settings = Settings()
    assert "ssss" not in repr(settings) + str(settings.model_dump())
    token = make.annotator()
    apps = [create_app(settings, database=database, blobs=blobs) for _ in range(2)]
    first, second = (TestClient(app, headers={"Authorization": f"Bearer {token}"}) for app in apps)
    assert USES["label"](second, take(first)[0]).status_code == 201
    with database.read() as session:
        assert session.scalars(select(Secret)).all() == []


def test_a_secret_that_is_too_short_is_refused_at_once_and_not_repeated(database: Database) -> None:
    with pytest.raises(ValueError, match="32 random ones") as refused:
        create_app(Settings(secret="shortsecret"), database=database)
    assert "shortsecret" not in str(refused.value)


def test_the_secret_is_in_no_answer_no_event_and_no_log(
    client: TestClient, project: Project, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = [USES["label"](client, take(client)[0]).text, client.get("/openapi.json").text]
    with database.read() as session:
        secret = session.scalars(select(Secret.value)).one()
        told = [str(each.detail) for each in session.scalars(select(Event))]
    assert not any(secret in each for each in (*answers, *told, caplog.text))
