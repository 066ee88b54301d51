"""Annotators who are shut out at the very moment that they renew or take a region: they hold nothing, and nobody is stuck."""

import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.db import Database
from service.errors import Conflict
from service.store import annotators, leases, memberships
from service.store.turns import one_at_a_time
from service.tables import Lease
from tests.maker import Maker
from tests.service.test_many_at_once import together


def test_who_renews_what_ran_out_and_is_deactivated_meanwhile_do_not_wait_for_each_other(
    make: Maker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    make.annotator()
    make.annotator("admin")
    with database.write() as session:
        (held,) = leases.claim(session, project.id, 1, count=1, now=make.clock(), default_minutes=15)
    later = make.clock() + timedelta(minutes=20)
    renewed = threading.Event()

    def slowly(*given: Any) -> None:
        # For so long that the other has what it can have.
        renewed.set()
        time.sleep(0.3)
        one_at_a_time(*given)

    def deactivate() -> None:
        renewed.wait(5)
        with database.write() as session:
            annotators.deactivate(session, 1, now=later)

    def renew() -> None:
        with suppress(Conflict), database.write() as session:
            leases.renew(session, held.lease.id, 1, now=later, default_minutes=15)

    monkeypatch.setattr(leases, "one_at_a_time", slowly)
    together([renew, deactivate])
    with database.read() as session:
        assert session.scalars(select(Lease.end)).all() == ["revoked"]


def test_who_is_removed_from_a_project_while_a_region_is_given_to_them_does_not_hold_it(
    make: Maker, database: Database
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    make.annotator()
    given = threading.Event()

    def take() -> None:
        with database.write(durable=False, alone=1) as session:
            assert leases.claim(session, project.id, 1, count=1, now=make.clock(), default_minutes=15)
            given.set()
            time.sleep(0.3)

    def remove() -> None:
        given.wait(5)
        with database.write() as session:
            memberships.remove_member(session, project.id, 1, now=make.clock())

    together([take, remove])
    with database.read() as session:
        assert session.scalars(select(Lease.end)).all() == ["released"]
