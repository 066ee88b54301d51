"""Classes that change in a campaign in use: what is said beforehand is what happens, and taken back nothing is different."""

import io
import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.classes import CAMVID
from service.domain.masks import decode_label_png, encode_label_png
from service.store.class_changes import classes_at
from service.store.migrated import altered_since, last_altered
from service.tables import Event, Label, Project, Region, Round
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.reclassed import BICYCLIST, CAR, IGNORED, PEDESTRIAN, ROAD, Campaign, Login, became, noise

BUS: dict[str, Any] = {"kind": "add", "name": "Bus", "color": [0, 60, 100], "from": [CAR]}


@pytest.fixture
def campaign(make: Maker, admin: TestClient, login: Login) -> Campaign:
    return Campaign(make, admin, login)


def test_renaming_and_recolouring_change_nothing_else(campaign: Campaign) -> None:
    before = campaign.kept()
    campaign.change(kind="rename", id=ROAD, name="Carriageway")
    done = campaign.change(kind="recolour", id=ROAD, color=[1, 2, 3])
    assert (done["labels"], done["predictions"], done["label_maps"]) == (0, 0, 0)
    project = campaign.admin.get(f"/projects/{campaign.project.id}").json()
    assert project["classes"][ROAD] == {"id": ROAD, "name": "Carriageway", "color": [1, 2, 3], "was": ["Road"]}
    assert campaign.kept() == before
    assert campaign.label(campaign.ada, campaign.held, noise(3)).json()["labels"][0]["class_counts"]["Carriageway"] > 0
    campaign.revert(1)
    assert campaign.classes().names == CAMVID.names


def test_a_name_that_is_taken_back_makes_no_other_classes_either(
    campaign: Campaign, database: Database, clock: FakeClock
) -> None:
    campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)
    moment = clock()
    clock.advance(seconds=1)
    campaign.change(kind="rename", id=ROAD, name="Carriageway")
    campaign.revert(2)
    campaign.revert(3)
    assert campaign.classes().names[ROAD] == "Carriageway"
    with database.read() as session:
        assert session.scalar(select(last_altered(campaign.project.id))) == 1
        assert not altered_since(session, campaign.project.id, moment + timedelta(seconds=1))
    campaign.revert(1)
    with database.read() as session:
        assert session.scalar(select(last_altered(campaign.project.id))) == 5
        assert altered_since(session, campaign.project.id, moment + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("told", "gone", "into"),
    [
        ({"kind": "merge", "ids": [PEDESTRIAN, BICYCLIST], "into": CAR}, [PEDESTRIAN, BICYCLIST], CAR),
        ({"kind": "remove", "id": CAR, "into": None}, [CAR], IGNORED),
        ({"kind": "remove", "id": CAR, "into": ROAD}, [CAR], ROAD),
    ],
)
def test_what_was_said_beforehand_happens_and_taken_back_all_is_as_before(
    campaign: Campaign, told: dict[str, Any], gone: list[int], into: int
) -> None:
    before, exported, classes = campaign.kept(), campaign.exported(), campaign.classes()
    preview = campaign.change(dry_run=True, **told)
    assert campaign.kept() == before
    assert campaign.classes() == classes
    done = campaign.change(**told)
    assert {**preview, "dry_run": False, "number": 1} == done
    # The third label has none of them, and stays as it is.
    assert done["labels"] == 2
    wanted = [became(mask, gone, into) for mask in campaign.masks]
    after = campaign.kept()
    assert [each[:2] for each in after] == [(2, "migrated"), (2, "migrated"), (1, "annotated")]
    for (_, _, png, counts, _), mask in zip(after, wanted, strict=True):
        assert (decode_label_png(png, height=90, width=80) == mask).all()
        now = campaign.classes().counts_now([counts])[0]
        assert now.tolist() == [int((mask == each).sum()) for each in campaign.classes().ids]
    pixels = {
        each.name: sum(int((mask == each.id).sum()) for mask in wanted[:2]) for each in campaign.classes().classes
    }
    assert done["pixels_after"] == pixels
    assert (done["label_maps"], done["label_map_pixels"]) == (1, 2400 * len(gone))
    assert done["predictions"] == 3
    with campaign.database.read() as session:
        waiting = session.scalars(select(Region).where(Region.state == "open")).all()
        for region in waiting:
            predicted = decode_label_png(region.prediction or b"", height=90, width=80)
            assert not np.isin(predicted, gone).any()
    for name, label_map in campaign.exported().items():
        assert (label_map == became(exported[name], gone, into)).all()
    manifest = json.loads(campaign.archive().read("manifest.json"))
    assert manifest["class_changes"] == 1
    assert sorted(written for written in manifest["written_ids"].values()) == sorted(campaign.classes().ids)

    preview = campaign.revert(1, dry_run=True)
    done = campaign.revert(1)
    assert {**preview, "dry_run": False, "number": 2} == done
    assert (done["labels"], done["left_regions"]) == (2, 0)
    now = campaign.classes()
    assert (now.classes, now.retired) == (classes.classes, ())
    assert [each[2:] for each in campaign.kept()] == [each[2:] for each in before]
    again = campaign.exported()
    assert all((again[name] == label_map).all() for name, label_map in exported.items())
    # Every version is still there.
    with campaign.database.read() as session:
        assert len(session.scalars(select(Label)).all()) == 7


def test_labels_drawn_since_stay_when_a_change_is_taken_back_and_are_named(campaign: Campaign) -> None:
    campaign.change(kind="merge", ids=[PEDESTRIAN, BICYCLIST], into=CAR)
    drawn = noise(50, CAR, ROAD)
    # Whoever drew a label may draw it anew, though the newest version is the admin's.
    assert campaign.label(campaign.ada, campaign.given[0], drawn).status_code == 201
    done = campaign.revert(1)
    assert (done["labels"], done["left"], done["left_regions"]) == (1, [campaign.given[0]["id"]], 1)
    assert (decode_label_png(campaign.kept()[0][2], height=90, width=80) == drawn).all()
    assert (decode_label_png(campaign.kept()[1][2], height=90, width=80) == campaign.masks[1]).all()
    held = int(np.isin(campaign.masks[0], [PEDESTRIAN, BICYCLIST]).sum())
    assert campaign.regions_of(2) == [(campaign.given[0]["id"], held)]


def test_another_annotator_may_not_draw_over_a_label_that_a_change_made(campaign: Campaign, login: Login) -> None:
    bob = login("annotator", "bob")
    campaign.change(kind="remove", id=CAR, into=None)
    region = {**campaign.given[0], "lease_token": campaign.given[0]["lease_token"]}
    assert campaign.label(bob, region, noise(3)).status_code in (404, 409, 422)
    own = campaign.ada.get(f"/regions/{region['id']}/label")
    shown = decode_label_png(own.content, height=90, width=80)
    assert (shown == became(campaign.masks[0], [CAR], IGNORED)).all()
    with campaign.database.read() as session:
        events = session.scalars(select(Event).where(Event.kind == "classes_changed")).all()
    assert [each.detail["change"]["labels"] for each in events] == [2]


def test_an_added_class_is_looked_for_where_it_was_part_of_others(campaign: Campaign) -> None:
    done = campaign.change(**BUS)
    assert (done["labels"], done["classes"][-1]["id"]) == (0, 12)
    pixels = [int((mask == CAR).sum()) for mask in campaign.masks]
    wanted = sorted(zip((e["id"] for e in campaign.given), pixels, strict=False), key=lambda e: (-e[1], e[0]))
    assert campaign.regions_of(1, limit=1) == [each for each in wanted if each[1]]
    bus = noise(7, 12, ROAD)
    answer = campaign.label(campaign.ada, campaign.held, bus).json()["labels"][0]
    assert answer["class_counts"]["Bus"] == int((bus == 12).sum())
    assert campaign.revert(1, status=409)["error"]["code"] == "class_in_use"
    campaign.change(kind="remove", id=12, into=CAR)
    assert campaign.change(kind="add", name="Van", color=[0, 0, 0])["classes"][-1]["id"] == 13
    refused = campaign.change(kind="add", name="Lorry", color=[0, 0, 0], id=12, status=422)
    assert refused["error"]["code"] == "id_taken"
    campaign.revert(3)
    assert campaign.classes().ids == CAMVID.ids
    assert campaign.classes().kept_counts(range(11)) == [*range(11), 0, 0]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"kind": "rename", "id": 99, "name": "x"}, "no_class"),
        ({"kind": "rename", "id": ROAD, "name": "Sky"}, "bad_classes"),
        ({"kind": "rename", "id": ROAD, "name": "Road"}, "nothing_changes"),
        ({"kind": "merge", "ids": [ROAD], "into": ROAD}, "into_itself"),
        ({"kind": "add", "name": "x", "color": [0, 0, 0], "from": [77]}, "no_class"),
        ({"kind": "melt", "id": ROAD}, "invalid_request"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(campaign: Campaign, told: dict[str, Any], code: str) -> None:
    for dry_run in (True, False):
        assert campaign.change(dry_run=dry_run, status=422, **told)["error"]["code"] == code
    assert campaign.classes().changes == 0
    assert campaign.admin.post("/projects/1/class-changes/1/revert").json()["error"]["code"] == "class_change_not_found"


def test_a_label_with_classes_of_before_counts_as_what_became_of_them(campaign: Campaign) -> None:
    campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)
    mask = noise(60, PEDESTRIAN, ROAD)
    answer = campaign.label(campaign.ada, campaign.held, mask)
    assert answer.json()["labels"][0]["class_counts"]["Car"] == int((mask == PEDESTRIAN).sum())
    assert (decode_label_png(campaign.kept()[3][2], height=90, width=80) == became(mask, [PEDESTRIAN], CAR)).all()


def test_rounds_show_their_figures_with_the_classes_of_that_time(campaign: Campaign, database: Database) -> None:
    with database.write() as session:
        round_ = session.scalars(select(Round)).one()
        round_.iou_per_class, round_.class_counts = [0.5] * 11, list(range(11))
    campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)
    campaign.change(kind="rename", id=CAR, name="Moving")
    rounds = campaign.admin.get(f"/projects/{campaign.project.id}/rounds").json()["items"]
    assert list(rounds[0]["iou_per_class"]) == list(CAMVID.names)
    with database.write() as session:
        round_ = session.scalars(select(Round)).one()
        round_.iou_per_class, round_.class_counts, round_.class_changes = [0.5] * 10, list(range(10)), 1
    rounds = campaign.admin.get(f"/projects/{campaign.project.id}/rounds").json()["items"]
    assert list(rounds[0]["iou_per_class"]) == [name for name in CAMVID.names if name != "Pedestrian"]


def test_imports_in_classes_of_before_are_read_by_what_became_of_them(campaign: Campaign) -> None:
    campaign.change(kind="merge", ids=[PEDESTRIAN, BICYCLIST], into=CAR)
    label_map = np.random.default_rng(5).choice(np.array([PEDESTRIAN, ROAD], np.uint8), (180, 160))
    colours = np.array([each.color for each in CAMVID.classes], np.uint8)[label_map]
    buffer = io.BytesIO()
    Picture.fromarray(colours).save(buffer, format="PNG")
    path = f"/projects/{campaign.project.id}/label-maps"
    for reading, data in (("colors", buffer.getvalue()), ("ignore-unlisted", encode_label_png(label_map))):
        sent = campaign.admin.post(
            path,
            data={"label_reading": reading, "replace": True},
            files=[("label_map", ("00001.png", data))],
        )
        assert sent.is_success, sent.text
    exported = campaign.exported()
    assert any((each == became(label_map, [PEDESTRIAN], CAR)).all() for each in exported.values())


def test_a_project_with_changes_is_deleted_whole(campaign: Campaign) -> None:
    campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)
    params = {"confirm": campaign.project.name, "force": True}
    assert campaign.admin.delete(f"/projects/{campaign.project.id}", params=params).is_success


def test_figures_of_a_round_are_found_though_classes_have_changed_since_the_project_was_read(
    campaign: Campaign, database: Database
) -> None:
    with database.read() as session:
        project = session.get_one(Project, campaign.project.id)
    campaign.change(kind="merge", ids=[PEDESTRIAN], into=CAR)
    campaign.change(kind="rename", id=CAR, name="Moving")
    with database.read() as session:
        found = classes_at(session, project, [0, 1, 2])
    assert found[0].names == CAMVID.names
    assert (len(found[1]), found[1].names[CAR], found[2].names[CAR]) == (10, "Car", "Moving")


def test_ignored_pixels_of_an_import_are_also_those_of_a_class_that_was_removed(campaign: Campaign) -> None:
    campaign.change(kind="remove", id=CAR, into=None)
    label_map = np.full((180, 160), ROAD, np.uint8)
    label_map[:90, :80] = CAR
    sent = campaign.admin.post(
        f"/projects/{campaign.project.id}/label-maps",
        data={"without_mask": "unlabelled", "replace": True},
        files=[("label_map", ("00001.png", encode_label_png(label_map)))],
    )
    assert sent.is_success, sent.text
    assert sum(len(each["regions"]) for each in sent.json()["items"]) == 3
