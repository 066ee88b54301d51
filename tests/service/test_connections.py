"""Which connection goes where there are too many, and how many there may be."""

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from service.connections import Bounds, Connection, Connections, as_files_allow


@dataclass(eq=False)
class Stand:
    """What stands for a connection here."""

    among: Connections
    address: str
    idle: bool = True
    waits: bool = True
    due: float = float("inf")
    ended: bool = False
    loop: Any = field(default_factory=asyncio.new_event_loop)

    def end(self) -> None:
        self.among.forget(cast(Connection, self))
        self.ended = True

    def come(self) -> bool:
        try:
            return self.among.admit(cast(Connection, self))
        finally:
            self.loop.close()


def connections(most: int, per_address: int, *proxies: str) -> Connections:
    return Connections(
        Bounds(connections=most, per_address=per_address, header_seconds=1, proxies=proxies), lambda: 0.0
    )


def test_of_an_address_with_too_many_the_one_goes_that_has_waited_longest() -> None:
    among = connections(100, 3)
    other = Stand(among, "b")
    halfway, older, newer = (
        Stand(among, "a", idle=False),
        Stand(among, "a"),
        Stand(among, "a"),
    )
    assert all(each.come() for each in (other, halfway, older, newer))
    assert Stand(among, "a").come()
    assert [each.ended for each in (other, halfway, older, newer)] == [False, False, True, False]
    newer.idle = newer.waits = False
    among.heard(cast(Connection, newer))
    newest = Stand(among, "a", idle=False, waits=False)
    assert newest.come()  # for the one that came fourth, which is idle
    assert Stand(among, "a", idle=False, waits=False).come()  # for the body that nothing has come of
    assert [each.ended for each in (other, halfway, newer, newest)] == [False, True, False, False]
    assert len(among) == 4


def test_where_all_are_being_answered_no_other_is_let_in() -> None:
    among = connections(100, 2)
    busy = [Stand(among, "a", waits=False, idle=False) for _ in range(2)]
    assert all(each.come() for each in busy)
    assert not Stand(among, "a").come()
    assert Stand(among, "b").come()
    assert not any(each.ended for each in busy)
    busy[0].end()
    assert Stand(among, "a").come()


def test_bodies_that_do_not_come_go_in_their_order_and_one_that_is_heard_of_goes_last() -> None:
    among = connections(4, 4)
    first, second, _, _ = halfway = [Stand(among, address, idle=False) for address in "abab"]
    assert all(each.come() for each in halfway)
    among.heard(cast(Connection, first))
    gone = []
    for _ in range(3):
        assert Stand(among, "c", idle=False).come()
        gone.append([each.ended for each in halfway])
    assert gone == [[False, True, False, False], [False, True, True, False], [False, True, True, True]]
    among.heard(cast(Connection, second))  # one that is gone is not taken in again
    assert len(among) == 4


def test_a_process_with_too_many_closes_one_of_any_address() -> None:
    among = connections(3, 3)
    old, *_ = all_of_them = [Stand(among, address) for place, address in enumerate("abc")]
    assert all(each.come() for each in all_of_them)
    assert Stand(among, "d").come()
    assert old.ended
    assert len(among) == 3


@pytest.mark.parametrize(("proxy", "address"), [("10.0.0.7", "10.0.0.7"), ("10.0.0.0/8", "10.1.2.3"), ("::1", "::/64")])
def test_a_trusted_proxy_has_as_many_as_the_process(proxy: str, address: str) -> None:
    among = connections(10, 2, proxy)
    stands = [Stand(among, address) for _ in range(10)]
    assert all(each.come() for each in stands)
    assert not any(each.ended for each in stands)
    others = [Stand(among, "192.0.2.1") for place in range(3)]
    assert all(each.come() for each in others)
    assert others[0].ended


@pytest.mark.parametrize(
    ("files", "allowed"), [(1024, 462), (256, 78), (64, 8), (65_536, 512), (resource.RLIM_INFINITY, 512)]
)
def test_there_are_no_more_connections_than_files_allow(
    files: int, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (files, files))
    assert as_files_allow(512) == allowed
