"""Hints over HTTP: what helps to label a region, for whoever labels it, and nothing that tells gold regions from others."""

from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from service.db import Database
from service.domain.masks import encode_label_png
from service.store.predictions import NewHints, write_hints
from service.tables import Project, Region, Round
from tests.maker import Maker
from tests.service.golden import give_gold, plain_and_gold
from tests.service.people import Login, code, draw, skip, take

ABOVE = 0.93


def hints(above: float = ABOVE) -> NewHints:
    return NewHints(
        uncertainty=encode_label_png(np.full((90, 80), 7, np.uint8)),
        features=encode_label_png(np.full((24, 12), 128, np.uint8)),
        described={
            "uncertainty": 0.41,
            "above": above,
            "classes": [{"id": 2, "predicted": 0.5, "labelled": 0.01}, {"id": 77, "predicted": 0.1, "labelled": None}],
            "features": {"channels": 2, "stride": 8, "top": -4.0, "left": 4.0},
        },
    )


def write(database: Database, regions: list[Region], made_by: int | None = None) -> None:
    with database.write() as session:
        write_hints(session, made_by, {each.id: hints() for each in regions}, stale=[each.id for each in regions])


@pytest.fixture
def regions(make: Maker, database: Database) -> list[Region]:
    project = make.project()
    made = make.round_(project, make.images(project, 1), regions=2, prediction=True)
    with database.write() as session:
        session.execute(update(Round).values(strategy="random"))
    return made


def test_whoever_holds_a_region_sees_its_hints(login: Login, regions: list[Region], database: Database) -> None:
    write(database, regions[:1])
    ada = login("annotator", "ada")
    first, second = take(ada, 2)
    found = ada.get(f"/regions/{first['id']}/hints").json()
    assert found["why"] == {
        "strategy": "random",
        "sentence": "Drawn at random. The network is less sure here than in 93% of this image. What looks like "
        "Pole is 50% of this region, and 1.0% of all labels.",
        "uncertainty": 0.41,
        "above": ABOVE,
        "classes": [{"id": 2, "name": "Pole", "predicted": 0.5, "labelled": 0.01}],
    }
    assert b64decode(found["uncertainty_png"]) == hints().uncertainty
    features = found["features"]
    assert b64decode(features.pop("png")) == hints().features
    assert features == {"channels": 2, "stride": 8, "top": -4, "left": 4}
    without = ada.get(f"/regions/{second['id']}/hints").json()
    assert (without["uncertainty_png"], without["features"]) == (None, None)
    assert without["why"] == {
        "strategy": "random",
        "sentence": "Drawn at random.",
        "uncertainty": None,
        "above": None,
        "classes": [],
    }


def test_who_does_not_hold_it_sees_none_but_reviewers_do(
    login: Login, regions: list[Region], database: Database
) -> None:
    write(database, regions)
    ada, bob, eve = login("annotator", "ada"), login("annotator", "bob"), login("reviewer", "eve")
    (first,) = take(ada)
    path = f"/regions/{first['id']}/hints"
    assert code(bob.get(path)) == (403, "not_given")
    assert draw(ada, first).status_code == 201
    assert code(ada.get(path)) == (403, "not_given")
    assert eve.get(path).json()["why"]["above"] == ABOVE
    again = ada.post(f"/regions/{first['id']}/reopen")
    assert again.status_code == 200
    assert ada.get(path).json()["why"]["above"] is None
    (second,) = take(bob)
    skip(bob, second)
    assert code(bob.get(f"/regions/{second['id']}/hints")) == (403, "not_given")
    assert eve.get("/regions/999/hints").status_code == 404


def test_gold_regions_have_hints_as_others_do(
    make: Maker, login: Login, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make.project(gold_share=0.5)
    made = make.checkpoint(project, "segmenter")
    gold = plain_and_gold(make, project, made)
    with database.read() as session:
        plain = session.scalars(select(Region).where(Region.gold.is_(False))).all()
    write(database, [*plain, *gold], made.id)
    give_gold(monkeypatch, 0)
    ada = login("annotator", "ada")
    given = take(ada, 2)
    seen: list[dict[str, Any]] = [ada.get(f"/regions/{each['id']}/hints").json() for each in given]
    assert {each["id"] for each in given} & {each.id for each in gold}
    assert {each["id"] for each in given} & {each.id for each in plain}
    first, second = ({key: value for key, value in each.items() if key != "region_id"} for each in seen)
    assert first == second


def test_hints_go_with_their_project(admin: TestClient, regions: list[Region], make: Maker, database: Database) -> None:
    write(database, regions)
    with database.read() as session:
        name = session.get_one(Project, 1).name
    assert admin.delete("/projects/1", params={"confirm": name}).status_code in {200, 204}
