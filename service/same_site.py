"""Refuses requests that another site's page has a browser send with our cookie."""

from fastapi import Request

from service.errors import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER, VALUE = "X-Requested-With", "regionwise"


def require_same_site(request: Request) -> None:
    """Raises Forbidden for a request that a page of another origin has sent, by what browsers say of it."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:  # an older browser; a proxy in front of the service must leave Host as it came
        own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not own:
        raise Forbidden("This came from a page of another site.", code="cross_site")


def require_meant(request: Request) -> None:
    """Raises Forbidden where a request that comes with the cookie changes something, and may not be meant.

    A header that forms cannot send, and pages of other origins may not, says that it is.
    """
    if request.method in SAFE:
        return
    require_same_site(request)
    if request.headers.get(HEADER) != VALUE:
        raise Forbidden(
            f"With the session's cookie this needs the header '{HEADER}: {VALUE}'.", code="csrf_header_missing"
        )
