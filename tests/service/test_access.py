"""Who is let in where: every route of the API has a rule here, and keeps it for every kind of caller."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.tables import Annotator, Job, Membership, Project
from tests.maker import Maker

Login = Callable[..., TestClient]

# The least that a caller must be. given: an annotator to whom the region, or a region of the image, was given, or a reviewer.
# self, own: whom it is about, or an admin of the server. reviewer of any: of any project.
# holder: who holds the lease. anybody: with a token; of others' projects nothing is in the answer. public: without one, too.
RULES = {
    ("GET", "/healthz"): "public",
    ("GET", "/readyz"): "public",
    ("POST", "/session"): "public",
    ("GET", "/session"): "anybody",
    ("DELETE", "/session"): "anybody",
    ("GET", "/projects"): "anybody",
    ("POST", "/projects"): "server admin",
    ("GET", "/projects/{id}"): "annotator",
    ("PATCH", "/projects/{id}"): "project admin",
    ("DELETE", "/projects/{id}"): "project admin",
    ("GET", "/projects/{id}/members"): "reviewer",
    ("POST", "/projects/{id}/members"): "project admin",
    ("PATCH", "/projects/{id}/members/{annotator_id}"): "project admin",
    ("DELETE", "/projects/{id}/members/{annotator_id}"): "project admin",
    ("POST", "/projects/{id}/members/{annotator_id}/pause"): "project admin",
    ("POST", "/projects/{id}/members/{annotator_id}/resume"): "project admin",
    ("GET", "/projects/{id}/annotators"): "annotator",
    ("GET", "/projects/{id}/agreement/regions"): "annotator",
    ("GET", "/projects/{id}/agreement/classes"): "annotator",
    ("GET", "/projects/{id}/agreement/pairs"): "annotator",
    ("POST", "/projects/{id}/class-changes"): "project admin",
    ("GET", "/projects/{id}/class-changes"): "reviewer",
    ("POST", "/projects/{id}/class-changes/{number}/revert"): "project admin",
    ("GET", "/projects/{id}/class-changes/{number}/regions"): "reviewer",
    ("GET", "/limits"): "anybody",
    ("GET", "/projects/{id}/images"): "reviewer",
    ("POST", "/projects/{id}/images"): "project admin",
    ("POST", "/projects/{id}/images/references"): "project admin",
    ("GET", "/images/{id}"): "given",
    ("GET", "/images/{id}/file"): "given",
    ("GET", "/images/{id}/seen"): "given",
    ("PATCH", "/images/{id}"): "project admin",
    ("DELETE", "/images/{id}"): "project admin",
    ("GET", "/projects/{id}/regions"): "reviewer",
    ("GET", "/next-regions"): "annotator",
    ("GET", "/regions/{id}"): "given",
    ("GET", "/regions/{id}/crop"): "given",
    ("GET", "/regions/{id}/context"): "given",
    ("GET", "/regions/{id}/prediction"): "given",
    ("GET", "/regions/{id}/hints"): "given",
    ("GET", "/regions/{id}/label"): "given",
    ("GET", "/regions/{id}/labels"): "given",
    ("GET", "/regions/{id}/labels/{version}"): "given",
    ("GET", "/regions/{id}/reviews"): "reviewer",
    ("POST", "/regions/{id}/reviews"): "reviewer",
    ("POST", "/regions/{id}/reopen"): "annotator",
    ("GET", "/projects/{id}/reviews"): "reviewer",
    ("GET", "/labels"): "anybody",
    ("POST", "/regions/{id}/release"): "annotator",
    ("POST", "/regions/{id}/renew"): "annotator",
    ("POST", "/regions/{id}/skip"): "annotator",
    ("POST", "/regions/{id}/unskip"): "reviewer",
    ("POST", "/leases/{token}/renew"): "holder",
    ("POST", "/labels"): "annotator",
    ("POST", "/projects/{id}/label-maps"): "reviewer",
    ("GET", "/projects/{id}/rounds"): "reviewer",
    ("GET", "/projects/{id}/progress"): "reviewer",
    ("POST", "/rounds/{id}/finish"): "project admin",
    ("POST", "/rounds/{id}/close"): "project admin",
    ("GET", "/projects/{id}/jobs"): "reviewer",
    ("POST", "/projects/{id}/jobs"): "project admin",
    ("GET", "/jobs/{id}"): "reviewer",
    ("GET", "/jobs/{id}/log"): "reviewer",
    ("POST", "/jobs/{id}/cancel"): "project admin",
    ("POST", "/jobs/{id}/retry"): "project admin",
    ("GET", "/workers"): "reviewer of any",
    ("GET", "/projects/{id}/live"): "reviewer",
    ("GET", "/projects/{id}/checkpoints"): "reviewer",
    ("POST", "/projects/{id}/checkpoints"): "project admin",
    ("GET", "/checkpoints/{id}/file"): "project admin",
    ("GET", "/projects/{id}/export"): "reviewer",
    ("GET", "/metrics"): "server reviewer",
    ("GET", "/annotators"): "server admin",
    ("POST", "/annotators"): "server admin",
    ("DELETE", "/annotators/{id}"): "server admin",
    ("POST", "/annotators/{id}/token"): "server admin",
    ("POST", "/annotators/{id}/reactivate"): "server admin",
    ("GET", "/annotators/{id}/tokens"): "self",
    ("POST", "/annotators/{id}/tokens"): "self",
    ("POST", "/tokens/{id}/rotate"): "own",
    ("DELETE", "/tokens/{id}"): "own",
}
# Without these a request would be refused before anybody asks who sent it.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/labels"): {"json": {"labels": [{"region_id": 1, "lease_token": "1-0", "rle": {}}]}},
    ("GET", "/next-regions"): {"params": {"project": 1}},
    ("POST", "/regions/{id}/reviews"): {"json": {"decision": "accepted"}},
}
ANY = frozenset({"public", "anybody"})
ANNOTATING = ANY | {"annotator"}
# By caller: the rules that let them in, and how they are refused elsewhere in the project.
CALLERS = {
    "no token": (frozenset({"public"}), 401),
    "deactivated": (frozenset({"public"}), 401),
    "stranger": (ANY, 404),
    "annotator given nothing": (ANNOTATING, 403),
    "annotator": (ANNOTATING | {"given", "holder", "self", "own"}, 403),
    "reviewer": (ANNOTATING | {"given", "reviewer", "reviewer of any"}, 403),
    "project admin": (ANNOTATING | {"given", "reviewer", "reviewer of any", "project admin"}, 403),
    "server admin": (
        ANNOTATING
        | {"given", "reviewer", "reviewer of any", "project admin", "server reviewer", "server admin", "self", "own"},
        403,
    ),
}
# Of what is in no project there is a single refusal.
ALIKE = {"server admin": 403, "server reviewer": 403, "reviewer of any": 403, "self": 403, "holder": 404, "own": 404}
# There was nothing to find for somebody who was let in.
LET_IN = {"no_label", "member_not_found", "annotator_not_found", "class_change_not_found"}


def routes(app: FastAPI) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}


@pytest.fixture
def people(app: FastAPI, make: Maker, login: Login) -> dict[str, TestClient]:
    """A project that is not open to all, its people, and a stranger, who is a member of another project."""
    app.state.live.close()  # for ten minutes nobody here listens
    project, other = make.project(open_to_all=False), make.project("other", open_to_all=False)
    make.round_(project, make.images(project, 1), regions=3, prediction=True)
    make.checkpoint(project)
    there = {"annotator": 1, "annotator given nothing": 1, "reviewer": 1, "project admin": 1, "stranger": 2}
    roles = dict.fromkeys((*there, "deactivated"), "annotator") | {"server admin": "admin"}
    clients = {name: login(role, name) for name, role in roles.items()}
    with make.database.write() as session:
        for each in session.query(Annotator):
            each.active = each.name != "deactivated"
            if each.name in there or not each.active:
                role = each.name.removeprefix("project ") if each.name in ("reviewer", "project admin") else "annotator"
                place = {1: project.id, 2: other.id}[there.get(each.name, 1)]
                session.add(Membership(project_id=place, annotator_id=each.id, role=role, created_at=make.clock()))
        session.add(Job(project_id=project.id, kind="finish", payload={}, state="queued", created_at=make.clock()))
    assert [each["id"] for each in clients["annotator"].get("/next-regions").json()["items"]] == [1]
    spare = clients["annotator"].post("/annotators/1/tokens", json={"name": "spare"}).json()
    assert spare["id"] == len(CALLERS)
    return clients | {"no token": TestClient(app, raise_server_exceptions=False)}


def test_every_route_has_a_rule_and_every_rule_a_route(app: FastAPI) -> None:
    assert routes(app) == set(RULES)


@pytest.mark.parametrize("name", CALLERS)
def test_a_caller_is_let_in_where_the_rules_say_so_and_nowhere_else(
    app: FastAPI, people: dict[str, TestClient], name: str
) -> None:
    allowed, refusal = CALLERS[name]
    wrong = {}
    for method, path in sorted(RULES):
        # The annotator is the first person, and has a token to spare, the newest.
        place = path.replace("/tokens/{id}", f"/tokens/{len(CALLERS)}")
        place = place.format(id=1, token=f"1-{'0' * 32}", annotator_id=2, version=1, number=1)
        response = people[name].request(method, place, **BODIES.get((method, path), {}))
        error = response.json().get("error", {}) if response.headers["content-type"] == "application/json" else {}
        status = response.status_code
        let_in = status not in (401, 403, 404) or error.get("code") in LET_IN
        rule = RULES[method, path]
        if rule in allowed:
            right = let_in or (rule == "public" and status == 503)
        else:
            # Of what is not in a project, and of leases of others, there is a single refusal.
            right = status == (refusal if refusal == 401 else ALIKE.get(rule, refusal))
        if not right:
            wrong[method, path] = (rule, status, error.get("message"))
    assert not wrong


def test_a_stranger_is_told_the_same_of_what_is_not_theirs_and_of_what_is_not_there(
    people: dict[str, TestClient],
) -> None:
    stranger = people["stranger"]
    for path in ("/projects/{}", "/images/{}", "/regions/{}", "/jobs/{}", "/projects/{}/members"):
        there, nowhere = stranger.get(path.format(1)), stranger.get(path.format(99))
        assert there.status_code == nowhere.status_code == 404
        assert there.text.replace("1", "") == nowhere.text.replace("99", "")
    assert [each["id"] for each in stranger.get("/projects").json()["items"]] == [2]
    assert stranger.get("/next-regions").json()["reason"] == "not_started"  # of their only project
    assert stranger.get("/next-regions", params={"project": 1}).status_code == 404


def test_an_annotator_sees_their_own_labels_and_no_one_elses(
    people: dict[str, TestClient], make: Maker, login: Login
) -> None:
    annotator, reviewer = people["annotator"], people["reviewer"]
    (region,) = annotator.get("/next-regions").json()["items"]
    files = {"mask": ("m.png", make.mask_png(class_id=3))}
    assert annotator.post(
        "/labels", data={"region_id": 1, "lease_token": region["lease_token"]}, files=files
    ).is_success
    whole = make.mask_png(180, 160, class_id=5)
    sent = reviewer.post(
        "/projects/1/label-maps", files=[("label_map", ("00000.png", whole))], data={"replace": "true"}
    )
    assert sent.is_success, sent.text
    assert annotator.get("/regions/1/label").content != reviewer.get("/regions/1/label").content
    assert annotator.get("/regions/1").json()["label"]["version"] == 1
    assert reviewer.get("/regions/1").json()["label"]["version"] == 2
    assert annotator.get("/regions/2/label").json()["error"]["code"] == "not_given"
    assert people["annotator given nothing"].get("/regions/1/label").status_code == 403


def test_a_region_that_was_given_back_is_seen_no_more(people: dict[str, TestClient]) -> None:
    annotator = people["annotator"]
    (region,) = annotator.get("/next-regions").json()["items"]
    assert annotator.get("/regions/1/crop").status_code == annotator.get("/images/1/file").status_code == 200
    annotator.post("/regions/1/release", json={"lease_token": region["lease_token"]})
    for path in ("/regions/1", "/regions/1/crop", "/regions/1/prediction", "/images/1/file"):
        assert annotator.get(path).json()["error"]["code"] == "not_given"


def test_a_project_named_without_a_number_is_the_only_one_that_the_caller_is_a_member_of(
    people: dict[str, TestClient], make: Maker, login: Login
) -> None:
    alone = login("annotator", "alone")
    assert alone.get("/next-regions").json()["error"]["message"] == "You are a member of no project yet."
    with make.database.write() as session:
        added = session.query(Annotator).filter_by(name="annotator").one()
        row = Membership(project_id=2, annotator_id=added.id, role="annotator", created_at=make.clock())
        session.add(row)
        assert session.get_one(Project, 2).name == "other"
    asked = people["annotator"].get("/next-regions")
    assert asked.json()["error"]["code"] == "which_project"
    assert "1 (streets), 2 (other)" in asked.json()["error"]["message"]
