"""What giving out regions and taking labels needs of the application, in one dependency: each costs time in every request."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from service.db import Database
from service.lease_proofs import LeaseProofs, proofs_of
from service.settings import Settings

T = TypeVar("T")
_CLERKS = 4


class Clerks:
    """The threads in which regions are given and labels taken: few, and who has waited longest is served first.

    Many would take the interpreter and the database's locks from each other, in no order.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_CLERKS, thread_name_prefix="desk")

    async def do(self, work: Callable[[], T]) -> T:
        """What `work` returns. What it logs belongs to the request that asks."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The application's database, settings, proofs of leases and clerks, and what time it is."""

    database: Database
    settings: Settings
    proofs: LeaseProofs
    clerks: Clerks
    now: datetime


async def _desk(request: Request) -> Desk:
    state = request.app.state
    proofs = await proofs_of(request)
    return Desk(database=state.database, settings=state.settings, proofs=proofs, clerks=state.clerks, now=state.clock())


AtDesk = Annotated[Desk, Depends(_desk)]
