"""Image uploads: files and label maps are matched, checked and stored; rows come after."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from fastapi import UploadFile

from service.blobs import Blobs
from service.domain.classes import ClassSet, UnknownClassIds
from service.domain.image_names import image_name
from service.domain.label_readings import LabelReading, read_label_map
from service.domain.masks import MaskError, encode_label_png
from service.domain.readings import Reading
from service.errors import Invalid, ServiceError, TooLarge
from service.pictures import Picture, PictureError, Shape, look, turned_upright
from service.settings import Settings
from service.store.images import NewImage

_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToRead:
    """What is said of the files of an upload."""

    images: Reading = field(default_factory=Reading)
    labels: LabelReading = field(default_factory=LabelReading)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """An image file that may be stored; `label_png` is its label map, encoded again."""

    name: str
    file: UploadFile
    picture: Picture
    seen_key: str | None
    label_png: bytes | None


def store_uploads(
    files: Sequence[UploadFile],
    label_maps: Sequence[UploadFile],
    *,
    split: str,
    classes: ClassSet,
    blobs: Blobs,
    settings: Settings,
    reading: HowToRead,
) -> list[NewImage]:
    """Check every file, then store every file; what is returned still needs its rows.

    Raises Invalid or TooLarge, naming the file, before anything is stored.
    """
    labels = _by_stem(label_maps)
    checked = [_check(file, labels, classes, settings, reading, blobs) for file in files]
    _check_names(checked, labels)
    return [_store(each, split, blobs) for each in checked]


def _check(
    file: UploadFile,
    labels: Mapping[str, UploadFile],
    classes: ClassSet,
    settings: Settings,
    reading: HowToRead,
    blobs: Blobs,
) -> _Checked:
    name = file_name(file)
    data = read_file(file, name, settings)
    try:
        picture = look(data, max_pixels=settings.max_image_pixels, reading=reading.images)
    except PictureError as error:
        raise refused(name, error.code, error.message) from error
    label = labels.get(_stem(name))
    label_png = None if label is None else _checked_label(label, picture, classes, settings, reading.labels)
    # Put away at once: what is seen of a large upload would not fit the memory. If a later file is refused nobody refers to it.
    seen_key = None if picture.png is None else blobs.put_content("seen", picture.png, ".png")
    return _Checked(name=name, file=file, picture=replace(picture, png=None), seen_key=seen_key, label_png=label_png)


def _checked_label(
    file: UploadFile, picture: Picture, classes: ClassSet, settings: Settings, reading: LabelReading
) -> bytes:
    name = f"label map {file_name(file)}"
    data = read_file(file, name, settings)
    try:
        return label_png(data, picture.shape, classes, max_pixels=settings.max_image_pixels, reading=reading)
    except MaskError as error:
        raise refused(name, error.code, error.message) from error
    except UnknownClassIds as error:
        raise Invalid(f"{name}: {error}", code="unknown_class_ids", detail={"name": name, "ids": error.ids}) from error


def label_png(data: bytes, shape: Shape, classes: ClassSet, *, max_pixels: int, reading: LabelReading) -> bytes:
    """The label map of a picture as it is stored, upright, an 8-bit PNG of class ids.

    Raises MaskError for what is no label map or of another size, UnknownClassIds.
    """
    label_map_HW = turned_upright(read_label_map(data, classes, max_pixels=max_pixels, reading=reading), shape)
    if label_map_HW.shape != (shape.height, shape.width):
        found, wanted = (f"{h} high and {w} wide" for h, w in (label_map_HW.shape, (shape.height, shape.width)))
        raise MaskError("wrong_size", f"The label map is {found}; {wanted} is expected.")
    classes.to_indices(label_map_HW)
    return encode_label_png(label_map_HW, classes.palette())


def _store(checked: _Checked, split: str, blobs: Blobs) -> NewImage:
    data, picture = _bytes(checked.file), checked.picture
    label_key = None if checked.label_png is None else blobs.put_content("labels", checked.label_png, ".png")
    return NewImage(
        name=checked.name,
        split=split,
        height=picture.shape.height,
        width=picture.shape.width,
        media_type=picture.media_type,
        digest=hashlib.sha256(data).hexdigest(),
        blob_key=blobs.put_content("images", data, _SUFFIXES[picture.media_type]),
        seen_key=checked.seen_key,
        reading=picture.reading or None,
        label_key=label_key,
    )


def _by_stem(label_maps: Sequence[UploadFile]) -> dict[str, UploadFile]:
    labels: dict[str, UploadFile] = {}
    for file in label_maps:
        stem = _stem(file_name(file))
        if stem in labels:
            raise Invalid(f"Two label maps are called {stem}.", code="duplicate_name", detail={"name": stem})
        labels[stem] = file
    return labels


def _check_names(checked: Sequence[_Checked], labels: Mapping[str, UploadFile]) -> None:
    seen: set[str] = set()
    for name in (each.name for each in checked):
        # A label map belongs to one image: with label maps, stems must differ, otherwise names.
        key = _stem(name) if labels else name
        if key in seen:
            raise Invalid(f"Two images are called {key}.", code="duplicate_name", detail={"name": key})
        seen.add(key)
    left = sorted(labels.keys() - seen)
    if left:
        sentence = f"No image came with the label map {left[0]}; it needs the name of its image, but for the suffix."
        raise Invalid(sentence, code="stray_label_map", detail={"names": left[:100]})


def file_name(file: UploadFile) -> str:
    """What a file is called. Raises Invalid for what is no name."""
    try:
        return image_name(file.filename or "")
    except ValueError as error:
        raise Invalid(str(error), code="bad_name", detail={"name": ascii(file.filename)}) from error


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def read_file(file: UploadFile, name: str, settings: Settings) -> bytes:
    """The bytes of a file. Raises TooLarge."""
    if (file.size or 0) > settings.max_image_bytes:
        sentence = f"{name}: It holds {file.size:,} bytes; {settings.max_image_bytes:,} is the limit."
        raise TooLarge(sentence, detail={"name": name})
    return _bytes(file)


def _bytes(file: UploadFile) -> bytes:
    file.file.seek(0)
    return file.file.read()


def refused(name: str, code: str, message: str) -> ServiceError:
    """The error for a file that cannot be taken."""
    kind = TooLarge if code == "too_large" else Invalid
    return kind(f"{name}: {message}", code=code, detail={"name": name})
