"""Rounds: proposed at the right time, closed exactly once, and a true word for those who wait."""

from sqlalchemy import select

from service.db import Database
from service.store import rounds
from service.store.waiting import waiting_reason
from service.tables import Job, Project, Region, Round
from tests.conftest import START, Outbox
from tests.maker import Maker


def advance(database: Database, project: Project) -> None:
    with database.write() as session:
        rounds.advance(session, session.get_one(Project, project.id), START)


def all_rounds(database: Database, project: Project) -> list[Round]:
    with database.read() as session:
        return list(rounds.list_rounds(session, project.id, limit=100, after=0))


def reason(database: Database, project: Project) -> str:
    with database.read() as session:
        return waiting_reason(session, session.get_one(Project, project.id))


def set_state(database: Database, round_: Round, state: str, regions: str | None = None) -> None:
    with database.write() as session:
        session.get_one(Round, round_.id).state = state
        for region in session.scalars(select(Region).where(Region.round_id == round_.id)):
            region.state = regions or region.state


def test_the_first_round_asks_for_k_regions_and_only_one_is_scored_at_a_time(
    database: Database, make: Maker, outbox: Outbox
) -> None:
    project = make.project(batch_size=3)
    make.images(project, 2)
    advance(database, project)
    advance(database, project)
    (round_,) = all_rounds(database, project)
    assert (round_.number, round_.state, round_.size) == (1, "scoring", 3)
    assert [kind for _, kind in outbox] == ["ask"]


def test_nothing_is_proposed_without_pool_images_or_while_inactive(database: Database, make: Maker) -> None:
    empty, paused = make.project("empty"), make.project("paused")
    make.images(empty, 2, split="train")
    make.images(paused, 2)
    with database.write() as session:
        session.get_one(Project, paused.id).active = False
    for project in (empty, paused):
        advance(database, project)
        assert all_rounds(database, project) == []
        assert reason(database, project) == "not_started"


def test_with_lookahead_a_second_round_is_proposed_while_the_first_is_labelled_but_no_third(
    database: Database, make: Maker
) -> None:
    project = make.project(batch_size=2)
    images = make.images(project, 3)
    make.round_(project, images, regions=2)
    advance(database, project)
    assert [r.state for r in all_rounds(database, project)] == ["open", "scoring"]
    set_state(database, all_rounds(database, project)[1], "open")
    advance(database, project)
    assert len(all_rounds(database, project)) == 2
    set_state(database, all_rounds(database, project)[0], "labelled", "labelled")
    advance(database, project)
    assert len(all_rounds(database, project)) == 2
    set_state(database, all_rounds(database, project)[0], "told")
    advance(database, project)
    assert [r.number for r in all_rounds(database, project)] == [1, 2, 3]


def test_without_lookahead_the_next_round_waits_until_the_last_is_learned_from(database: Database, make: Maker) -> None:
    project = make.project(batch_size=2, lookahead=False)
    make.round_(project, make.images(project, 3), regions=2)
    for state, expected in (("open", 1), ("labelled", 1), ("told", 2)):
        set_state(database, all_rounds(database, project)[0], state)
        advance(database, project)
        assert len(all_rounds(database, project)) == expected


def test_the_last_round_is_cut_to_the_budget_and_skipped_regions_do_not_count(database: Database, make: Maker) -> None:
    project = make.project(batch_size=3, budget=4, lookahead=False)
    regions = make.round_(project, make.images(project, 3), regions=3)
    with database.write() as session:
        session.get_one(Region, regions[0].id).state = "skipped"
    set_state(database, all_rounds(database, project)[0], "told")
    advance(database, project)
    assert all_rounds(database, project)[1].size == 2


def test_the_spent_budget_trains_to_convergence_once(database: Database, make: Maker, outbox: Outbox) -> None:
    project = make.project(batch_size=3, budget=3)
    make.round_(project, make.images(project, 3), regions=3)
    set_state(database, all_rounds(database, project)[0], "told", "labelled")
    advance(database, project)
    advance(database, project)
    assert reason(database, project) == "budget_reached"
    assert [kind for _, kind in outbox] == ["finish"]


def test_an_exhausted_pool_is_said_to_be_empty(database: Database, make: Maker) -> None:
    project = make.project(batch_size=4)
    make.round_(project, make.images(project, 1), regions=4)
    set_state(database, all_rounds(database, project)[0], "told", "labelled")
    advance(database, project)
    assert reason(database, project) == "pool_empty"


def test_a_round_closes_once_with_its_last_region(database: Database, make: Maker, outbox: Outbox) -> None:
    project = make.project()
    regions = make.round_(project, make.images(project, 1), regions=2)
    for region, expected in ((regions[0], "open"), (regions[1], "labelled"), (regions[1], "labelled")):
        with database.write() as session:
            round_ = rounds.lock_round(session, region.round_id)
            session.get_one(Region, region.id).state = "labelled"
            rounds.close_if_done(session, round_, START)
        assert all_rounds(database, project)[0].state == expected
    assert [kind for _, kind in outbox] == ["tell"]
    with database.read() as session:
        assert session.scalars(select(Job.payload)).all() == [{"round_id": regions[0].round_id}]


def test_reasons_follow_the_rounds(database: Database, make: Maker) -> None:
    project = make.project()
    make.round_(project, make.images(project, 2), regions=2)
    (round_,) = all_rounds(database, project)
    for state, expected in (("open", "all_leased"), ("scoring", "scoring"), ("labelled", "scoring")):
        set_state(database, round_, state)
        assert reason(database, project) == expected
