"""Many people at once: seats are never given twice, and nobody waits much longer than those who came later."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from service.db import Database
from service.giving import Bell
from service.store import leases
from service.tables import Label, Lease, Region
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.people import Login, draw, take
from tests.service.test_many_at_once import together
from tests.service.test_overlap_api import begun

CLIENTS, OVERLAP, REGIONS = 8, 3, 4


def test_many_at_once_never_hold_more_seats_than_a_region_has(login: Login, make: Maker, database: Database) -> None:
    begun(make, regions=REGIONS, overlap=OVERLAP)
    people = [login() for _ in range(CLIENTS)]
    given: list[tuple[int, int]] = []

    def taking(number: int, client: TestClient) -> Callable[[], None]:
        return lambda: given.extend((number, each["id"]) for each in take(client, REGIONS))

    together([taking(number, client) for number, client in enumerate(people)] * 2)
    with database.read() as session:
        held = session.execute(select(Lease.region_id, Lease.seat, Lease.annotator_id)).all()
    assert len({(region, seat) for region, seat, _ in held}) == len(held)
    assert len({(region, annotator) for region, _, annotator in held}) == len(held)
    assert max(Counter(region for region, _, _ in held).values()) <= OVERLAP
    assert {region for _, region in given} == {region for region, _, _ in held}


def test_many_who_label_at_once_settle_each_region_once(
    login: Login, admin: TestClient, make: Maker, database: Database
) -> None:
    begun(make, regions=REGIONS, overlap=OVERLAP)

    def working(client: TestClient) -> None:
        for _ in range(60):
            items = client.get("/next-regions", params={"count": 2}).json()["items"]
            if not items:
                with database.read() as session:
                    if not session.scalars(select(Region.id).where(Region.state == "open")).all():
                        return
            for each in items:
                assert draw(client, each).status_code == 201

    people = [login() for _ in range(CLIENTS)]
    together([partial(working, each) for each in people])
    with database.read() as session:
        assert set(session.scalars(select(Region.state))) == {"labelled"}
        labels = session.execute(select(Label.region_id, Label.kind, Label.annotator_id)).all()
    drawn = [(region, annotator) for region, kind, annotator in labels if kind == "annotated"]
    assert Counter(region for region, _ in drawn) == dict.fromkeys(range(1, REGIONS + 1), OVERLAP)
    assert len(set(drawn)) == len(drawn)
    assert sorted(region for region, kind, _ in labels if kind == "agreed") == list(range(1, REGIONS + 1))


PEOPLE, AT_A_TIME = 200, 5
MOST_TURNS_LATER = 3


def test_of_two_hundred_who_wait_nobody_waits_many_turns_longer_than_who_came_later(
    make: Maker, database: Database, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each turn a few regions come free; those called ask in any order, and one who did not wait takes a region from them."""
    if database.engine.dialect.name == "postgresql":
        pytest.skip("The order of those who wait is that of the process, whatever its database.")
    project = make.project(lookahead=False, max_held=4096)
    regions = [each.id for each in make.round_(project, make.images(project, 75), regions=300)]
    for _ in range(PEOPLE + 1):
        make.annotator()
    thief = PEOPLE + 1
    rng, bell = random.Random(0), Bell(database, clock)
    served: dict[int, int] = {}  # annotator -> turn

    def state(ids: list[int], state: str) -> None:
        with database.write() as session:
            session.execute(update(Region).where(Region.id.in_(ids)).values(state=state))

    def claimed(annotator: int) -> bool:
        with database.write() as session:
            given = leases.claim(session, project.id, annotator, count=1, now=clock.now, default_minutes=15.0)
            for each in given:
                session.get_one(Region, each.placed.id).state = "skipped"
            return bool(given)

    async def all_of_them() -> None:
        turn = 0

        async def one(annotator: int) -> None:
            while not claimed(annotator):
                assert await bell.wait(project.id, annotator, 300.0, since=float(annotator))
                for _ in range(rng.randrange(4)):  # some are faster than others
                    await asyncio.sleep(0)
            served[annotator] = turn

        tasks = [asyncio.create_task(one(annotator)) for annotator in range(1, PEOPLE + 1)]
        await asyncio.sleep(0)
        while len(served) < PEOPLE:
            turn, before = turn + 1, len(served)
            state([regions.pop() for _ in range(AT_A_TIME)], "open")
            while len(served) == before:
                await asyncio.sleep(0)
            claimed(thief)
            while len(served) < min(before + AT_A_TIME - 1, PEOPLE):
                await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)

    state(regions, "skipped")
    asyncio.run(all_of_them())
    bell.close()
    # All came before the first turn, in the order of their numbers.
    later = {each: served[each] - min(served[other] for other in range(each, PEOPLE + 1)) for each in served}
    with capsys.disabled():
        sys.stdout.write(
            f"\nlongest wait: {max(served.values())} turns of {AT_A_TIME}; {max(later.values())} turns after who came later\n"
        )
    assert max(served.values()) <= PEOPLE // (AT_A_TIME - 1) + 1
    assert max(later.values()) <= MOST_TURNS_LATER
