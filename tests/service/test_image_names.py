"""Images that are renamed."""

from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Event
from tests.maker import Maker


def test_an_image_has_a_new_name_by_the_rules_of_names(make: Maker, admin: TestClient, database: Database) -> None:
    project = make.project()
    first, second = make.images(project, 2)
    renamed = admin.patch(f"/images/{first.id}", json={"name": "night\\a.png"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "night/a.png")
    taken = admin.patch(f"/images/{second.id}", json={"name": "night/a.png"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "image_exists")
    for name in ("../a.png", " ", 'a".png', "a\u0000.png"):
        refused = admin.patch(f"/images/{second.id}", json={"name": name})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_name")
    assert admin.patch(f"/images/{first.id}", json={"name": "night/a.png"}).status_code == 200
    with database.read() as session:
        (event,) = session.scalars(select(Event).where(Event.kind == "image_renamed")).all()
    assert event.detail == {"image": first.id, "was": "00000.png", "name": "night/a.png"}
