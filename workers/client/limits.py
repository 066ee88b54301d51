"""What a service takes in an upload, as it says itself; what it takes unless it is set otherwise, where it does not."""

from dataclasses import dataclass
from pathlib import Path

from service.client import ApiError, Client
from service.settings import Settings

# Of a request beside its files: their names, and how they are read.
_FORM = 64 << 10


def _default(name: str) -> int:
    return int(Settings.model_fields[name].default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes of a file, pixels of an image, bytes of a request. said: the service has said so."""

    image_bytes: int = _default("max_image_bytes")
    image_pixels: int = _default("max_image_pixels")
    request_bytes: int = _default("max_request_bytes")
    said: bool = False

    @property
    def files_bytes(self) -> int:
        """Bytes of the files that a request may carry."""
        return max(1, self.request_bytes - _FORM)

    def require_small(self, path: Path, label: Path | None) -> None:
        """Raises ValueError, with a sentence, for files of an image and its label map that are too large."""
        sizes = {each: each.stat().st_size for each in (path, label) if each is not None}
        takes = "the service takes {:,}" if self.said else "a service takes {:,} unless it is set otherwise"
        for each, size in sizes.items():
            if size > self.image_bytes:
                raise ValueError(f"{each.name} holds {size:,} bytes; {takes.format(self.image_bytes)}.")
        if (whole := sum(sizes.values())) > self.files_bytes:
            raise ValueError(
                f"{' and '.join(each.name for each in sizes)} hold {whole:,} bytes; {takes.format(self.files_bytes)} at once."
            )


def limits_of(client: Client) -> Limits:
    """Those of the service."""
    try:
        said = client.call("GET", "/limits")
    except ApiError as error:
        if error.status != 404:  # a release that does not say
            raise
        return Limits()
    return Limits(**{name: int(said[name]) for name in ("image_bytes", "image_pixels", "request_bytes")}, said=True)
