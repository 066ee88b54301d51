"""File systems that are not this machine's, such as S3: how they are opened, what they say when they are away, what they sign."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.core import url_to_fs

_S3 = frozenset({"s3", "s3a"})
_LOCAL = frozenset({"file", "local"})
# Of these nothing is known but their makers: what speaks to a store.
_MAKERS = frozenset({"aiobotocore", "aiohttp", "botocore", "fsspec", "gcsfs", "adlfs", "azure", "s3fs", "urllib3"})


class BlobsAway(ConnectionError):
    """The store of the blobs does not answer, or not as it should."""


def opened(url: str) -> tuple[Any, str]:
    """The file system of an fsspec URL and the path in it. Raises ValueError where what knows it is not installed."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme in _LOCAL or "::" in url:
        found: tuple[Any, str] = url_to_fs(url)
        return found
    # Other processes write there too: what was listed a while ago says nothing of what is there now.
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme in _S3:
        # s3fs tries again by itself; botocore's own tries would multiply with those.
        tries = {"max_attempts": 1}
        options["config_kwargs"] = {
            "connect_timeout": 5,
            "read_timeout": 60,
            "retries": tries,
            "signature_version": "s3v4",
        }
    try:
        found = url_to_fs(url, **options)
    except ImportError as error:
        raise ValueError(f"{url} cannot be opened: {error}. For S3: pip install 'regionwise[s3]'.") from error
    return found


@contextmanager
def answering() -> Iterator[None]:
    """While this goes on, failures of stores that are no OSError are BlobsAway; others pass as they are."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each store fails in its own ways
        if type(error).__module__.partition(".")[0] not in _MAKERS:
            raise
        raise BlobsAway(f"The store of the blobs does not answer: {error}") from error


def bucket_missing(files: Any, root: str) -> str | None:
    """The bucket of an S3 path, where there is none of that name."""
    bucket = root.strip("/").partition("/")[0]
    return bucket if _is_s3(files) and not files.exists(bucket) else None


def signed(files: Any, path: str, seconds: int, *, head: bool, media_type: str) -> str | None:
    """An address from which anybody reads the bytes for so many seconds, or asks for its `head`; None: this store has none."""
    if not _is_s3(files):
        return None
    # A signature holds for one method.
    method = {"client_method": "head_object"} if head else {}
    address: str = files.sign(path, expiration=seconds, ResponseContentType=media_type, **method)
    return address


def _is_s3(files: Any) -> bool:
    names = files.protocol if isinstance(files.protocol, tuple | list) else (files.protocol,)
    return not _S3.isdisjoint(names)
