"""Clerks: whom they serve first, and to which request their work belongs."""

import asyncio
import threading
from functools import partial

import pytest

from service import desk, logs
from service.desk import Clerks


def test_who_has_waited_longest_is_served_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_CLERKS", 1)
    clerks, begun, go_on = Clerks(), threading.Event(), threading.Event()
    served: list[int] = []

    def slow() -> bool:
        begun.set()
        return go_on.wait(60)

    async def many() -> bool:
        first = asyncio.create_task(clerks.do(slow))
        await asyncio.to_thread(begun.wait, 60)
        others = [asyncio.create_task(clerks.do(partial(served.append, place))) for place in range(20)]
        await asyncio.sleep(0)  # by now all have asked
        go_on.set()
        await asyncio.gather(*others)
        return await first

    assert asyncio.run(many())
    assert served == list(range(20))


def test_work_belongs_to_the_request_that_asks_for_it_and_so_does_what_it_notes() -> None:
    clerks = Clerks()

    async def asked(request_id: str) -> dict[str, str]:
        with logs.belonging(request_id=request_id):
            await clerks.do(lambda: logs.note(user=f"of {request_id}"))
            return await clerks.do(logs.noted)

    async def both() -> list[dict[str, str]]:
        return list(await asyncio.gather(asked("a"), asked("b")))

    assert asyncio.run(both()) == [{"request_id": each, "user": f"of {each}"} for each in "ab"]


def test_what_fails_fails_for_who_asked() -> None:
    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        asyncio.run(Clerks().do(fail))
