"""What annotators remember of a run: what they were given, what they sent, and what they were answered."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

PASSING = {503: "*", 507: "disk_full"}
"""Answers that mean: try again later. Each has a code."""
EXPECTED = frozenset(
    {
        # Somebody came first, or had to: each has its sentence.
        (409, "lease_lost"),
        (409, "region_labelled"),
        (409, "region_skipped"),
        (409, "region_review"),
        (409, "region_reviewed"),
        (409, "label_rejected"),
        (409, "label_replaced"),
        (409, "region_open"),
        (409, "nothing_to_review"),
        (409, "lease_limit"),
        (409, "skip_limit"),
        (409, "held"),
        (409, "conflict"),
        # Its pixels are not to be seen any more, for the region is somebody else's by now.
        (403, "not_given"),
        # A lease that PostgreSQL forgot as it crashed within a moment of giving it.
        (404, "lease_not_found"),
    }
)


@dataclass(kw_only=True)
class Hold:
    """A region that an annotator was told is theirs: from when for certain, until they began to give it up.

    Moments are of the clock that only goes forward; `expires` is what the service said last, in seconds since 1970.
    """

    region: int
    annotator: int
    asked: float
    told: float
    expires: float
    given_up: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A label that was answered 201, or 200 as one that was there already. `pixels` is a digest."""

    id: int
    region: int
    annotator: int
    version: int
    pixels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Pixels that were on their way, whatever became of them."""

    region: int
    annotator: int
    pixels: str


@dataclass(kw_only=True)
class Journal:
    """Of all annotators together; may be written to by many threads."""

    accepted: list[Accepted] = field(default_factory=list)
    sent: set[Sent] = field(default_factory=set)
    holds: list[Hold] = field(default_factory=list)
    given_at: list[float] = field(default_factory=list)
    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)  # what was asked, status, code
    unexpected: list[str] = field(default_factory=list)
    unanswered: int = 0
    allowed: float = float("inf")  # with so many labels annotators hold on to what they have
    reasons: Counter[str] = field(default_factory=Counter)  # why there was no region
    _open: dict[tuple[int, int], Hold] = field(default_factory=dict)
    _labelled: set[tuple[int, int]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def labelled(self) -> int:
        """How many first labels were accepted: one for each region and annotator."""
        return len(self._labelled)

    def answered(self, what: str, response: httpx.Response) -> str:
        """Note an answer; returns its code, empty where it is no error."""
        code = _code_of(response)
        with self._lock:
            self.answers[what, response.status_code, code] += 1
            if not _is_expected(response.status_code, code):
                self.unexpected.append(f"{what}: {response.status_code} {response.text[:500]}")
        return code

    def not_answered(self) -> None:
        """A connection was refused or broke off."""
        with self._lock:
            self.unanswered += 1

    def given(self, annotator: int, items: list[dict[str, Any]], asked: float) -> None:
        """Regions were given."""
        told = time.monotonic()
        with self._lock:
            self.given_at.append(told)
            for item in items:
                expires = datetime.fromisoformat(item["lease_expires_at"]).timestamp()
                hold = self._open.get((annotator, item["id"]))
                if hold is not None:
                    hold.expires = expires
                    continue
                hold = Hold(region=item["id"], annotator=annotator, asked=asked, told=told, expires=expires)
                self._open[annotator, item["id"]] = hold
                self.holds.append(hold)

    def given_since(self, moment: float) -> bool:
        """Whether anybody was given a region after a moment."""
        return bool(self.given_at) and self.given_at[-1] > moment

    def renewed(self, annotator: int, region: int, expires_at: str) -> None:
        """A lease lasts longer."""
        with self._lock:
            if (hold := self._open.get((annotator, region))) is not None:
                hold.expires = datetime.fromisoformat(expires_at).timestamp()

    def giving_up(self, annotator: int, region: int) -> None:
        """From now on the region may be somebody else's: its label, or that it is given back, is on its way."""
        with self._lock:
            if (hold := self._open.pop((annotator, region), None)) is not None:
                hold.given_up = time.monotonic()

    def sending(self, region: int, annotator: int, pixels: str) -> None:
        """A label is on its way."""
        with self._lock:
            self.sent.add(Sent(region=region, annotator=annotator, pixels=pixels))

    def stored(self, annotator: int, labels: list[dict[str, Any]], pixels: dict[int, str]) -> None:
        """Labels were accepted; `pixels` by region."""
        with self._lock:
            for each in labels:
                region = each["region_id"]
                self._labelled.add((region, annotator))
                accepted = Accepted(
                    id=each["id"], region=region, annotator=annotator, version=each["version"], pixels=pixels[region]
                )
                self.accepted.append(accepted)

    def without(self, reason: str) -> None:
        """There was no region."""
        with self._lock:
            self.reasons[reason] += 1


def _code_of(response: httpx.Response) -> str:
    if response.is_success or response.status_code == 304:
        return ""
    try:
        return str(response.json()["error"]["code"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return "none"


def _is_expected(status: int, code: str) -> bool:
    if status in PASSING:
        return code != "none" and PASSING[status] in ("*", code)
    return status < 400 or (status, code) in EXPECTED
