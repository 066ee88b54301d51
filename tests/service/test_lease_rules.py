"""Leases under every order of events: one holder per region, no label without a lease, whatever people do and time passes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.blobs import Blobs
from service.db import Database
from service.errors import Conflict, NotFound
from service.store import labels, lease_ends, leases, steering
from service.store.projects import get_project
from service.tables import Event, Label, Lease, Region
from tests.conftest import START
from tests.maker import Maker
from tests.service.stateful import play

ANNOTATORS = 3
REVIEWER = ANNOTATORS + 1
REGIONS = 4
MINUTES = 15.0
MAX_HELD = 3
MAX_MINUTES = 40.0
MAX_SKIPPED = 3  # what anybody may skip of so small a round


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
        self.since: dict[int, datetime] = {}  # lease -> when it was given
        self.skipped: set[int] = set()  # leases that have skipped their region
        make = Maker(self.database, self.blobs, lambda: self.now)
        for _ in range(ANNOTATORS):
            make.annotator()
        make.annotator("reviewer")
        number = LeaseRules.rounds = LeaseRules.rounds + 1
        caps: dict[str, Any] = {"max_held": MAX_HELD, "max_lease_minutes": MAX_MINUTES}
        project = make.project(f"project {number}", lookahead=False, **caps)
        self.project_id = project.id
        self.regions = [each.id for each in make.round_(project, make.images(project, 1), regions=REGIONS)]

    rounds = 0

    @rule(annotator=st.integers(1, ANNOTATORS), count=st.integers(1, REGIONS))
    def take(self, annotator: int, count: int) -> None:
        with self.database.write() as session:
            project = get_project(session, self.project_id)
            got = leases.claim(session, project.id, annotator, count=count, now=self.now, default_minutes=MINUTES)
            result = [(each.lease.id, each.placed.id, each.lease.expires_at) for each in got]
        own = [region for region in self.regions if self._holder(region) == annotator]
        free = [region for region in self.regions if self._holder(region) is None and region not in self.ended]
        assert [region for _, region, _ in result] == (own + free)[: min(count, max(MAX_HELD, len(own)))]
        for lease, region, until in result:
            assert until == (self.held[region][1] if region in own else self.now + timedelta(minutes=MINUTES))
            self.held[region] = (annotator, until)
            self.given.add((lease, region, annotator))
            if region not in own:
                self.since[lease] = self.now

    @rule(minutes=st.sampled_from([0.5, 7.0, 15.0, 40.0]))
    def wait(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), pixels=st.sampled_from(["a", "b"]))
    def label(self, data: st.DataObject, pixels: str) -> None:
        lease, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        state, by = self.ended.get(region, ("open", 0))
        fine = by == annotator and state == "labelled" if state != "open" else self._holder(region) in (None, annotator)
        sent = self._submission(region, lease, pixels)
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
        mine = [each for each, _, whose in self.given if whose == annotator and each in self.skipped]
        fine = self._holder(region) in (None, annotator) and lease not in self.skipped and len(mine) < MAX_SKIPPED
        self._attempt(
            fine, lambda session: lease_ends.skip(session, region, lease, annotator, reason="x", now=self.now)
        )
        if fine:
            self.held.pop(region, None)
            self.ended[region] = ("skipped", annotator)
            self.skipped.add(lease)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        fine = region not in self.ended
        self._attempt(fine, lambda session: lease_ends.release(session, region, lease, annotator, now=self.now))
        if fine and self.held.get(region, (0, None))[0] == annotator:
            del self.held[region]

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease, region, annotator = data.draw(st.sampled_from(sorted(self.given)))
        with self.database.read() as session:
            ended = session.get_one(Lease, lease).ended_at is not None
        last = self.since[lease] + timedelta(minutes=MAX_MINUTES)
        others = [each for each in self.regions if each != region and self._holder(each) == annotator]
        fine = not ended and self.now < last and (self._holder(region) == annotator or len(others) < MAX_HELD)
        self._attempt(
            fine, lambda session: leases.renew(session, lease, annotator, now=self.now, default_minutes=MINUTES)
        )
        if fine:
            until = self.held[region][1]
            self.held[region] = (annotator, max(until, min(last, self.now + timedelta(minutes=MINUTES))))

    @precondition(lambda self: self.given)
    @rule(data=st.data(), what=st.sampled_from(["label", "skip", "release", "renew"]))
    def forge(self, data: st.DataObject, what: str) -> None:
        """Another's lease, that of another region, or none at all."""
        lease = data.draw(st.sampled_from(sorted({lease for lease, _, _ in self.given} | {10**9})))
        region, annotator = data.draw(st.sampled_from(self.regions)), data.draw(st.integers(1, ANNOTATORS))
        own = {(each, whose) for each, _, whose in self.given}
        if (lease, region, annotator) in self.given or (what == "renew" and (lease, annotator) in own):
            return
        sent = [self._submission(region, lease, "z")]
        acts: dict[str, Callable[[Session], object]] = {
            "label": lambda session: labels.submit(session, sent, annotator, now=self.now),
            "skip": lambda session: lease_ends.skip(session, region, lease, annotator, reason="x", now=self.now),
            "release": lambda session: lease_ends.release(session, region, lease, annotator, now=self.now),
            "renew": lambda session: leases.renew(session, lease, annotator, now=self.now, default_minutes=MINUTES),
        }
        with pytest.raises(NotFound), self.database.write() as session:
            acts[what](session)

    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        region = data.draw(st.sampled_from(self.regions))
        fine = region not in self.ended
        self._attempt(fine, lambda session: steering.free_region(session, region, now=self.now, by=REVIEWER))
        if fine:
            self.held.pop(region, None)

    @rule(data=st.data())
    def unskip(self, data: st.DataObject) -> None:
        region = data.draw(st.sampled_from(self.regions))
        state, _ = self.ended.get(region, ("open", 0))
        if state == "skipped" and len(self.ended) == len(self.regions):
            return  # its round is over, and the region would go: tests of their own see to that
        fine = state != "labelled"
        self._attempt(fine, lambda session: steering.unskip_region(session, region, now=self.now, by=REVIEWER))
        if state == "skipped":
            del self.ended[region]

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

    @invariant()
    def nobody_holds_more_than_one_may_and_no_label_is_without_a_lease(self) -> None:
        holders = [self._holder(region) for region in self.regions]
        assert all(holders.count(annotator) <= MAX_HELD for annotator in range(1, ANNOTATORS + 1))
        with self.database.read() as session:
            labelled = session.execute(
                select(Label.region_id, Label.annotator_id).where(Label.region_id.in_(self.regions))
            )
            known = session.execute(
                select(Lease.region_id, Lease.annotator_id).where(Lease.region_id.in_(self.regions))
            )
            assert {tuple(each) for each in labelled} <= {tuple(each) for each in known}

    def _holder(self, region: int) -> int | None:
        annotator, until = self.held.get(region, (None, self.now))
        return annotator if until > self.now else None

    def _submission(self, region: int, lease: int, pixels: str) -> labels.Submission:
        with self.database.read() as session:
            round_id = session.get_one(Region, region).round_id
        return labels.Submission(
            region_id=region,
            round_id=round_id,
            mask=b"png",
            digest=pixels,
            class_counts=[0] * 11,
            seconds=None,
            lease_id=lease,
        )

    def _attempt(self, fine: bool, act: Any) -> None:
        if fine:
            with self.database.write() as session:
                act(session)
            return
        with pytest.raises(Conflict), self.database.write() as session:
            act(session)


def test_a_region_has_one_holder_whatever_happens(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    play(LeaseRules, database, blobs, examples=15, steps=20)
    with database.read() as session:
        assert session.scalars(select(Event).where(Event.kind == "region_labelled").limit(1)).first() is not None
