"""Several people at regions under every order of events: seats, answers and states, whatever people do and time passes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from service.blobs import Blobs
from service.db import Database
from service.domain.label_kinds import DRAWN
from service.domain.masks import encode_label_png
from service.errors import Conflict, Invalid
from service.store import labels, lease_ends, leases, own_work, reviews
from service.store.settling import settle_those_left
from service.tables import Label, Lease, Region, Review, Round
from tests.conftest import START
from tests.maker import Maker
from tests.service.stateful import play

ANNOTATORS, REVIEWER, REGIONS, OVERLAP = 4, 5, 3, 2
MINUTES = 15.0
MASKS = [encode_label_png(np.full((90, 80), value, np.uint8)) for value in (0, 3)]


class PeopleRules(RuleBasedStateMachine):
    """Four annotators and a reviewer, three regions that want two labels each."""

    database: Database
    blobs: Blobs
    projects = 0

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = START
        self.leases: set[tuple[int, int, int]] = set()  # lease, region, annotator
        self.asked: set[tuple[int, int]] = set()  # region, annotator: labelled or skipped, and not asked again
        make = Maker(self.database, self.blobs, lambda: self.now)
        if not PeopleRules.projects:
            for _ in range(ANNOTATORS):
                make.annotator()
            make.annotator("reviewer")
        PeopleRules.projects += 1
        project = make.project(f"project {PeopleRules.projects}", lookahead=False, max_skip_share=1.0)
        self.project_id = project.id
        self.regions = [each.id for each in make.round_(project, make.images(project, 1), regions=REGIONS)]
        with self.database.write() as session:
            for region in session.scalars(select(Region).where(Region.project_id == project.id)):
                region.overlap = OVERLAP

    @rule(annotator=st.integers(1, ANNOTATORS), count=st.integers(1, REGIONS))
    def take(self, annotator: int, count: int) -> None:
        with self.database.write() as session:
            held = self._held_by(session, annotator)
            given = leases.claim(
                session, self.project_id, annotator, count=count, now=self.now, default_minutes=MINUTES
            )
            new = [(each.lease.id, each.placed.id, annotator) for each in given]
        for _, region, _ in new:
            assert region in held or (region, annotator) not in self.asked, "given twice to one person"
        self.leases |= set(new)

    @rule(minutes=st.sampled_from([1.0, 20.0]))
    def wait(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), which=st.integers(0, 1))
    def label(self, data: st.DataObject, which: int) -> None:
        self._label(*data.draw(st.sampled_from(sorted(self.leases))), which)

    def _label(self, lease: int, region: int, annotator: int, which: int) -> None:
        sent = labels.Submission(
            region_id=region,
            round_id=self._round(region),
            mask=MASKS[which],
            digest=str(which),
            class_counts=[0] * 11,
            seconds=None,
            lease_id=lease,
        )
        if self._done(lambda session: labels.submit(session, [sent], annotator, now=self.now)):
            self.asked.add((region, annotator))

    @rule(annotator=st.integers(1, ANNOTATORS), which=st.integers(0, 1))
    def take_and_label(self, annotator: int, which: int) -> None:
        self.take(annotator, 1)
        with self.database.read() as session:
            held = self._held_by(session, annotator)
        for lease, region, whose in sorted(self.leases):
            if whose == annotator and region in held:
                self._label(lease, region, annotator, which)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        lease, region, annotator = data.draw(st.sampled_from(sorted(self.leases)))
        act = lambda session: lease_ends.skip(  # noqa: E731
            session, region, lease, annotator, reason="x", now=self.now, capped=False
        )
        if self._done(act):
            self.asked.add((region, annotator))

    @rule(data=st.data(), annotator=st.integers(1, ANNOTATORS))
    def reopen(self, data: st.DataObject, annotator: int) -> None:
        region = data.draw(st.sampled_from(self.regions))
        given: list[int] = []

        def act(session: Any) -> None:
            held = own_work.reopen(session, region, annotator, now=self.now, default_minutes=MINUTES)
            given.append(held.lease.id)

        if self._done(act):
            self.leases.add((given[0], region, annotator))
            with self.database.read() as session:
                if session.scalars(self._drawn(region, annotator)).first() is None:
                    self.asked.discard((region, annotator))

    @rule(data=st.data(), decision=st.sampled_from(["accepted", "rejected"]))
    def review(self, data: st.DataObject, decision: Any) -> None:
        region = data.draw(st.sampled_from(self.regions))
        with self.database.read() as session:
            drawn = list(session.scalars(select(Label.id).where(Label.region_id == region, Label.kind.in_(DRAWN))))
        label_id = data.draw(st.sampled_from(drawn)) if drawn else None
        verdict = reviews.Verdict(decision=decision, label_id=label_id, reason="x", correction=None)
        self._done(lambda session: reviews.decide(session, region, verdict, REVIEWER, now=self.now))
        with self.database.read() as session:
            again = session.scalars(select(Region.priority).where(Region.id == region)).one() >= 2
            if again:  # nobody else could: those whose labels were rejected are asked again
                turned_down = select(Label.annotator_id).join(Review, Review.label_id == Label.id)
                for annotator in session.scalars(turned_down.where(Label.region_id == region)):
                    self.asked.discard((region, annotator))

    @invariant()
    def nobody_is_at_a_region_beyond_what_it_wants(self) -> None:
        with self.database.read() as session:
            for region in session.scalars(select(Region).where(Region.id.in_(self.regions))):
                active = session.scalars(
                    select(Lease).where(Lease.region_id == region.id, Lease.ended_at.is_(None))
                ).all()
                live = {each.annotator_id for each in active if each.expires_at > self.now}
                drawn = self._standing(session, region.id)
                assert len({each.seat for each in active}) == len(active)
                assert len(drawn) == region.answers
                if region.state == "open":
                    assert len(live - drawn) + len(drawn) <= OVERLAP
                if region.state == "labelled":
                    assert len(drawn) >= OVERLAP or self._reviewed(session, region.id)

    def teardown(self) -> None:
        """It always ends: people who take what they get, and a reviewer, come to the end of the round."""
        for _ in range(40):
            self.now += timedelta(minutes=20)
            for annotator in range(1, ANNOTATORS + 1):
                with self.database.write() as session:
                    given = leases.claim(
                        session, self.project_id, annotator, count=9, now=self.now, default_minutes=MINUTES
                    )
                    self.leases = {(each.lease.id, each.placed.id, annotator) for each in given}
                for lease, region, _ in self.leases:
                    act = lambda session, lease=lease, region=region, annotator=annotator: lease_ends.skip(  # noqa: E731
                        session, region, lease, annotator, reason="x", now=self.now, capped=False
                    )
                    self._done(act)
            with self.database.write() as session:
                settle_those_left(session, self.project_id, self.now)
            self._accept_all()
            with self.database.read() as session:
                states = set(session.scalars(select(Region.state).where(Region.id.in_(self.regions))))
                state = session.scalars(select(Round.state).where(Round.project_id == self.project_id)).one()
            if states <= {"labelled", "skipped"}:
                assert state == "labelled"
                return
        raise AssertionError(f"after 40 turns: {states}")

    def _accept_all(self) -> None:
        with self.database.read() as session:
            waiting = reviews.waiting_for_review(session, self.project_id, limit=9, after=0)
        for each in waiting:
            correction = labels.Submission(
                region_id=each.placed.id,
                round_id=self._round(each.placed.id),
                mask=MASKS[0],
                digest="corrected",
                class_counts=[0] * 11,
                seconds=None,
            )
            label = each.labels[-1].id if each.labels else None
            verdict = reviews.Verdict(decision="corrected", label_id=label, reason="", correction=correction)
            with self.database.write() as session:
                reviews.decide(session, each.placed.id, verdict, REVIEWER, now=self.now)

    def _done(self, act: Any) -> bool:
        try:
            with self.database.write() as session:
                act(session)
        except (Conflict, Invalid):
            return False
        return True

    def _round(self, region: int) -> int:
        with self.database.read() as session:
            return session.get_one(Region, region).round_id

    def _held_by(self, session: Any, annotator: int) -> set[int]:
        mine = select(Lease.region_id).where(Lease.annotator_id == annotator, Lease.ended_at.is_(None))
        return set(session.scalars(mine.where(Lease.expires_at > self.now)))

    def _drawn(self, region: int, annotator: int) -> Any:
        return select(Label).where(Label.region_id == region, Label.annotator_id == annotator, Label.kind.in_(DRAWN))

    def _standing(self, session: Any, region: int) -> set[int]:
        """Whose newest label was not rejected."""
        rejected = set(
            session.scalars(select(Review.label_id).where(Review.region_id == region, Review.decision == "rejected"))
        )
        newest = {}
        for label in session.scalars(select(Label).where(Label.region_id == region).order_by(Label.version)):
            if label.kind in DRAWN:
                newest[label.annotator_id] = label.id
        return {annotator for annotator, label in newest.items() if label not in rejected}

    def _reviewed(self, session: Any, region: int) -> bool:
        return session.scalars(select(Review.id).where(Review.region_id == region)).first() is not None


def test_people_share_regions_whatever_happens_and_always_come_to_an_end(
    database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    PeopleRules.projects = 0
    play(PeopleRules, database, blobs, examples=12, steps=25)
    with database.read() as session:
        assert session.scalars(select(Label).where(Label.kind == "agreed").limit(1)).first() is not None
