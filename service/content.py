"""Responses of bytes with tags, so that browsers ask for those that never change once."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

_FOREVER = "private, max-age=31536000, immutable"


def _bytes_of(*media_types: str) -> dict[int | str, dict[str, Any]]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {"description": "The bytes.", "content": dict.fromkeys(media_types, binary)},
        304: {"description": "The caller has them already (If-None-Match)."},
    }


PNG_RESPONSE = _bytes_of("image/png")
PICTURE_RESPONSE = _bytes_of("image/png", "image/jpeg", "image/webp", "image/tiff", "image/bmp")
SENT_ELSEWHERE: dict[int | str, dict[str, Any]] = {
    307: {
        "description": "The bytes are at `Location` for a while, for whoever has that address: only where the service keeps its "
        "images in S3 and `REGIONWISE_SIGNED_SECONDS` is set. Send no token there."
    }
}
WEIGHTS_RESPONSE = _bytes_of("application/octet-stream")


def unchanging(
    request: Request,
    *,
    tag: str,
    media_type: str,
    body: Callable[[], bytes],
    filename: str | None = None,
    elsewhere: Callable[[], str | None] = lambda: None,
) -> Response:
    """The bytes of `body`, or 304 where the caller has them already; `tag` names them and nothing else.

    With a `filename`, in plain letters, they are there to be kept rather than looked at. Where `elsewhere` has an address that
    holds for a while, the caller is sent there (307).
    """
    if not _has_them(request, tag) and (address := elsewhere()) is not None:
        return Response(status_code=307, headers={"Location": address, "Cache-Control": "no-store"})
    response = _tagged(request, tag, media_type, body, _FOREVER)
    if filename is not None:
        response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def revalidated(request: Request, *, tag: str, media_type: str, body: Callable[[], bytes]) -> Response:
    """Like `unchanging`, for bytes that may be others next time: the caller asks again, and mostly gets 304."""
    return _tagged(request, tag, media_type, body, "private, no-cache")


def _tagged(request: Request, tag: str, media_type: str, body: Callable[[], bytes], cache: str) -> Response:
    headers = {"ETag": f'"{tag}"', "Cache-Control": cache}
    if _has_them(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body(), media_type=media_type, headers={**headers, "X-Content-Type-Options": "nosniff"})


def _has_them(request: Request, tag: str) -> bool:
    wanted = request.headers.get("if-none-match", "")
    return any(each.strip().removeprefix("W/") in (f'"{tag}"', "*") for each in wanted.split(","))


def ready(body: BaseModel, *, status: int = 200, headers: Mapping[str, str] = {}) -> Response:
    """An answer that is not checked against its own schema once more: for what is asked for all the time. Nobody keeps it."""
    kept = {"Cache-Control": "no-store", **headers}
    return Response(body.model_dump_json(), status_code=status, media_type="application/json", headers=kept)
