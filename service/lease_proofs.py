"""The proofs of leases: what tells that the service itself gave a region to an annotator by a lease."""

import hmac
import secrets
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from service.db import Database
from service.errors import Invalid
from service.store.secrets import keep_secret, kept_secret

_NAME = "lease_proofs"
LEAST_CHARACTERS = 32


class LeaseProofs:
    """Makes and checks lease tokens, `LEASE-PROOF`, by a secret that the database keeps for all processes, or that was given.

    A token is computed and never stored, the same each time. It proves that a lease was given, not that it lasts, nor that its
    row is there: the store looks at that wherever a token is used.
    """

    def __init__(self, database: Database, given: str = "") -> None:
        """`given` stands in for the database's secret. Raises ValueError for one that is too short to be one."""
        if given and len(given) < LEAST_CHARACTERS:
            raise ValueError(
                f"REGIONWISE_SECRET has {len(given)} characters; it takes {LEAST_CHARACTERS} random ones at least, the same for "
                "every process of the API. Without it the service makes a secret and keeps it in its database."
            )
        self._database = database
        self._key = given.encode()

    @property
    def ready(self) -> bool:
        """Whether the secret is at hand."""
        return bool(self._key)

    def load(self) -> None:
        """Read the secret, or make it where there is none. Not within a transaction that writes: this may be one."""
        with self._database.read() as session:
            kept = kept_secret(session, _NAME)
        if kept is None:
            with self._database.write() as session:
                keep_secret(session, _NAME, secrets.token_urlsafe(32), now=datetime.now(UTC))
                kept = kept_secret(session, _NAME)
        self._key = (kept or "").encode()

    def token(self, lease_id: int, region_id: int, annotator_id: int) -> str:
        """The token of a lease of a region by an annotator."""
        return f"{lease_id}-{self._proof(lease_id, region_id, annotator_id)}"

    def proven(self, token: str, region_id: int, annotator_id: int) -> int:
        """The lease that a token proves. Raises Invalid where it is not this annotator's or not of this region."""
        lease_id = claimed_lease(token)
        if not hmac.compare_digest(token.partition("-")[2], self._proof(lease_id, region_id, annotator_id)):
            raise _stray_token(region_id)
        return lease_id

    def is_due(self, lease_id: int, share: float) -> bool:
        """Whether a lease is one of a share of all leases; the same each time, and only whoever has the secret can tell."""
        assert self._key, "load() comes first: without a key anybody could tell"
        digest = hmac.digest(self._key, f"share:{lease_id}".encode(), "sha256")
        return int.from_bytes(digest[:8], "big") < share * 2**64

    def _proof(self, lease_id: int, region_id: int, annotator_id: int) -> str:
        assert self._key, "load() comes first: without a key anybody could make a proof"
        return hmac.digest(self._key, f"lease:{lease_id}:{region_id}:{annotator_id}".encode(), "sha256").hex()[:32]


def claimed_lease(token: str) -> int:
    """The lease that a token speaks of, proven or not. Raises Invalid for what cannot be a token."""
    number, _, proof = token.partition("-")
    # At most 18 digits: any such number fits the database's 64 bits.
    if not (number.isascii() and number.isdigit() and len(number) <= 18 and proof.isascii()):
        raise _stray_token()
    return int(number)


def _stray_token(region_id: int | None = None) -> Invalid:
    of = "" if region_id is None else f" for region {region_id}"
    detail = {} if region_id is None else {"region_id": region_id}
    sentence = f"This is not a lease token of yours{of}; GET /next-regions gives those of the regions that you hold."
    return Invalid(sentence, code="bad_lease_token", detail=detail)


async def proofs_of(request: Request) -> LeaseProofs:
    """The application's proofs, the secret at hand."""
    proofs = cast(LeaseProofs, request.app.state.lease_proofs)
    if not proofs.ready:
        await run_in_threadpool(proofs.load)
    return proofs


Proofs = Annotated[LeaseProofs, Depends(proofs_of)]
