"""Routes of images: they come with a split and perhaps a label map, and are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Query, Request, Response, UploadFile
from pydantic import StringConstraints

from service import access, auth
from service.content import PICTURE_RESPONSE, SENT_ELSEWHERE, unchanging
from service.deps import BlobStore, Now, Reader, ServiceSettings, Store, Writer
from service.domain.classes import ClassSet
from service.domain.image_names import LONGEST as LONGEST_NAME
from service.domain.image_names import image_name
from service.domain.label_readings import WORDS, LabelReading
from service.domain.readings import SCALES, Reading, color_of
from service.errors import Invalid
from service.head import asked_by_head
from service.image_bytes import bytes_of, signed_file
from service.references import LONGEST, require_allowed
from service.removal import require_bytes
from service.schemas.deletion import Confirm, Deleted
from service.schemas.errors import errors
from service.schemas.fields import Split
from service.schemas.images import ImageAdded, ImageOut, ImagePatch, ImagesAdded, UploadLimits, image_out
from service.schemas.paging import After, Id, Limit, Page
from service.schemas.project_settings import ProjectSettings
from service.store import deletion
from service.store import images as store
from service.store.projects import get_project
from service.uploads import HowToRead, Incoming, Referenced, Uploaded, store_uploads

GROUP = {"name": "images", "description": "Images and their splits."}
MOST_FILES = 1000  # no form that has more is read
MOST_REFERENCES = 64  # in one request, which waits until all are read
router = APIRouter(tags=[GROUP["name"]], responses=errors(403, 404))

ImageFiles = Annotated[
    list[UploadFile],
    File(
        max_length=MOST_FILES,
        description="PNG, JPEG, WebP, TIFF or BMP; several may come at once. Folders in a file's name are part of the image's. "
        "Images are turned upright as their EXIF data says.",
    ),
]
LabelFiles = Annotated[
    list[UploadFile],
    File(
        max_length=MOST_FILES,
        description="Label maps of class ids, PNG, TIFF, BMP or NPY, each named as its image but for the suffix. Not every image "
        "needs one. One that fits an image as it was before it was turned upright is turned with it.",
    ),
]
Scale = Annotated[
    str | None, Form(max_length=100, description=f"How pixels of more than 8 bits become 0 to 255: {SCALES}.")
]
Background = Annotated[
    str, Form(max_length=20, description="What shows through where images are transparent: red, green, blue.")
]
FilePage = Annotated[int | None, Form(ge=0, le=1_000, description="Of TIFFs with several pages, from 0.")]
LabelWords = Annotated[
    str, Form(max_length=4000, description=f"How label maps are read: {WORDS}, with commas between them.")
]
IntoSplit = Annotated[Split, Form(description="What the images are for; regions to label come from `pool`.")]


Urls = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]],
    Form(
        min_length=1,
        max_length=MOST_REFERENCES,
        description="URLs of image files, below those that the setting `REGIONWISE_REFERENCE_PREFIXES` allows.",
    ),
]
Names = Annotated[
    list[
        Annotated[str, StringConstraints(max_length=4 * LONGEST_NAME)]
    ],  # what becomes shorter as it is tidied may be longer
    Form(min_length=1, max_length=MOST_REFERENCES, description="What each image is called, in the order of the URLs."),
]


@dataclass(frozen=True, slots=True)
class Arriving:
    """The form of an upload, or of references."""

    images: Sequence[Incoming]
    label_maps: list[UploadFile]
    split: Split
    reading: HowToRead


def _reading(
    scale: Scale = None, background: Background = "255,255,255", page: FilePage = None, label_reading: LabelWords = ""
) -> HowToRead:
    try:
        how = Reading(scale=scale or None, background=color_of(background), page=page)
        labels = LabelReading.parse(label_reading)
    except ValueError as error:
        raise Invalid(str(error), code="bad_reading") from error
    return HowToRead(images=how, labels=labels)


def _arriving(
    image: ImageFiles,
    split: IntoSplit,
    reading: Annotated[HowToRead, Depends(_reading)],
    label_map: LabelFiles = [],  # noqa: B006 - FastAPI copies it
) -> Arriving:
    files = [Uploaded(file=each) for each in image]
    return Arriving(images=files, label_maps=label_map, split=split, reading=reading)


def _referred(
    url: Urls,
    name: Names,
    split: IntoSplit,
    reading: Annotated[HowToRead, Depends(_reading)],
    settings: ServiceSettings,
    label_map: LabelFiles = [],  # noqa: B006 - FastAPI copies it
) -> Arriving:
    if len(name) != len(url):
        raise Invalid(f"Each URL needs a name; there are {len(url)} and {len(name)}.", code="bad_name")
    for each in url:  # before any is read
        require_allowed(each, settings.reference_prefixes)
    files = [Referenced(filename=called, url=each) for called, each in zip(name, url, strict=True)]
    return Arriving(images=files, label_maps=label_map, split=split, reading=reading)


@dataclass(frozen=True, slots=True)
class _Door:
    """What takes images in, however they come."""

    database: Store
    blobs: BlobStore
    settings: ServiceSettings
    now: Now
    response: Response

    def add(self, project_id: int, form: Arriving, by: int) -> ImagesAdded:
        """Check and store all, or none."""
        # Files are checked and stored with no transaction open: on SQLite it would keep everybody else from writing.
        with self.database.read() as session:
            project = get_project(session, project_id)
            classes = ClassSet.from_json(project.classes)
            settings = ProjectSettings.model_validate(project.settings)
        arrivals = store_uploads(
            form.images,
            form.label_maps,
            split=form.split,
            classes=classes,
            blobs=self.blobs,
            settings=self.settings,
            reading=form.reading,
            cell=(settings.cell_height, settings.cell_width),
        )
        with self.database.write() as session:
            added = store.add_images(session, project_id, arrivals, self.now, by=by)
            require_bytes(self.blobs, (key for each in arrivals for key in store.keys_of(each)))
        self.response.status_code = 201 if any(each.created for each in added) else 200
        return ImagesAdded(
            items=[
                ImageAdded(status="created" if each.created else "existing", image=image_out(each.image))
                for each in added
            ]
        )


_ADDED: dict[int | str, dict[str, Any]] = {
    **errors(409, 413, 503),
    200: {"model": ImagesAdded, "description": "Every image was there already."},
}


@router.post("/projects/{id}/images", status_code=201, responses=_ADDED)
def add_images(
    id: Id,
    form: Annotated[Arriving, Depends(_arriving)],
    caller: access.ProjectAdmin,
    door: Annotated[_Door, Depends()],
) -> ImagesAdded:
    """Add images to a split, all or none. A name stands for the same bytes until it is deleted or renamed.

    The same files sent again change nothing.
    """
    return door.add(id, form, caller.id)


@router.post("/projects/{id}/images/references", status_code=201, responses=_ADDED)
def add_references(
    id: Id,
    form: Annotated[Arriving, Depends(_referred)],
    caller: access.ProjectAdmin,
    door: Annotated[_Door, Depends()],
) -> ImagesAdded:
    """Add images that stay where they are, all or none: each is fetched once, and checked as an upload is.

    Their bytes are read from there whenever they are needed, and must be the same ones: where a file has changed, or is gone,
    that is an error (`reference_changed`, `reference_lost`). TIFFs of more bytes or pixels than are decoded, and OME-Zarr, come
    as windows of about 2,048 x 2,048 pixels, each an image; they are the last items.
    """
    return door.add(id, form, caller.id)


@router.get("/limits")
async def get_limits(caller: auth.AnnotatorCaller, settings: ServiceSettings) -> UploadLimits:
    """What an upload of images may hold at most, as the service is set."""
    return UploadLimits(
        image_bytes=settings.max_image_bytes,
        image_pixels=settings.max_image_pixels,
        request_bytes=settings.max_request_bytes,
    )


@router.get("/projects/{id}/images")
def list_images(
    id: Id,
    caller: access.ProjectReviewer,
    session: Reader,
    split: Annotated[Split | None, Query(description="Only images of this split.")] = None,
    limit: Limit = 100,
    after: After = 0,
) -> Page[ImageOut]:
    """Images of a project in the order of arrival."""
    get_project(session, id)
    found = store.list_images(session, id, split=split, limit=limit + 1, after=after)
    return Page.cut([image_out(each) for each in found], limit, key=lambda each: each.id)


@router.get("/images/{id}")
def get_image(id: Id, viewer: access.ImageViewer, session: Reader) -> ImageOut:
    """What is known of an image; annotators see each as one of the pool, without a label map."""
    return image_out(store.get_image(session, id), reviews=viewer.own is None)


@router.patch("/images/{id}", responses=errors(409, 413))
def rename_image(id: Id, body: ImagePatch, caller: access.ImageAdmin, session: Writer, now: Now) -> ImageOut:
    """Give an image another name; its bytes, regions and labels stay as they are."""
    try:
        name = image_name(body.name)
    except ValueError as error:
        raise Invalid(str(error), code="bad_name", detail={"name": ascii(body.name)}) from error
    return image_out(store.rename_image(session, id, name, now, by=caller.id))


@router.delete("/images/{id}", responses=errors(409))
def delete_image(id: Id, caller: access.ImageAdmin, session: Writer, now: Now, confirm: Confirm = None) -> Deleted:
    """Delete an image with its regions and their labels, for good. Rounds keep their figures, networks what they learned."""
    return Deleted.model_validate(deletion.delete_image(session, id, confirm=confirm, now=now, by=caller.id))


@router.get(
    "/images/{id}/file", response_class=Response, responses={**PICTURE_RESPONSE, **SENT_ELSEWHERE, **errors(409, 503)}
)
def get_image_file(
    id: Id, request: Request, caller: access.ImageViewer, session: Reader, blobs: BlobStore, settings: ServiceSettings
) -> Response:
    """The file itself, as it came."""
    image = store.get_image(session, id)
    return unchanging(
        request,
        tag=image.digest,
        media_type=image.media_type,
        body=lambda: bytes_of(blobs, image, image.blob_key),
        elsewhere=lambda: signed_file(blobs, image, settings.signed_seconds, head=asked_by_head(request.scope)),
    )


@router.get("/images/{id}/seen", response_class=Response, responses={**PICTURE_RESPONSE, **errors(409, 503)})
def get_image_seen(id: Id, request: Request, caller: access.ImageViewer, session: Reader, blobs: BlobStore) -> Response:
    """What is seen of the image, and cut and learned from: upright, 8-bit; the file itself where it is just that."""
    image = store.get_image(session, id)
    if image.seen_key is None:
        return unchanging(
            request, tag=image.digest, media_type=image.media_type, body=lambda: bytes_of(blobs, image, image.blob_key)
        )
    key = image.seen_key
    return unchanging(
        request, tag=PurePosixPath(key).stem, media_type="image/png", body=lambda: bytes_of(blobs, image, key)
    )
