"""Image files that stay where they are: which URLs the service reads, and that it reads there what it read at first."""

import hashlib
import logging
import re
from collections.abc import Sequence

from fsspec.core import url_to_fs

from service.errors import Conflict, Invalid, TooLarge

log = logging.getLogger(__name__)

LONGEST = 190  # characters of a URL: with the digest behind it, it fits a blob's key
_WINDOW = re.compile(r"@\d+,\d+,\d+,\d+,\d*,[^,@#/]*$")  # what the key of a window has behind its URL
_DIGEST = re.compile(r"[#/]([0-9a-f]{64})(\.[a-z]+)?$")
_MOST_READ = 1 << 30  # bytes of a file that has been taken; one that has grown beyond is another one anyway


def require_allowed(url: str, prefixes: Sequence[str]) -> None:
    """Raises Invalid for a URL that is below none of the prefixes, as it is written or as somebody might read it."""
    if not prefixes:
        raise Invalid(
            "This service takes no references: REGIONWISE_REFERENCE_PREFIXES lists the URLs below which it may read files, and "
            "is empty. Send the images themselves.",
            code="reference_not_allowed",
        )
    scheme, separator, path = url.partition("://")
    odd = (
        not url.isprintable()
        or _WINDOW.search(url)
        or any(part in url.lower() for part in ("::", "\\", "%2e", "%2f", "%5c", "?"))
    )
    below = any(url.startswith(f"{each.rstrip('/')}/") for each in prefixes)
    if odd or not (scheme and separator) or {".", "..", ""} & set(path.lstrip("/").split("/")) or not below:
        raise Invalid(
            f"{url!a} is not below {' or '.join(prefixes)}, where this service may read files "
            "(REGIONWISE_REFERENCE_PREFIXES), or is not written plainly.",
            code="reference_not_allowed",
            detail={"url": url},
        )


def fetch(url: str, most: int) -> bytes:
    """The bytes of a file. Raises Invalid where it cannot be read, TooLarge for more than `most` bytes."""
    try:
        data = _read(url, most)
    except Exception as error:  # file systems of all kinds fail in their own ways
        raise Invalid(
            f"{url} cannot be read: {_said(error)}.", code="reference_unreadable", detail={"url": url}
        ) from error
    if len(data) > most:
        raise TooLarge(f"{url}: It holds more than {most:,} bytes, the limit.", detail={"url": url})
    return data


def key_of(url: str, digest: str) -> str:
    """The key of a blob that is a file elsewhere, of that SHA-256."""
    return f"{url}#{digest}"


def digest_of(key: str) -> str | None:
    """What a blob's key says of its content, the SHA-256 in hex; None for keys that say none."""
    found = _DIGEST.search(key)
    return found[1] if found else None


def is_reference(key: str) -> bool:
    """Whether a blob's key says that its bytes are a file elsewhere."""
    return "://" in key


def read(key: str) -> bytes:
    """The bytes that a key stands for. Raises Conflict where the file cannot be read, or is not the one of that time."""
    url, _, digest = key.rpartition("#")
    try:
        data = _read(url, _MOST_READ)
    except Exception as error:  # file systems of all kinds fail in their own ways
        log.warning("%s cannot be read: %s", url, error)
        raise Conflict(
            f"The image is a file that stays elsewhere, {_named(url)}, which cannot be read now.",
            code="reference_lost",
            detail={"sha256": digest},
        ) from error
    if hashlib.sha256(data).hexdigest() != digest:
        log.warning("%s is not the file of SHA-256 %s any more.", url, digest)
        raise Conflict(
            f"The file {_named(url)}, which stays elsewhere, is another one than when its image came: put the one of SHA-256 "
            f"{digest} back.",
            code="reference_changed",
            detail={"sha256": digest},
        )
    return data


def _named(url: str) -> str:
    """A file without its place: annotators are told of it too."""
    return url.rpartition("/")[2]


def _read(url: str, most: int) -> bytes:
    """The bytes of a file, no more than one beyond `most`. Raises whatever its file system does."""
    files, path = url_to_fs(url)
    info = files.info(path)
    if info.get("type") != "file":
        raise FileNotFoundError("it is no file")
    with files.open(path, "rb") as file:
        data: bytes = file.read(most + 1)
    return data


def _said(error: Exception) -> str:
    return (
        "there is no such file"
        if isinstance(error, FileNotFoundError)
        else str(error).rstrip(".") or type(error).__name__
    )
