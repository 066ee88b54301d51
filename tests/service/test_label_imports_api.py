"""Labels that were made elsewhere: which regions they are of, what becomes of those that are there, and who learns from them."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.classes import CAMVID
from service.domain.masks import decode_label_png, encode_label_png
from service.domain.regions import Box
from service.store import rounds
from service.store.budget import regions_left
from service.store.round_values import NewRegion, RoundProposal
from service.store.snapshots import tell_snapshot
from service.tables import Event, Image, Job, Label, Project, Region, Round
from tests.conftest import Outbox
from tests.maker import Maker
from tests.service.test_many_at_once import together

IGNORED = CAMVID.ignore_id
HEIGHT, WIDTH = 180, 160  # cells of 90 x 80: four


def label_map(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 11, (HEIGHT, WIDTH), np.uint8)


def mask(*cells: int) -> np.ndarray:
    covered = np.zeros((HEIGHT, WIDTH), np.uint8)
    for cell in cells:
        row, col = 90 * (cell // 2), 80 * (cell % 2)
        covered[row : row + 90, col : col + 80] = 255
    return covered


def send(
    client: TestClient,
    maps: dict[str, np.ndarray],
    masks: dict[str, np.ndarray] | None = None,
    *,
    origins: Any = None,
    project: int = 1,
    **form: Any,
) -> Any:
    files = [("label_map", (name, encode_label_png(pixels))) for name, pixels in maps.items()]
    files += [("labelled", (name, encode_label_png(pixels))) for name, pixels in (masks or {}).items()]
    if origins is not None:
        files.append(("origins", ("origins.json", json.dumps(origins).encode())))
    return client.post(f"/projects/{project}/label-maps", data=form, files=files)


def statuses(answer: Any) -> dict[str, int]:
    return dict(Counter(each["status"] for item in answer.json()["items"] for each in item["regions"]))


@pytest.fixture
def project(make: Maker) -> Project:
    project = make.project(budget=10, batch_size=2)
    make.images(project, 2)
    return project


@pytest.fixture
def reviewer(login: Callable[..., TestClient]) -> TestClient:
    return login("reviewer", "rosa")


def test_regions_that_are_labelled_as_a_whole_become_a_round_that_is_learned_from(
    project: Project, reviewer: TestClient, database: Database, outbox: Outbox
) -> None:
    labelled, map_ = mask(0, 3), label_map()
    labelled[0, 80] = 255  # a pixel of cell 1
    map_[90:, 80:] = IGNORED  # labelled, as ignored
    answer = send(reviewer, {"00000.png": map_}, {"00000.png": labelled})
    assert answer.status_code == 201, answer.text
    (item,) = answer.json()["items"]
    assert (statuses(answer), item["partly"], item["empty"], answer.json()["round"]) == ({"labelled": 2}, 1, 0, 1)
    for region, cell in zip(item["regions"], (0, 3), strict=True):
        found = reviewer.get(f"/regions/{region['region_id']}").json()
        assert (found["state"], found["round"], found["label"]["version"]) == ("labelled", 1, 1)
        pixels = decode_label_png(reviewer.get(f"/regions/{region['region_id']}/label").content, height=90, width=80)
        np.testing.assert_array_equal(pixels, map_[mask(cell) == 255].reshape(90, 80))
    assert [kind for _, kind in outbox] == ["tell"]
    with database.read() as session:
        (round_,) = session.scalars(select(Round))
        assert (round_.state, round_.strategy, round_.size) == ("labelled", "import", 2)
        known = tell_snapshot(session, round_.id)
        assert [(each.ordinal, each.cell) for each in known.regions] == [(0, 0), (0, 3)]
        assert [each.number for each in session.scalars(select(Region).order_by(Region.id))] == [0, 3]
    (shown,) = reviewer.get("/projects/1/rounds").json()["items"]
    assert (shown["strategy"], shown["state"]) == ("import", "labelled")


def test_no_budget_is_spent_on_what_nobody_was_asked_for(
    project: Project, reviewer: TestClient, database: Database
) -> None:
    before = reviewer.get("/projects/1").json()
    send(reviewer, {"00000.png": label_map()})
    after = reviewer.get("/projects/1").json()
    assert before["budget_left"] == after["budget_left"] == 10
    with database.read() as session:
        assert regions_left(session, session.get_one(Project, 1)) == 4  # of the eight of the pool
    with database.write() as session:
        session.scalars(select(Region)).all()[0].state = "skipped"
    assert reviewer.get("/projects/1").json()["budget_left"] == 10


def test_the_same_again_changes_nothing_and_other_pixels_only_what_they_are_in(
    project: Project, reviewer: TestClient, database: Database
) -> None:
    maps = {"00000.png": label_map(0), "00001.png": label_map(1)}
    assert statuses(send(reviewer, maps)) == {"labelled": 8}
    again = send(reviewer, maps)
    assert (again.status_code, statuses(again), again.json()["round"]) == (200, {"unchanged": 8}, None)
    maps["00001.png"][179, 159] = (maps["00001.png"][179, 159] + 1) % 11
    kept = send(reviewer, maps)
    assert (kept.status_code, statuses(kept)) == (200, {"unchanged": 7, "differs": 1})
    changed = send(reviewer, maps, replace=True)
    assert (changed.status_code, statuses(changed)) == (201, {"unchanged": 7, "replaced": 1})
    last = changed.json()["items"][1]["regions"][-1]
    assert (last["status"], last["version"]) == ("replaced", 2)
    with database.read() as session:
        assert len(session.scalars(select(Label)).all()) == 9
        assert len(session.scalars(select(Round)).all()) == 1


def test_a_round_takes_more_until_a_worker_has_begun_to_learn_from_it(
    project: Project, reviewer: TestClient, database: Database
) -> None:
    send(reviewer, {"00000.png": label_map()}, {"00000.png": mask(0)})
    assert send(reviewer, {"00000.png": label_map()}, {"00000.png": mask(0, 1)}).json()["round"] == 1
    with database.write() as session:
        job = session.scalars(select(Job)).one()
        job.state, job.attempt = "running", 1
    assert send(reviewer, {"00001.png": label_map()}).json()["round"] == 2
    with database.read() as session:
        assert session.scalars(select(Round.size).order_by(Round.id)).all() == [2, 4]


def test_regions_that_wait_for_labels_get_them_unless_somebody_holds_them(
    project: Project, make: Maker, reviewer: TestClient, client: TestClient, database: Database, outbox: Outbox
) -> None:
    with database.read() as session:
        image = session.get_one(Image, 1)
    make.round_(project, [image], regions=3)
    held = client.get("/next-regions").json()["items"][0]
    answer = send(reviewer, {"00000.png": label_map()})
    assert statuses(answer) == {"held": 1, "labelled": 3}
    assert outbox == [(1, "tell")]  # of the import's round; the other still waits for what is held
    done = client.post(
        "/labels",
        data={"region_id": held["id"], "lease_token": held["lease_token"]},
        files={"mask": make.mask_png()},
    )
    assert done.status_code == 201, done.text
    with database.read() as session:
        assert set(session.scalars(select(Round.state))) == {"labelled"}
    assert statuses(send(reviewer, {"00000.png": label_map()})) == {"unchanged": 3, "differs": 1}


def test_a_skipped_region_stays_so(
    project: Project, make: Maker, reviewer: TestClient, client: TestClient, database: Database
) -> None:
    with database.read() as session:
        image = session.get_one(Image, 1)
    make.round_(project, [image], regions=1)
    held = client.get("/next-regions").json()["items"][0]
    client.post("/regions/1/skip", json={"lease_token": held["lease_token"], "reason": "Blurred."})
    assert statuses(send(reviewer, {"00000.png": label_map()})) == {"skipped": 1, "labelled": 3}


def test_regions_without_a_pixel_of_a_class_are_labelled_only_where_a_mask_says_so(
    project: Project, reviewer: TestClient
) -> None:
    map_ = label_map()
    map_[90:] = IGNORED
    map_[0, 0] = IGNORED
    answer = send(reviewer, {"00000.png": map_})
    assert (statuses(answer), answer.json()["items"][0]["empty"]) == ({"labelled": 2}, 2)
    strict = send(reviewer, {"00001.png": map_}, without_mask="unlabelled").json()["items"][0]
    assert (len(strict["regions"]), strict["partly"], strict["empty"]) == (1, 1, 0)
    whole = send(reviewer, {"00000.png": map_}, {"00000.png": mask(0, 1, 2, 3)})
    assert statuses(whole) == {"unchanged": 2, "labelled": 2}


def test_cells_are_divided_as_they_were_elsewhere_and_origins_are_kept_as_events(
    make: Maker, reviewer: TestClient, database: Database
) -> None:
    project = make.project(levels=2)
    make.images(project, 1)
    quarter = {"x": 0, "y": 0, "width": 40, "height": 45, "annotator": "ada", "labelled_at": "2025", "version": 3}
    origins = {"source": "Export of x.", "images": {"00000.png": [quarter, {**quarter, "width": 39}]}}
    answer = send(reviewer, {"00000.png": label_map()}, origins=origins)
    assert answer.status_code == 201, answer.text
    with database.read() as session:
        regions = session.scalars(select(Region).order_by(Region.cell)).all()
        assert [each.cell for each in regions] == [1, 2, 3, 4, 5, 10, 15]
        events = session.scalars(select(Event).where(Event.kind == "region_labelled").order_by(Event.id)).all()
        assert events[0].detail["imported"] == quarter
        assert events[1].detail["imported"] == {}
        whole = session.scalars(select(Event).where(Event.kind == "labels_imported")).one()
        assert whole.detail == {"round": 1, "source": "Export of x.", "labelled": 7, "replaced": 0}


def test_a_round_that_was_being_chosen_does_without_what_was_imported_meanwhile(
    project: Project, reviewer: TestClient, database: Database, make: Maker
) -> None:
    with database.write() as session:
        rounds.advance(session, session.get_one(Project, 1), make.clock())
    send(reviewer, {"00000.png": label_map()}, {"00000.png": mask(0)})
    chosen = [
        NewRegion(image_id=1, cell=cell, number=cell, box=Box(row=0, col=80 * cell, height=90, width=80), score=1.0)
        for cell in (0, 1)
    ]
    with database.write() as session:
        opened = rounds.open_round(
            session, 1, RoundProposal(regions=chosen, strategy="random", seconds={}), now=make.clock()
        )
    assert opened
    with database.read() as session:
        round_ = session.get_one(Round, 1)
        assert (round_.state, round_.size) == ("open", 1)
        assert [each.cell for each in session.scalars(select(Region).where(Region.round_id == 1))] == [1]


@pytest.mark.parametrize(
    ("name", "pixels", "masked", "code"),
    [
        ("nobody.png", label_map(), None, "label_map_unmatched"),
        ("00000.png", label_map()[:90], None, "wrong_size"),
        ("00000.png", np.full((HEIGHT, WIDTH), 77, np.uint8), None, "unknown_class_ids"),
        ("00000.png", label_map(), mask(0)[:, :9], "wrong_size"),
        ("../00000.png", label_map(), None, "bad_name"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(
    project: Project, reviewer: TestClient, database: Database, name: str, pixels: Any, masked: Any, code: str
) -> None:
    masks = None if masked is None else {name: masked}
    answer = send(reviewer, {"00001.png": label_map(), name: pixels}, masks)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code), answer.text
    with database.read() as session:
        assert not session.scalars(select(Region)).all()
        assert not session.scalars(select(Job)).all()


def test_names_masks_and_origins_that_do_not_match_are_refused(
    project: Project, make: Maker, reviewer: TestClient
) -> None:
    make.images(project, 1, split="train")
    for answer, code in (
        (send(reviewer, {"00000.png": label_map()}, {"00001.png": mask(0)}), "label_map_unmatched"),
        (send(reviewer, {"00000.png": label_map(), "00000.jpg": label_map()}), "label_map_unmatched"),
        (send(reviewer, {"00002.png": label_map()}), "label_map_unmatched"),
        (send(reviewer, {"00000.png": label_map()}, origins={"images": {"a": [{"x": -1}]}}), "bad_origins"),
        (send(reviewer, {"00000.png": label_map()}, label_reading="upside-down"), "bad_reading"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, code), answer.text
    broken = reviewer.post("/projects/1/label-maps", files={"label_map": ("00000.png", b"\x89PNG\r\n\x1a\n")})
    assert (broken.status_code, broken.json()["error"]["code"]) == (422, "not_an_image")
    assert send(reviewer, {"00000.png": label_map()}, project=9).status_code == 404


def test_annotators_import_nothing(project: Project, client: TestClient) -> None:
    assert send(client, {"00000.png": label_map()}).status_code == 403


def test_the_same_labels_sent_by_many_at_once_are_kept_once(
    make: Maker, login: Callable[..., TestClient], database: Database
) -> None:
    project = make.project()
    make.images(project, 6)
    maps = {f"{number:05}.png": label_map(number) for number in range(6)}
    clients = [login("reviewer") for _ in range(6)]
    answers: list[Any] = []

    def sending(place: int) -> None:
        names = sorted(maps, key=lambda name: (int(name[:5]) * (place + 1)) % 7)
        answers.append(send(clients[place], {name: maps[name] for name in names[: 3 + place % 4]}))

    together([lambda place=place: sending(place) for place in range(6)])  # type: ignore[misc]
    assert {each.status_code for each in answers} <= {200, 201}, [each.text for each in answers]
    with database.read() as session:
        regions = session.scalars(select(Region)).all()
        assert len({(each.image_id, each.cell) for each in regions}) == len(regions) == 24
        assert len(session.scalars(select(Label)).all()) == 24
        sizes = session.scalars(select(Round.size)).all()
        assert sum(sizes) == 24
