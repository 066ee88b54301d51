"""How far a campaign has come: the sums of the database are those of a plain walk over all rows."""

import base64
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.classes import CAMVID
from service.tables import Annotator, Label, Project, Region, Round
from tests.conftest import START, FakeClock
from tests.maker import Maker
from tests.service.golden import make_gold
from tests.service.people import review, split_at, take_and_draw

Login = Callable[..., TestClient]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def client(login: Login) -> TestClient:
    return login("reviewer", "ada")


def progress(client: TestClient, project: Project) -> dict[str, Any]:
    answer = client.get(f"/projects/{project.id}/progress")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def campaign(make: Maker, database: Database, rng: np.random.Generator, **settings: Any) -> Project:
    """A project of told rounds, an open one and gold regions, labelled at random moments, some without their seconds."""
    project = make.project(f"random {rng.integers(10**9)}", **settings)
    for number in range(1, 6):
        make.round_(project, make.images(project, 2), regions=6, number=number)
    make_gold(make, project, 3)
    with database.write() as session:
        person = session.scalars(select(Annotator.id).limit(1)).one()
        chosen = select(Round).where(Round.project_id == project.id, Round.state != "gold")
        rounds = session.scalars(chosen.order_by(Round.number)).all()
        for each in rounds[:4]:
            each.state, each.told_at, each.strategy = "told", START, "import" if each.number == 2 else "entropy"
            each.miou_after = None if each.number == 3 else float(rng.random())
            each.class_counts = None if each.number == 3 else rng.integers(0, 9000, 11).tolist()
            each.pool_shares = rng.random(11).tolist() if each.number in (1, 3) else None
        for region in session.scalars(select(Region).where(Region.project_id == project.id)):
            told = region.state != "gold" and rounds[4].id != region.round_id
            versions = int(rng.integers(1 if told else 0, 4))
            region.answers = min(versions, region.overlap)
            if region.state != "gold" and versions:
                region.state = str(
                    rng.choice(["labelled", "labelled", "skipped", "review"] if not told else ["labelled"])
                )
            for version in range(1, versions + 1):
                session.add(
                    Label(
                        region_id=region.id,
                        annotator_id=person,
                        version=version,
                        mask=b"",
                        digest="",
                        class_counts=[0] * 11,
                        seconds=None if rng.random() < 0.3 else float(rng.random() * 60),
                        kind=str(rng.choice(["annotated", "annotated", "imported", "corrected", "accepted"])),
                        created_at=START - timedelta(seconds=float(rng.random() * 2.0 * 86400)),
                    )
                )
    return project


def walked(database: Database, project: Project) -> dict[str, Any]:
    """The same figures, row by row."""
    with database.read() as session:
        chosen = select(Round).where(Round.project_id == project.id, Round.state != "gold")
        rounds = session.scalars(chosen.order_by(Round.number)).all()
        regions = {e.id: e for e in session.scalars(select(Region)) if e.project_id == project.id and e.state != "gold"}
        labels = [e for e in session.scalars(select(Label)) if e.region_id in regions and e.kind == "annotated"]
    points, sums = [], {"regions": 0, "pixels": 0, "seconds": 0.0, "labels": 0, "untimed": 0}
    for round_ in (each for each in rounds if each.state == "told"):
        theirs = [each for each in labels if regions[each.region_id].round_id == round_.id]
        sums["regions"] += sum(e.state == "labelled" and e.round_id == round_.id for e in regions.values())
        sums["pixels"] += sum(round_.class_counts or [])
        sums["seconds"] += sum(each.seconds or 0.0 for each in theirs)
        sums["labels"] += len(theirs)
        sums["untimed"] += sum(each.seconds is None for each in theirs)
        points.append({**sums, "round": round_.number, "miou": round_.miou_after})
    moments = sorted(each.created_at for each in labels)
    return {"points": points, "moments": moments, "rounds": rounds, "regions": list(regions.values())}


def pace(moments: list[datetime], window: timedelta) -> float | None:
    if not moments or moments[0] == moments[-1]:
        return None
    if moments[-1] - moments[0] >= window:
        return sum(each > moments[-1] - window for each in moments) / (window / HOUR)
    return (len(moments) - 1) / ((moments[-1] - moments[0]) / HOUR)


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_those_of_a_walk_over_all_rows(
    make: Maker, database: Database, client: TestClient, clock: FakeClock, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    campaign(make, database, rng)  # a neighbour that must not show
    project = campaign(make, database, rng, budget=36, overlap=2)
    slow, found = walked(database, project), progress(client, project)
    assert [{name: each[name] for name in slow["points"][0]} for each in found["points"]] == [
        {**each, "seconds": pytest.approx(each["seconds"])} for each in slow["points"]
    ]
    moments, regions = slow["moments"], slow["regions"]
    assert found["pace"]["hour"] == pytest.approx(pace(moments, HOUR))
    assert found["pace"]["day"] == pytest.approx(pace(moments, DAY))
    assert datetime.fromisoformat(found["pace"]["newest"]) == moments[-1]
    imported = [each for each in regions if each.round_id == slow["rounds"][1].id]
    labelled = sum(each.state == "labelled" for each in regions) - len(imported)
    used = sum(each.state != "skipped" for each in regions) - len(imported)
    assert found["budget"] == {"regions": 36, "used": used, "labelled": labelled}
    left = sum(max(0, each.overlap - each.answers) for each in regions if each.state == "open")
    left += 2 * min(36 - used, 40 - len(regions))  # what the pool has bounds what may be asked for
    assert datetime.fromisoformat(found["finish"]["at"]) == START + timedelta(hours=left / pace(moments, DAY))
    open_ = [each for each in regions if each.round_id == slow["rounds"][4].id]
    assert found["running"] == [
        {
            "round": 5,
            "state": "open",
            "since": found["running"][0]["since"],
            "size": 6,
            **{state: sum(each.state == state for each in open_) for state in ("labelled", "review", "skipped")},
        }
    ]
    counts = np.sum([each.class_counts for each in slow["rounds"] if each.class_counts], axis=0)
    shares = counts / counts.sum()
    assert list(found["labelled"]["shares"].values()) == pytest.approx(shares.tolist())
    assert list(found["labelled"]["shares"]) == list(CAMVID.names)
    assert found["labelled"]["entropy"] == pytest.approx(-(shares * np.log(shares)).sum())
    pool = np.array(slow["rounds"][2].pool_shares)
    assert list(found["pool"]["shares"].values()) == pytest.approx((pool / pool.sum()).tolist())


def test_of_an_empty_project_nothing_is_known_and_said_why(make: Maker, client: TestClient) -> None:
    found = progress(client, make.project())
    assert (found["points"], found["running"], found["labelled"], found["pool"]) == ([], [], None, None)
    assert found["pace"] == {"hour": None, "day": None, "newest": None}
    assert found["budget"] == {"regions": None, "used": 0.0, "labelled": 0.0}
    assert found["finish"]["at"] is None
    assert found["finish"]["sentence"].startswith("Without a budget")


def test_rounds_from_before_a_class_was_taken_apart_are_in_no_shares(
    make: Maker, database: Database, admin: TestClient
) -> None:
    project = make.project()
    for number in (1, 2):
        make.round_(project, make.images(project, 1), regions=1, number=number)
    path = f"/projects/{project.id}/class-changes"
    assert admin.post(path, json={"kind": "merge", "ids": [10], "into": 9}).status_code == 201
    with database.write() as session:
        first = session.scalars(select(Round).where(Round.number == 1)).one()
        first.state, first.class_counts, first.class_changes = "told", [90] * 10, 1
    assert admin.post(f"{path}/1/revert").is_success
    assert progress(admin, project)["labelled"] is None
    with database.write() as session:
        second = session.scalars(select(Round).where(Round.number == 2)).one()
        second.state, second.class_counts, second.class_changes = "told", [0] * 10 + [7], 2
    found = progress(admin, project)
    assert found["labelled"]["shares"]["Bicyclist"] == 1.0
    assert found["points"][-1]["pixels"] == 907
    said = admin.get("/openapi.json").json()["components"]["schemas"]["ProgressOut"]["properties"]["labelled"]
    assert "taken apart are left out" in said["description"]


def test_pixels_and_shares_are_of_what_a_round_was_learned_from_with_and_the_description_says_so(
    make: Maker, database: Database, login: Login
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    ada, reviewer = login("annotator", "ada"), login("reviewer", "bob")
    take_and_draw(ada)
    with database.write() as session:
        round_ = session.scalars(select(Round)).one()
        round_.state, round_.class_counts = "told", [3600, 0, 0, 3600, *[0] * 7]
    before = progress(reviewer, project)
    assert review(reviewer, 1, "corrected", mask_png=base64.b64encode(split_at(90)).decode()).status_code == 201
    after = progress(reviewer, project)
    assert (after["points"][0]["pixels"], after["labelled"]) == (7200, before["labelled"])
    schemas = reviewer.get("/openapi.json").json()["components"]["schemas"]
    assert (
        "was corrected or reviewed later changes nothing" in schemas["PointOut"]["properties"]["pixels"]["description"]
    )
    assert "same labels as `pixels`" in schemas["ProgressOut"]["properties"]["labelled"]["description"]


def test_class_shares_are_by_the_classes_of_today(make: Maker, database: Database, admin: TestClient) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    with database.write() as session:
        round_ = session.scalars(select(Round)).one()
        round_.state, round_.class_counts = "told", [10] * 10 + [100]
        round_.pool_shares = [0.05] * 10 + [0.5]
    told = {"kind": "merge", "ids": [10], "into": 9}
    assert admin.post(f"/projects/{project.id}/class-changes", json=told).status_code == 201
    found = progress(admin, project)
    assert len(found["labelled"]["shares"]) == 10
    assert found["labelled"]["shares"]["Pedestrian"] == pytest.approx(110 / 200)
    assert found["pool"]["shares"]["Pedestrian"] == pytest.approx(0.55)
    assert math.isclose(sum(found["pool"]["shares"].values()), 1.0)
    shown = admin.get(f"/projects/{project.id}/rounds").json()["items"][0]["pool_shares"]
    assert (len(shown), shown["Bicyclist"]) == (11, 0.5)
