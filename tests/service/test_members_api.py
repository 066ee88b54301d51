"""Members of projects: added, changed, removed, by those who may; and projects that are open to all."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Event
from tests.maker import Maker

Login = Callable[..., TestClient]


@pytest.fixture
def project(make: Maker) -> int:
    """A project of nobody yet."""
    return make.project(open_to_all=False).id


def names(client: TestClient, project: int) -> dict[str, str]:
    return {each["name"]: each["role"] for each in client.get(f"/projects/{project}/members").json()["items"]}


def test_a_member_is_added_by_name_in_their_own_role_or_another(
    admin: TestClient, client: TestClient, login: Login, project: int, database: Database
) -> None:
    assert client.get(f"/projects/{project}").status_code == 404
    path = f"/projects/{project}/members"
    added = [admin.post(path, json={"name": "ada"}) for _ in range(2)]
    assert [each.status_code for each in added] == [201, 200]
    assert added[0].json() == added[1].json()
    assert client.get(f"/projects/{project}").status_code == 200
    login("annotator", "eve")
    assert admin.post(path, json={"name": "eve", "role": "admin"}).json()["role"] == "admin"
    assert names(admin, project) == {"ada": "annotator", "eve": "admin"}
    again = admin.post(path, json={"name": "eve", "role": "reviewer"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "member_exists")
    unknown = admin.post(path, json={"name": "nobody"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "annotator_not_found")
    with database.read() as session:
        (first, _) = session.scalars(select(Event).where(Event.kind == "member_added").order_by(Event.id)).all()
    assert (first.project_id, first.annotator_id, first.detail) == (project, 1, {"member": 2, "role": "annotator"})


def test_a_project_admin_who_is_none_of_the_server_changes_and_removes_members(
    admin: TestClient, client: TestClient, login: Login, project: int
) -> None:
    path, chief = f"/projects/{project}/members", login("annotator", "chief")
    admin.post(path, json={"name": "chief", "role": "admin"})
    (ada,) = [chief.post(path, json={"name": "ada"}).json()["annotator_id"]]
    assert client.get(f"/projects/{project}/rounds").status_code == 403
    assert chief.patch(f"{path}/{ada}", json={"role": "reviewer"}).json()["role"] == "reviewer"
    assert client.get(f"/projects/{project}/rounds").status_code == 200
    assert client.patch(f"{path}/{ada}", json={"role": "admin"}).status_code == 403
    assert chief.delete(f"{path}/{ada}").status_code == 200
    assert client.get(f"/projects/{project}/rounds").status_code == 404
    assert chief.delete(f"{path}/{ada}").json()["error"]["code"] == "member_not_found"
    assert chief.post("/projects", json={"name": "own", "classes": "camvid"}).status_code == 403
    assert chief.patch(f"/projects/{project}", json={"name": "renamed"}).status_code == 200


def test_who_is_removed_loses_their_regions_and_their_label_is_refused(
    admin: TestClient, client: TestClient, login: Login, make: Maker
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    (held,) = client.get("/next-regions").json()["items"]
    (ada,) = [each for each in admin.get(f"/projects/{project.id}/members").json()["items"] if each["name"] == "ada"]
    admin.delete(f"/projects/{project.id}/members/{ada['annotator_id']}")
    proof = {"region_id": held["id"], "lease_token": held["lease_token"]}
    assert client.post("/labels", data=proof, files={"mask": ("m.png", make.mask_png())}).status_code == 404
    assert client.post(f"/leases/{held['lease_token']}/renew").status_code == 404
    assert client.post(f"/regions/{held['id']}/release", json={"lease_token": held["lease_token"]}).status_code == 404
    assert [each["id"] for each in login().get("/next-regions").json()["items"]] == [held["id"]]


def test_who_makes_a_project_is_its_admin_and_may_name_others_or_everyone(admin: TestClient, login: Login) -> None:
    login("annotator", "ada"), login("reviewer", "eve")
    body = {"classes": "camvid"}
    made = admin.post("/projects", json={**body, "name": "alone"}).json()
    assert (names(admin, made["id"]), made["open_to_all"]) == ({"root": "admin"}, False)
    listed = [{"name": "ada", "role": "reviewer"}, {"name": "eve"}, {"name": "root"}]
    made = admin.post("/projects", json={**body, "name": "some", "members": listed}).json()
    assert names(admin, made["id"]) == {"root": "admin", "ada": "reviewer", "eve": "reviewer"}
    made = admin.post("/projects", json={**body, "name": "all", "members": "everyone"}).json()
    admin.post("/annotators", json={"name": "late"})
    assert names(admin, made["id"]) == {"root": "admin", "ada": "annotator", "eve": "reviewer", "late": "annotator"}
    refused = admin.post("/projects", json={**body, "name": "none", "members": [{"name": "nobody"}]})
    assert refused.status_code == 404
    assert "none" not in [each["name"] for each in admin.get("/projects").json()["items"]]


def test_a_project_is_opened_to_all_and_closed_to_those_who_come_later(
    admin: TestClient, client: TestClient, project: int
) -> None:
    assert admin.patch(f"/projects/{project}", json={"open_to_all": True}).json()["open_to_all"] is True
    assert names(admin, project) == {"root": "admin", "ada": "annotator"}
    admin.delete(f"/projects/{project}/members/2")  # of a project open to all, too
    assert client.get(f"/projects/{project}").status_code == 404
    admin.patch(f"/projects/{project}", json={"open_to_all": False})
    admin.post("/annotators", json={"name": "late"})
    assert names(admin, project) == {"root": "admin"}


def test_a_deleted_project_has_no_members_left(admin: TestClient, client: TestClient, make: Maker) -> None:
    project = make.project()
    assert admin.delete(f"/projects/{project.id}", params={"confirm": project.name}).status_code == 200
    assert client.get("/projects").json()["items"] == []
