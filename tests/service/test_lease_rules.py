"""Leases under every order of events: one holder per region, whatever annotators do and however time passes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from service.blobs import Blobs
from service.db import Database
from service.errors import Conflict
from service.store import labels, leases
from service.store.projects import get_project
from service.tables import Event, Lease, Region
from tests.conftest import START
from tests.maker import Maker

ANNOTATORS = 3
REGIONS = 4
MINUTES = 15.0


class LeaseRules(RuleBasedStateMachine):
    """Three annotators, four regions; a model keeps who should hold what."""

    database: Database
    blobs: Blobs

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = START
        self.held: dict[int, tuple[int, datetime]] = {}  # region -> annotator, until when
        self.given: set[tuple[int, int, int]] = set()  # lease, region, annotator: the tokens that are about
        self.ended: dict[int, tuple[str, int]] = {}  # region -> labelled or skipped, by whom
        make = Maker(self.database, self.blobs, lambda: self.now)
        for _ in range(ANNOTATORS):
            make.annotator()
        number = LeaseRules.rounds = LeaseRules.rounds + 1
        project = make.project(f"project {number}", lookahead=False)
        self.project_id = project.id
        self.regions = [each.id for each in make.round_(project, make.images(project, 1), regions=REGIONS)]

    rounds = 0

    @rule(annotator=st.integers(1, ANNOTATORS), count=st.integers(1, REGIONS))
    def take(self, annotator: int, count: int) -> None:
        with self.database.write() as session:
            project = get_project(session, self.project_id)
            got = leases.claim(session, project, annotator, count=count, now=self.now, default_minutes=MINUTES)
            result = [(each.lease.id, each.placed.region.id, each.lease.expires_at) for each in got]
        own = [region for region in self.regions if self._holder(region) == annotator]
        free = [region for region in self.regions if self._holder(region) is None and region not in self.ended]
        assert [region for _, region, _ in result] == (own + free)[:count]
        for lease, region, until in result:
            assert until == (self.held[region][1] if region in own else self.now + timedelta(minutes=MINUTES))
            self.held[region] = (annotator, until)
            self.given.add((lease, region, annotator))

    @rule(minutes=st.sampled_from([0.5, 7.0, 15.0, 40.0]))
    def wait(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), pixels=st.sampled_from(["a", "b"]))
    def label(self, data: st.DataObject, pixels: str) -> None:
        _, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        state, by = self.ended.get(region, ("open", 0))
        fine = by == annotator and state == "labelled" if state != "open" else self._holder(region) in (None, annotator)
        sent = labels.Submission(
            region_id=region,
            round_id=self._round(region),
            mask=b"png",
            digest=pixels,
            class_counts=[0] * 11,
            seconds=None,
        )
        self._attempt(fine, lambda session: labels.submit(session, [sent], annotator, now=self.now))
        if fine:
            self.held.pop(region, None)
            self.ended[region] = ("labelled", annotator)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        lease, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        if region in self.ended:
            return
        fine = self._holder(region) in (None, annotator)
        self._attempt(fine, lambda session: leases.skip(session, region, lease, annotator, reason="x", now=self.now))
        if fine:
            self.held.pop(region, None)
            self.ended[region] = ("skipped", annotator)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        _, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        fine = region not in self.ended
        self._attempt(fine, lambda session: leases.release(session, region, annotator, now=self.now))
        if fine and self.held.get(region, (0, None))[0] == annotator:
            del self.held[region]

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        with self.database.read() as session:
            ended = session.get_one(Lease, lease).ended_at is not None
        self._attempt(
            not ended, lambda session: leases.renew(session, lease, annotator, now=self.now, default_minutes=MINUTES)
        )
        if not ended:
            until = self.held[region][1]
            self.held[region] = (annotator, max(until, self.now + timedelta(minutes=MINUTES)))

    @invariant()
    def the_database_agrees(self) -> None:
        with self.database.read() as session:
            active = session.scalars(
                select(Lease).where(Lease.ended_at.is_(None), Lease.region_id.in_(self.regions))
            ).all()
            states = dict(session.execute(select(Region.id, Region.state).where(Region.id.in_(self.regions))).all())
        assert len({lease.region_id for lease in active}) == len(active)
        assert {lease.region_id: (lease.annotator_id, lease.expires_at) for lease in active} == self.held
        assert states == {region: self.ended.get(region, ("open", 0))[0] for region in self.regions}

    def _holder(self, region: int) -> int | None:
        annotator, until = self.held.get(region, (None, self.now))
        return annotator if until > self.now else None

    def _round(self, region: int) -> int:
        with self.database.read() as session:
            return session.get_one(Region, region).round_id

    def _attempt(self, fine: bool, act: Any) -> None:
        if fine:
            with self.database.write() as session:
                act(session)
            return
        with pytest.raises(Conflict), self.database.write() as session:
            act(session)


def test_a_region_has_one_holder_whatever_happens(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    rules = type("Rules", (LeaseRules,), {"database": database, "blobs": blobs})
    few = settings(
        max_examples=15,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    run_state_machine_as_test(rules, settings=few)
    with database.read() as session:
        assert session.scalars(select(Event).where(Event.kind == "region_labelled").limit(1)).first() is not None
