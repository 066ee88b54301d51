"""Scripted annotators: take what they are given, mostly label it as it is, at times otherwise, send again what got no answer."""

import base64
import hashlib
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from service.domain.classes import CAMVID
from service.domain.masks import encode_label_png
from tests.chaos.journal import PASSING, Journal
from workers.datasets.streets import Streets

_ENDED = ("budget_reached", "pool_empty")
_SECONDS = httpx.Timeout(15.0, connect=5.0)  # an API that is halted is given up


@dataclass(kw_only=True)
class Annotator:
    """One person with a token, in a thread of their own, whose calls go to the APIs by chance."""

    id: int
    token: str
    servers: list[str]
    project: int
    truth: Streets
    journal: Journal
    chance: random.Random
    stopped: threading.Event
    _clients: list[httpx.Client] = field(default_factory=list)

    def run(self) -> None:
        """Label until told to stop."""
        headers = {"Authorization": f"Bearer {self.token}"}
        self._clients = [httpx.Client(base_url=each, headers=headers, timeout=_SECONDS) for each in self.servers]
        try:
            while not self.stopped.is_set():
                self._turn()
        except Exception as error:
            self.journal.unexpected.append(f"Annotator {self.id} stumbled: {type(error).__name__}: {error}")
            raise
        finally:
            for each in self._clients:
                each.close()

    def _turn(self) -> None:
        asked = time.monotonic()
        params = {"project": self.project, "count": self.chance.choice((1, 1, 2, 3)), "wait": 2}
        response = self._once("GET /next-regions", "GET", "/next-regions", params=params)
        if response is None or response.status_code != 200:
            self.stopped.wait(self.chance.uniform(0.1, 0.5))
            return
        given = response.json()
        if not given["items"]:
            self.journal.without(given["reason"])
            self.stopped.wait(4.0 if given["reason"] in _ENDED else self.chance.uniform(0.05, 0.5))
            return
        self.journal.given(self.id, given["items"], asked)
        if self.journal.labelled >= self.journal.allowed:  # a strike is to fall first
            self.stopped.wait(self.chance.uniform(0.2, 0.6))
            return
        self._work_on(given["items"])

    def _work_on(self, items: list[dict[str, Any]]) -> None:
        if len(items) > 1 and self.chance.random() < 0.3:
            self._label(items)
            return
        for item in items:
            what = self.chance.random()
            if what < 0.3:
                self._once("GET crop", "GET", item["crop_url"])
            elif what < 0.36:
                self._renew(item)
            if what > 0.98:
                self._give_back(item, "release", {})
            elif what > 0.97:
                self._give_back(item, "skip", {"reason": "Nothing can be told here."})
            else:
                self._label([item])

    def _renew(self, item: dict[str, Any]) -> None:
        path = f"/regions/{item['id']}/renew"
        response = self._once("POST renew", "POST", path, json={"lease_token": item["lease_token"]})
        if response is not None and response.is_success:
            self.journal.renewed(self.id, item["id"], response.json()["lease_expires_at"])

    def _give_back(self, item: dict[str, Any], how: str, more: dict[str, Any]) -> None:
        self.journal.giving_up(self.id, item["id"])
        body = {"lease_token": item["lease_token"], **more}
        self._until_answered(f"POST {how}", f"/regions/{item['id']}/{how}", body)

    def _label(self, items: list[dict[str, Any]], *, otherwise: bool = False) -> None:
        """Send label maps of regions together, again until there is an answer; where together is refused, one by one."""
        pixels = {item["id"]: self._pixels(item, otherwise=otherwise) for item in items}
        digests = {region: _digest(each) for region, each in pixels.items()}
        for region, digest in digests.items():
            self.journal.giving_up(self.id, region)
            self.journal.sending(region, self.id, digest)
        body = {
            "labels": [
                {
                    "region_id": item["id"],
                    "lease_token": item["lease_token"],
                    "mask_png": base64.b64encode(encode_label_png(pixels[item["id"]])).decode(),
                    "seconds": 1.0,
                }
                for item in items
            ]
        }
        response = self._until_answered("POST /labels", "/labels", body)
        if response is None:
            return
        if response.is_success:
            self.journal.stored(self.id, response.json()["labels"], digests)
            self._perhaps_again(items, body, otherwise=otherwise)
        elif len(items) > 1:
            for item in items:
                self._label([item], otherwise=otherwise)

    def _perhaps_again(self, items: list[dict[str, Any]], body: dict[str, Any], *, otherwise: bool) -> None:
        """At times the same is sent once more, or other pixels."""
        again = self.chance.random()
        if again < 0.1:
            self._until_answered("POST /labels again", "/labels", body)
        elif again < 0.15 and not otherwise:
            self._label(items, otherwise=True)

    def _pixels(self, item: dict[str, Any], *, otherwise: bool) -> NDArray[np.uint8]:
        """The truth but for a few pixels that are this annotator's own opinion; at times many."""
        number = int(item["image_name"].removesuffix(".png").rpartition("-")[2])
        rows, cols = slice(item["y"], item["y"] + item["height"]), slice(item["x"], item["x"] + item["width"])
        if item["image_name"].startswith("pool"):
            ids = CAMVID.to_ids(self.truth.label_map(number))[rows, cols].copy()
        else:  # a region of another split, whose truth is known to the service: at times it is got wrong
            ids = np.zeros((item["height"], item["width"]), np.uint8)
        chance = random.Random(f"{self.id}/{item['id']}/{otherwise}")
        side = min(ids.shape) if chance.random() < 0.1 else 2
        row, col = chance.randrange(ids.shape[0] - side + 1), chance.randrange(ids.shape[1] - side + 1)
        ids[row : row + side, col : col + side] = (self.id + otherwise) % len(CAMVID)
        return np.ascontiguousarray(ids)

    def _until_answered(self, what: str, path: str, body: dict[str, Any]) -> httpx.Response | None:
        """The answer to a post that may be sent again, of whatever API has one; None where the run ended before."""
        while not self.stopped.is_set():
            response = self._once(what, "POST", path, json=body)
            if response is not None and response.status_code not in PASSING:
                return response
            self.stopped.wait(self.chance.uniform(0.1, 0.5))
        return None

    def _once(self, what: str, method: str, path: str, **request: Any) -> httpx.Response | None:
        try:
            response = self.chance.choice(self._clients).request(method, path, **request)
        except httpx.TransportError:
            self.journal.not_answered()
            return None
        self.journal.answered(what, response)
        return response


@dataclass(kw_only=True)
class Reviewer:
    """Somebody who accepts the newest label of whatever waits for a reviewer."""

    token: str
    servers: list[str]
    project: int
    journal: Journal
    chance: random.Random
    stopped: threading.Event

    def run(self) -> None:
        """Accept until told to stop."""
        headers = {"Authorization": f"Bearer {self.token}"}
        while not self.stopped.wait(0.5):
            with httpx.Client(base_url=self.chance.choice(self.servers), headers=headers, timeout=_SECONDS) as client:
                try:
                    self._accept_all(client)
                except httpx.TransportError:
                    self.journal.not_answered()

    def _accept_all(self, client: httpx.Client) -> None:
        listed = client.get(f"/projects/{self.project}/reviews", params={"limit": 50})
        if self.journal.answered("GET reviews", listed) or self.stopped.is_set():
            return
        for each in listed.json()["items"]:
            body = {"decision": "accepted", "label_id": each["labels"][-1]["id"]}
            response = client.post(f"/regions/{each['id']}/reviews", json=body)
            self.journal.answered("POST reviews", response)


def _digest(ids: NDArray[np.uint8]) -> str:
    return hashlib.sha256(ids.tobytes()).hexdigest()
