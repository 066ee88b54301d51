"""Regions to look through: what is listed, in which order, and by what; held against a plain computation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.masks import encode_label_png
from service.store import gallery
from service.tables import Annotator, Comparison, Label, Project, Region, Round
from tests.conftest import START
from tests.maker import Maker
from tests.service.golden import make_gold
from tests.service.people import Login, code

STATES = ("open", "review", "labelled", "skipped")
CLASSES = 11
PIXELS = 90 * 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A region as it was made: its labels' authors, the counts of the newest, mIoU of pairs."""

    id: int
    round: int
    state: str
    score: float
    authors: list[int]
    counts: list[int] | None
    mious: list[float]


def played(make: Maker, seed: int = 0) -> tuple[Project, list[Drawn]]:
    """Three rounds of ten regions of random states, scores, labels and comparisons, by three annotators."""
    chance = np.random.default_rng(seed)
    project = make.project()
    images = make.images(project, 9)
    people = _people(make)
    drawn: list[Drawn] = []
    for number in (1, 2, 3):
        rows = make.round_(project, images[3 * (number - 1) : 3 * number], regions=10, number=number)
        with make.database.write() as session:
            session.get_one(Round, rows[0].round_id).strategy = "entropy"
            for each in rows:
                row = session.get_one(Region, each.id)
                row.state, row.score = str(chance.choice(STATES)), round(float(chance.random()), 1)
                wanted = 0 if row.state in ("open", "skipped") else int(chance.integers(1, 4))
                authors: list[int] = chance.permutation(people)[:wanted].tolist()
                labels = [_label(row.id, by, place, chance) for place, by in enumerate(authors, 1)]
                session.add_all(labels)
                session.flush()
                mious = [
                    _compare(session, project.id, one, other, round(float(chance.random()), 1))
                    for place, one in enumerate(labels)
                    for other in labels[:place]
                ]
                counts = list(labels[-1].class_counts) if labels else None
                by = [each.annotator_id for each in labels]
                drawn.append(
                    Drawn(
                        id=row.id,
                        round=number,
                        state=row.state,
                        score=row.score,
                        authors=by,
                        counts=counts,
                        mious=mious,
                    )
                )
    return project, drawn


def _people(make: Maker) -> list[int]:
    for name in ("ada", "bob", "cid"):
        make.annotator(name=name)
    with make.database.read() as session:
        chosen = select(Annotator.id).where(Annotator.name.in_(("ada", "bob", "cid"))).order_by(Annotator.id)
        return list(session.scalars(chosen))


def _label(region_id: int, by: int, version: int, chance: np.random.Generator) -> Label:
    first, second = (int(each) for each in chance.choice(CLASSES, 2, replace=False))
    pixels = int(chance.integers(1, PIXELS))
    counts = [0] * CLASSES
    counts[first], counts[second] = pixels, PIXELS - pixels
    mask = encode_label_png(np.repeat([first, second], [pixels, PIXELS - pixels]).astype(np.uint8).reshape(90, 80))
    label = Label(region_id=region_id, annotator_id=by, version=version, mask=mask, digest=f"{region_id}-{version}")
    label.class_counts, label.kind, label.created_at = counts, "annotated", START
    return label


def _compare(session: Any, project_id: int, one: Label, other: Label, miou: float) -> float:
    row = Comparison(project_id=project_id, region_id=one.region_id, label_id=one.id, annotator_id=one.annotator_id)
    row.other_label_id, row.other_annotator_id = other.id, other.annotator_id
    row.miou, row.pixel_accuracy, row.by_class, row.created_at = miou, miou, {}, START
    session.add(row)
    return miou


def fits(each: Drawn, sought: dict[str, Any]) -> bool:
    """Whether a region is sought, said plainly."""
    if "class" in sought:
        counted = 0 if each.counts is None else each.counts[sought["class"]]
        if counted == 0 or counted < sought.get("share", 0) * PIXELS:
            return False
    return (
        each.round == sought.get("round", each.round)
        and each.state == sought.get("state", each.state)
        and ("annotator" not in sought or sought["annotator"] in each.authors)
        and ("disagreement" not in sought or any(1 - miou >= sought["disagreement"] for miou in each.mious))
        and (sought.get("order") != "disagreement" or bool(each.mious))
    )


def in_order(drawn: list[Drawn], sought: dict[str, Any]) -> list[int]:
    """The numbers of the regions that are sought."""
    keys: dict[str, Callable[[Drawn], float]] = {
        "newest": lambda each: each.round,
        "value": lambda each: each.score,
        "disagreement": lambda each: 1 - min(each.mious),
    }
    key = keys[sought.get("order", "newest")]
    found = [each for each in drawn if fits(each, sought)]
    return [each.id for each in sorted(found, key=lambda each: (-key(each), -each.id))]


def pages(client: TestClient, sought: dict[str, Any], limit: int) -> Iterator[list[dict[str, Any]]]:
    after = 0
    while after is not None:
        answer = client.get("/projects/1/regions", params={**sought, "limit": limit, "after": after})
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        after = answer.json()["next"]


def listed(client: TestClient, sought: dict[str, Any], limit: int = 4) -> list[int]:
    return [each["id"] for page in pages(client, sought, limit) for each in page]


SOUGHT: list[dict[str, Any]] = [
    {},
    {"round": 2},
    {"round": 9},
    *({"state": each} for each in STATES),
    {"class": 3},
    {"class": 3, "share": 0.5},
    {"annotator": 2},
    {"annotator": 99},
    {"disagreement": 0.5},
    {"class": 0, "state": "labelled", "annotator": 2},
    {"round": 3, "class": 5, "share": 0.1, "disagreement": 0.2},
]


@pytest.mark.parametrize("order", ["newest", "value", "disagreement"])
def test_what_is_sought_is_listed_in_order_page_by_page(admin: TestClient, make: Maker, order: str) -> None:
    _, drawn = played(make)
    for each in SOUGHT:
        sought = {**each, "order": order}
        assert listed(admin, sought) == in_order(drawn, sought), sought


@pytest.mark.parametrize("order", ["newest", "value", "disagreement"])
def test_a_page_that_has_looked_through_its_part_goes_on(
    admin: TestClient, make: Maker, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "LOOKED_THROUGH", 3)
    _, drawn = played(make, seed=1)
    for each in SOUGHT:
        sought = {**each, "order": order}
        assert listed(admin, sought) == in_order(drawn, sought), sought
    assert any(page == [] for page in pages(admin, {"class": 3, "share": 0.5}, 2))


def test_a_region_comes_with_what_people_made_of_it(admin: TestClient, make: Maker, database: Database) -> None:
    _, drawn = played(make)
    each = max(drawn, key=lambda each: len(each.authors))
    items = {item["id"]: item for page in pages(admin, {}, 50) for item in page}
    item = items[each.id]
    with database.read() as session:
        names = {row.id: row.name for row in session.scalars(select(Annotator))}
        newest = session.scalars(select(Label).where(Label.region_id == each.id).order_by(Label.version)).all()[-1]
    assert item["authors"] == [names[by] for by in each.authors]
    assert (item["state"], item["strategy"], item["score"]) == (each.state, "entropy", each.score)
    assert (item["labels"], item["least_miou"]) == (len(each.authors), min(each.mious))
    label = item["label"]
    assert (label["id"], label["version"], label["kind"]) == (newest.id, len(each.authors), "annotated")
    assert list(label["class_counts"].values()) == each.counts
    assert item["label_url"] == f"/regions/{each.id}/label"
    bare = next(item for item in items.values() if item["state"] == "open")
    assert (bare["label"], bare["label_url"], bare["labels"], bare["authors"]) == (None, None, 0, [])


def test_gold_regions_and_those_of_other_projects_are_not_listed(admin: TestClient, make: Maker) -> None:
    project, drawn = played(make)
    make_gold(make, project, 4)
    other = make.project("other")
    make.round_(other, make.images(other, 1), regions=4)
    assert listed(admin, {}) == in_order(drawn, {})
    assert code(admin.get("/projects/1/regions", params={"after": 31})) == (422, "bad_after")
    assert len(admin.get("/projects/2/regions").json()["items"]) == 4


def test_pixels_of_a_class_that_became_another_count_for_that(admin: TestClient, make: Maker) -> None:
    _, drawn = played(make)
    merge = {"kind": "merge", "ids": [3], "into": 5}
    answer = admin.post("/projects/1/class-changes", json=merge)
    assert answer.is_success, answer.text
    expected = [each for each in drawn if each.counts and each.counts[3] + each.counts[5] > 0]
    assert sorted(listed(admin, {"class": 5})) == sorted(each.id for each in expected)
    answer = admin.get("/projects/1/regions", params={"class": 3})
    assert code(answer) == (422, "no_class")
    assert "There is no class 3" in answer.json()["error"]["message"]


def test_reviewers_look_annotators_do_not(login: Login, make: Maker) -> None:
    played(make)
    assert login("annotator").get("/projects/1/regions").status_code == 403
    assert login("reviewer").get("/projects/1/regions").status_code == 200
