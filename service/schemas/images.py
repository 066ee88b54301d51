"""Images over the wire."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.domain.image_names import LONGEST
from service.schemas.fields import Input, Moment
from service.tables import Image


class ImageOut(BaseModel):
    """An image of a project."""

    id: int = Field(description="The image's number.", examples=[12])
    project_id: int = Field(description="The project's number.", examples=[1])
    name: str = Field(
        description="The name of the uploaded file; one of a kind in the project.", examples=["0016E5_00390.png"]
    )
    split: str = Field(description="state, train, reward, pool or test.", examples=["pool"])
    width: int = Field(description="Pixels.", examples=[480])
    height: int = Field(description="Pixels.", examples=[360])
    media_type: str = Field(description="Of the file.", examples=["image/png"])
    sha256: str = Field(description="Of the file's bytes, in hex.", examples=["9f86d081884c7d65..."])
    reading: dict[str, Any] = Field(
        description="What was done to the file to get what is seen: `orientation` (EXIF), `scale`, `background`, `page`; empty: "
        "nothing.",
        examples=[{"orientation": 6}],
    )
    has_label_map: bool = Field(description="Whether it came with a label map.")
    url: str = Field(description="Path of the file.", examples=["/images/12/file"])
    created_at: Moment = Field(description="When it came.")


class UploadLimits(BaseModel):
    """What an upload of images may hold at most."""

    image_bytes: int = Field(description="Bytes of a file, an image or a label map.", examples=[67108864])
    image_pixels: int = Field(description="Pixels of an image.", examples=[64000000])
    request_bytes: int = Field(description="Bytes of a request, all its files together.", examples=[536870912])


class ImagePatch(Input):
    """What is to change of an image."""

    name: str = Field(
        min_length=1,
        max_length=LONGEST,
        description="Another name, unlike that of every other image of the project; folders are part of it.",
        examples=["night/0016E5_00390.png"],
    )


class ImageAdded(BaseModel):
    """What became of one uploaded file."""

    status: Literal["created", "existing"] = Field(description="existing: it was there already, with the same bytes.")
    image: ImageOut = Field(description="The image.")


class ImagesAdded(BaseModel):
    """What became of an upload, in the order of the files."""

    items: list[ImageAdded] = Field(description="One for each file.")


def image_out(image: Image, *, reviews: bool = True) -> ImageOut:
    """An image as the API shows it; who does not review the project sees any that they label a region of as one of the pool."""
    return ImageOut(
        id=image.id,
        project_id=image.project_id,
        name=image.name,
        split=image.split if reviews else "pool",
        width=image.width,
        height=image.height,
        media_type=image.media_type,
        sha256=image.digest,
        reading=image.reading or {},
        has_label_map=reviews and image.label_key is not None,
        url=image_url(image.id),
        created_at=image.created_at,
    )


def image_url(image_id: int) -> str:
    """The path of an image's file."""
    return f"/images/{image_id}/file"
