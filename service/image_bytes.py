"""The bytes of an image, or an error that names the image whose bytes are gone; and where else they may be read."""

from service.blobs import BlobMissing, Blobs
from service.errors import Unavailable
from service.tables import Image


def bytes_of(blobs: Blobs, image: Image, key: str) -> bytes:
    """The bytes under `key`, one of the image's. Raises Unavailable where there are none, and what references raise."""
    try:
        return blobs.get(key)
    except BlobMissing as error:
        raise Unavailable(
            f"The bytes of the image {image.name} (image {image.id}) are not where the service keeps them: have an operator "
            f"bring {key} back from the backup.",
            code="blob_missing",
            detail={"image_id": image.id, "name": image.name, "key": key},
        ) from error


def signed_file(blobs: Blobs, image: Image, seconds: int, *, head: bool) -> str | None:
    """An address of the image's file that holds for so many seconds; None for 0, and where the blobs have no such addresses."""
    return blobs.signed(image.blob_key, seconds, media_type=image.media_type, head=head) if seconds else None
