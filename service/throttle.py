"""Counts wrong tokens by address, so that nobody goes on guessing."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NoReturn

from starlette.requests import Request

from service.errors import TooMany, Unauthorized

_SECONDS = 60.0
_MOST_ADDRESSES = 10_000


def address_of(request: Request) -> str:
    """What stands for a caller's machine: its IPv4 address, or an IPv6 one's /64, of which it may take any."""
    return machine_of(request.client.host if request.client else "")


def machine_of(host: str) -> str:
    """The same of an address as text; whatever is none stands for itself."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


class Throttle:
    """Takes so many wrong tokens from an address a minute; of the addresses, the latest thousands are remembered."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds until the address may be wrong again; 0: it may be now."""
        since, count = self._wrong.get(address, (-math.inf, 0))
        left = since + _SECONDS - self._clock()
        return math.ceil(left) if count >= self._most and left > 0 else 0

    def refuse(self, address: str) -> NoReturn:
        """A wrong token came from there: count it. Raises Unauthorized, or TooMany where enough were wrong."""
        self.require_room(address)
        self.count(address)
        raise Unauthorized("Nobody holds this token.")

    def require_room(self, address: str) -> None:
        """Raises TooMany where no other wrong token is taken from the address now."""
        if seconds := self.wait(address):
            sentence = f"Too many wrong tokens came from {address}; try again in {seconds} seconds, with the right one."
            raise TooMany(sentence, code="too_many_wrong_tokens", retry_after=seconds)

    def count(self, address: str) -> None:
        """A wrong token came from there."""
        now = self._clock()
        since, count = self._wrong.pop(address, (now, 0))
        if now - since >= _SECONDS:
            since, count = now, 0
        self._wrong[address] = (since, count + 1)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)
