"""What giving out regions and taking labels needs of the application, in one dependency: each costs time in every request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from service.db import Database
from service.lease_proofs import LeaseProofs, proofs_of
from service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The application's database, settings and proofs of leases, and what time it is."""

    database: Database
    settings: Settings
    proofs: LeaseProofs
    now: datetime


async def _desk(request: Request) -> Desk:
    state = request.app.state
    return Desk(database=state.database, settings=state.settings, proofs=await proofs_of(request), now=state.clock())


AtDesk = Annotated[Desk, Depends(_desk)]
