"""Checkpoints over HTTP: a policy that fits comes and goes byte by byte, and nothing is left of one that does not."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import select
from starlette.testclient import TestClient

from models.blend import Blend
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.turns_network import TurnsNetwork
from service.db import Database
from service.domain.classes import CITYSCAPES
from service.settings import Settings
from service.store import jobs
from service.tables import Checkpoint, Event, Project
from tests.conftest import START
from tests.maker import Maker
from tests.service.test_many_at_once import together
from tests.workers.conftest import CLASSES
from workers.training.checkpoints import Policy, save_policy, to_bytes

SMALL = RegionwiseSettings(width=2, deep=False, dueling=False, state_encoder="mean")
REGIONS = 8  # two images of 180 x 160 in cells of 90 x 80

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


def small(seed: int = 0, **more: Any) -> bytes:
    """The file of a regionwise policy of a few weights."""
    network = RegionwiseNetwork(SMALL, torch.Generator().manual_seed(seed))
    return save_policy(network, CLASSES, **more)


def changed(weights: dict[str, torch.Tensor] | None = None, **description: Any) -> bytes:
    """Its file with further or other weights, or saying other things of itself."""
    network = RegionwiseNetwork(SMALL)
    architecture = {"network": "regionwise", **network.describe()}
    known = {"kind": "policy", "architecture": architecture, "classes": list(CLASSES.names)}
    return to_bytes(known | description, network.state_dict() | (weights or {}))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The paper's network takes 1.4 MB."""
    return settings.model_copy(update={"max_json_bytes": 2_000_000})


@pytest.fixture(autouse=True)
def project(make: Maker) -> None:
    make.images(make.project(classes=CLASSES), 2, split="state")


def upload(client: TestClient, data: bytes, *, project: int = 1, kind: str = "policy") -> Any:
    return client.post(f"/projects/{project}/checkpoints", files={"file": ("any.name", data)}, data={"kind": kind})


def blobs_in(folder: Path) -> list[str]:
    return [path.name for path in (folder / "blobs" / "checkpoints").rglob("*") if path.is_file()]


def uploads(database: Database) -> list[dict[str, Any]]:
    with database.read() as session:
        found = session.scalars(select(Event).where(Event.kind == "checkpoint_uploaded").order_by(Event.id))
        return [{**each.detail, "by": each.annotator_id, "project": each.project_id} for each in found]


def test_what_is_long_in_a_file_s_description_stays_in_the_file(admin: TestClient) -> None:
    data = save_policy(QueryNetwork(3, REGIONS), CLASSES, returns=[0.5] * 500, trials=[0.5] * 100, note="x" * 3000)
    assert upload(admin, data).status_code == 201
    (row,) = admin.get("/projects/1/checkpoints").json()["items"]
    assert set(row["description"]) == {"format", "kind", "architecture", "classes", "hash", "trials"}
    assert admin.get("/checkpoints/1/file").content == data


def test_what_held_out_games_said_of_a_file_elsewhere_does_not_count_here(admin: TestClient) -> None:
    said: dict[str, Any] = {"winner": "__import__", "compared": 5, "saved": {"miou": "x"}}
    assert upload(admin, save_policy(Blend(), CLASSES, **said)).status_code == 201
    (row,) = admin.get("/projects/1/checkpoints").json()["items"]
    assert not said.keys() & row["description"].keys()
    assert admin.get("/projects/1").json()["choice"] == {
        "by": "coreset",
        "areas": None,
        "saved": None,
        "games": None,
        "courses": {},
    }  # no segmenter yet


def test_a_policy_is_not_uploaded_while_a_job_makes_one_that_would_be_used_in_its_place(
    admin: TestClient, database: Database
) -> None:
    data = save_policy(Blend(), CLASSES)
    with database.write() as session:
        jobs.queue_job(session, project_id=1, kind="train-policy", now=START)
    refused = upload(admin, data)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "job_running")
    assert "Job 1, train-policy, is under way" in refused.json()["error"]["message"]
    assert admin.post("/jobs/1/cancel").status_code == 200
    assert upload(admin, data).status_code == 201


@pytest.mark.parametrize(
    "network",
    [QueryNetwork(3, REGIONS), RegionwiseNetwork(), Blend(), TurnsNetwork()],
    ids=["paper", "regionwise", "blend", "turns"],
)
def test_a_policy_comes_and_goes_byte_by_byte(admin: TestClient, database: Database, network: Policy) -> None:
    data = save_policy(network, CLASSES, returns=[1.5, -0.25], note="Straße \x00 \U0001f6b2")
    response = upload(admin, data)
    assert response.status_code == 201
    row = response.json()
    assert (row["id"], row["project_id"], row["kind"], row["parent_id"], row["job_id"]) == (1, 1, "policy", None, None)
    assert row["created_at"] == START.isoformat().replace("+00:00", "Z")
    assert row["description"]["returns"] == [1.5, -0.25]
    assert row["description"]["note"] == "Straße \x00 \U0001f6b2"
    assert row["description"]["classes"] == ["ground", "box", "pole"]
    assert uploads(database) == [{"checkpoint": "policy", "checkpoint_id": 1, "by": 1, "project": 1}]
    assert admin.get("/projects/1").json()["checkpoints"]["policy"]["id"] == 1

    file = admin.get("/checkpoints/1/file")
    assert file.content == data
    assert file.headers["Content-Length"] == str(len(data))
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"] == 'attachment; filename="policy-1.safetensors"'
    assert file.headers["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    again = admin.get("/checkpoints/1/file", headers={"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_newest_policy_again_is_there_already_and_an_older_one_becomes_the_newest(
    admin: TestClient, database: Database, tmp_path: Path
) -> None:
    first, second = small(1), small(2)
    statuses = [upload(admin, data).status_code for data in (first, first, second, second, first)]
    assert statuses == [201, 200, 201, 200, 201]
    assert upload(admin, first).json() == admin.get("/projects/1/checkpoints").json()["items"][-1]
    assert [each["id"] for each in admin.get("/projects/1/checkpoints").json()["items"]] == [1, 2, 3]
    assert admin.get("/checkpoints/3/file").content == first
    assert len(uploads(database)) == 3
    assert len(blobs_in(tmp_path)) == 2


def test_of_two_uploads_of_a_file_at_once_one_makes_the_row(admin: TestClient, database: Database) -> None:
    data, statuses = small(), []
    together([lambda: statuses.append(upload(admin, data).status_code)] * 4)
    assert sorted(statuses) == [200, 200, 200, 201]
    assert len(uploads(database)) == 1


REFUSED = {
    "nothing": (b"", "not_a_checkpoint", "it ends before its header does"),
    "a picture": (Maker.picture(60, 50), "not_a_checkpoint", "it ends before its header does"),
    "half a file": (small()[:-4], "not_a_checkpoint", "its tensors take"),
    "not finite words": (small(returns=[float("nan")]), "not_a_checkpoint", "not finite"),
    "half a character": (small(note="\ud800"), "not_a_checkpoint", "holds what is no text"),
    "another version": (changed(format=2), "wrong_format", "format 2; this version reads 1"),
    "a segmenter": (changed(kind="segmenter"), "wrong_kind", "Take the file of a policy instead"),
    "another network": (
        changed(architecture={"network": "x"}),
        "unknown_architecture",
        "paper, regionwise, blend or turns",
    ),
    "other classes": (save_policy(QueryNetwork(19, REGIONS), CITYSCAPES), "other_classes", "Train a new one with a"),
    "another D_S": (save_policy(QueryNetwork(3, 24), CLASSES), "other_state_set", "24 regions, the project's has 8"),
    "a strange weight": (changed({"more": torch.ones(1)}), "wrong_weights", "weights.more does not belong there"),
    "another shape": (changed({"scores.weight": torch.ones(14)}), "wrong_weights", "is F32 [14], not F32 [1, 14]"),
    "another type": (changed({"scores.weight": torch.ones(1, 14).half()}), "wrong_weights", "is F16 [1, 14], not F32"),
    "no numbers": (changed({"scores.weight": torch.ones(1, 14) / 0}), "weights_not_finite", "Train a new policy"),
}


@pytest.mark.parametrize(("data", "code", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_does_not_fit_is_refused_and_nothing_is_left_of_it(
    admin: TestClient, database: Database, tmp_path: Path, data: bytes, code: str, sentence: str
) -> None:
    response = upload(admin, data)
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)
    assert sentence in response.json()["error"]["message"]
    assert admin.get("/projects/1/checkpoints").json()["items"] == []
    assert (blobs_in(tmp_path), uploads(database)) == ([], [])


def test_a_file_larger_than_a_body_may_be_is_413(admin: TestClient, tmp_path: Path) -> None:
    response = upload(admin, b"x" * 2_000_001)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert blobs_in(tmp_path) == []


def test_uploads_need_a_project_a_policy_a_file_and_an_admin(
    admin: TestClient, login: Callable[..., TestClient], stranger: TestClient, tmp_path: Path
) -> None:
    data = small()
    assert upload(admin, data, project=9).status_code == 404
    assert upload(admin, data, kind="segmenter").status_code == 422
    assert admin.post("/projects/1/checkpoints", files={"file": ("a", data)}).status_code == 422
    assert admin.post("/projects/1/checkpoints", data={"kind": "policy"}).status_code == 422
    assert admin.post("/projects/1/checkpoints", data={"kind": "policy", "file": "text"}).status_code == 422
    assert blobs_in(tmp_path) == []
    assert upload(admin, data).status_code == 201
    for role, listed, file in (("annotator", 403, 403), ("reviewer", 200, 403), ("admin", 200, 200)):
        client = login(role)
        assert client.get("/projects/1/checkpoints").status_code == listed
        assert client.get("/checkpoints/1/file").status_code == file
        assert upload(client, data).status_code == (200 if role == "admin" else 403)
    assert {upload(stranger, data).status_code, stranger.get("/checkpoints/1/file").status_code} == {401}


def test_checkpoints_are_listed_in_pages_and_by_kind(client: TestClient, make: Maker, database: Database) -> None:
    with database.read() as session:
        one = session.get_one(Project, 1)
    another = make.project("another", classes=CLASSES)
    for project, kind in ((one, "source"), (one, "policy"), (another, "policy"), (one, "segmenter"), (one, "policy")):
        make.checkpoint(project, kind)
    with database.write() as session:
        session.get_one(Checkpoint, 4).parent_id = 1
    page = client.get("/projects/1/checkpoints", params={"limit": 2}).json()
    assert ([each["kind"] for each in page["items"]], page["next"]) == (["source", "policy"], 2)
    rest = client.get("/projects/1/checkpoints", params={"after": page["next"]}).json()
    assert ([(each["id"], each["parent_id"]) for each in rest["items"]], rest["next"]) == ([(4, 1), (5, None)], None)
    policies = client.get("/projects/1/checkpoints", params={"kind": "policy"}).json()["items"]
    assert [(each["id"], each["description"]) for each in policies] == [(2, {"miou": 0.5}), (5, {"miou": 0.5})]
    assert client.get("/projects/1/checkpoints", params={"kind": "dog"}).status_code == 422
    assert client.get("/projects/9/checkpoints").status_code == 404


def test_what_is_not_there_is_404(admin: TestClient) -> None:
    response = admin.get("/checkpoints/99/file")
    assert (response.status_code, response.json()["error"]["message"]) == (404, "There is no checkpoint 99.")
