"""A label that changes, or comes, after its round was learned from: the next tell learns from it, once."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from models.fit import FitState
from models.segmenter import build
from service.domain.masks import encode_label_png
from service.queue import RUN_JOB
from service.store.snapshots import tell_snapshot
from service.tables import Job, Round
from tests.conftest import FakeClock
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.jobs import segmenters
from workers.loop.labelled import Answer
from workers.loop.learner import Learner
from workers.training.checkpoints import save_segmenter
from workers.training.convergence import Material

ALL_POLES = base64.b64encode(encode_label_png(np.full((16, 16), 2, np.uint8))).decode()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    world = make_world(strategy="random")
    world.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(3, 3))
    world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    return world


def changed(world: World) -> list[int]:
    """The regions that a tell of the newest round would learn from again."""
    with world.database.read() as session:
        newest = session.scalars(select(Round.id).order_by(Round.id.desc()).limit(1)).one()
        known = tell_snapshot(session, newest)
    assert not {each.region_id for each in known.changed} & {each.region_id for each in known.earlier}
    return [each.region_id for each in known.changed]


def test_a_changed_label_is_among_the_next_tells_and_no_later_ones(
    world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, list[Answer]]] = []
    learn = Learner.tell

    def noting(self: Learner, answers: Sequence[Answer], *, changed: Sequence[Answer] = (), **more: Any) -> Any:
        told.append((len(answers), list(changed)))
        return learn(self, answers, changed=changed, **more)

    monkeypatch.setattr(Learner, "tell", noting)
    world.worker = replace(world.worker, clock=clock)
    given = world.call("GET", "/next-regions", params={"project": world.project.id, "count": 100})["items"]
    world.label_all()
    world.work()
    assert changed(world) == []
    clock.advance(minutes=1)
    first = {"region_id": given[0]["id"], "lease_token": given[0]["lease_token"], "mask_png": ALL_POLES}
    world.call("POST", "/labels", json={"labels": [first]})
    assert changed(world) == [given[0]["id"]]
    world.label_all()
    world.work()
    clock.advance(minutes=1)
    world.label_all()
    world.work()
    assert [(answers, len(again)) for answers, again in told] == [(4, 0), (4, 1), (4, 0)]
    assert (told[1][1][0].label_map == 2).all()
    # What is learned again is in no figure of the round that it is learned with.
    counts = [sum(each["class_counts"].values()) for each in world.rounds()[:2]]
    assert all(count <= 4 * 16 * 16 for count in counts)


def test_a_label_counts_as_changed_by_when_it_was_written_and_not_by_the_moment_that_it_bears(
    world: World, clock: FakeClock
) -> None:
    world.worker = replace(world.worker, clock=clock)
    given = world.call("GET", "/next-regions", params={"project": world.project.id, "count": 100})["items"]
    world.label_all()
    world.work()
    clock.advance(minutes=-5)  # a request that began long before it wrote
    first = {"region_id": given[0]["id"], "lease_token": given[0]["lease_token"], "mask_png": ALL_POLES}
    world.call("POST", "/labels", json={"labels": [first]})
    assert changed(world) == [given[0]["id"]]


@pytest.mark.parametrize("end", ["cancelled", "done"])
def test_a_round_that_was_passed_over_for_a_pretrain_is_among_the_next_tells_if_that_does_not_learn_from_it(
    make_world: Callable[..., World], clock: FakeClock, end: str
) -> None:
    world = make_world(strategy="random", lookahead=False)
    world.worker = replace(world.worker, clock=clock)
    world.add("pool", Rectangles(6, 1), labelled=False).add("reward", Rectangles(3, 3)).add("train", Rectangles(2, 5))
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    quick = {"max_epochs": 1, "patience": 1, "batch": 4, "source": "none"}
    pretrain = world.call("POST", f"/projects/{world.project.id}/jobs", json={"kind": "pretrain", "settings": quick})
    world.label_all()
    with world.database.read() as session:
        tell = session.scalars(select(Job.id).where(Job.kind == "tell")).one()
    world.celery.tasks[RUN_JOB].apply(args=[tell], throw=True)
    assert world.rounds()[0]["note"].startswith("Labelled before there was a segmenter")
    if end == "cancelled":
        world.call("POST", f"/jobs/{pretrain['id']}/cancel")
    assert world.work() == (["ask"] if end == "cancelled" else ["pretrain", "ask"])
    assert len(changed(world)) == (4 if end == "cancelled" else 0)
    clock.advance(minutes=1)
    world.label_all()
    world.work()
    assert changed(world) == []


def test_after_the_last_round_a_finish_learns_from_it_and_waits_for_what_is_being_written_when_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"budget": 4, "lookahead": False}})
    given = world.call("GET", "/next-regions", params={"project": world.project.id, "count": 100})["items"]
    learned, waiting = list[int](), iter([1])

    def correct(place: int) -> None:
        label = {"region_id": given[place]["id"], "lease_token": given[place]["lease_token"], "mask_png": ALL_POLES}
        world.call("POST", "/labels", json={"labels": [label]})

    def written(*_: object) -> None:
        for place in waiting:
            correct(place)

    def trained(run: Any, project: Any, segmenter: Any, material: Material, **_: Any) -> FitState:
        regions = [(material.source.label_map(each.image), each.box) for each in material.examples]
        learned.append(sum(bool((maps[r : r + h, c : c + w] == 2).all()) for maps, (r, c, h, w) in regions))
        return FitState()

    monkeypatch.setattr(segmenters, "fit_in_slices", trained)
    world.label_all()
    assert world.work() == ["tell", "finish"]
    monkeypatch.setattr("workers.jobs.segmenters.pool_store.await_labels", written)
    correct(0)
    # The second of them came when a finish had begun, and one more was queued: whoever wrote it could not know that it is seen.
    assert world.work() == ["finish", "finish"]
    assert learned == [0, 2, 2]


def test_where_the_reviewed_alone_is_learned_from_others_wait_in_review(world: World, clock: FakeClock) -> None:
    with world.database.read() as session:
        open_round = session.scalars(select(Round.id).where(Round.state == "open")).one()
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"learn_from": "reviewed"}})
    world.label_all()
    assert world.work() == []
    reviewer = world.reviewer()
    for waiting in reviewer.get(f"/projects/{world.project.id}/reviews").json()["items"]:
        answer = reviewer.post(f"/regions/{waiting['id']}/reviews", json={"decision": "accepted"})
        assert answer.status_code == 201
    assert "tell" in world.work()
    with world.database.read() as session:
        known = tell_snapshot(session, open_round)
    assert len(known.regions) == 4


def test_labels_of_before_a_project_wants_reviews_are_not_learned_from_any_more(world: World) -> None:
    world.label_all()
    world.work()
    world.call("PATCH", f"/projects/{world.project.id}", json={"settings": {"learn_from": "reviewed"}})
    with world.database.read() as session:
        known = tell_snapshot(session, 1)
    assert (list(known.regions), list(known.earlier)) == ([], [])
