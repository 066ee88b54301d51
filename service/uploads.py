"""Image uploads: files and label maps are matched, checked and stored; rows come after."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fastapi import UploadFile

from service import references
from service.blobs import Blobs
from service.decoding import ROOM
from service.domain.classes import ClassSet, UnknownClassIds
from service.domain.image_names import image_name, stem_of
from service.domain.label_readings import LabelReading, read_label_map
from service.domain.masks import MaskError, encode_label_png
from service.domain.readings import Reading
from service.domain.usable import UselessImage, require_labelled_pixels, require_usable
from service.domain.windowed import MOST_WINDOWS
from service.errors import Invalid, ServiceError, TooLarge
from service.large_images import is_large, window_images
from service.pictures import SUFFIXES, Picture, PictureError, Shape, fitted, look
from service.settings import Settings
from service.store.images import NewImage


class Incoming(Protocol):
    """An image file that arrives: its bytes, or the place where it stays."""

    @property
    def filename(self) -> str | None: ...

    def read(self, name: str, most: int) -> bytes:
        """Its bytes, fetched once. Raises TooLarge for more than `most`, and Invalid where there are none."""

    def keep(self, blobs: Blobs, *, digest: str, suffix: str) -> str:
        """The key under which its bytes, of that SHA-256, are found from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A file that came with the request."""

    file: UploadFile

    @property
    def filename(self) -> str | None:
        return self.file.filename

    def read(self, name: str, most: int) -> bytes:
        if (self.file.size or 0) > most:
            raise TooLarge(f"{name}: It holds {self.file.size:,} bytes; {most:,} is the limit.", detail={"name": name})
        return self._bytes()

    def keep(self, blobs: Blobs, *, digest: str, suffix: str) -> str:
        return blobs.put_content("images", self._bytes(), suffix)

    def _bytes(self) -> bytes:
        self.file.file.seek(0)
        return self.file.file.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class Referenced:
    """A file that stays at its URL, one that is allowed."""

    filename: str
    url: str

    def read(self, name: str, most: int) -> bytes:
        return references.fetch(self.url, most)

    def keep(self, blobs: Blobs, *, digest: str, suffix: str) -> str:
        return references.key_of(self.url, digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToRead:
    """What is said of the files of an upload."""

    images: Reading = field(default_factory=Reading)
    labels: LabelReading = field(default_factory=LabelReading)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """An image file that may be stored; `label_png` is its label map, encoded again."""

    name: str
    file: Incoming
    digest: str
    picture: Picture
    seen_key: str | None
    label_png: bytes | None


def store_uploads(
    files: Sequence[Incoming],
    label_maps: Sequence[UploadFile],
    *,
    split: str,
    classes: ClassSet,
    blobs: Blobs,
    settings: Settings,
    reading: HowToRead,
    cell: tuple[int, int],
) -> list[NewImage]:
    """Check every file, then store every file; what is returned still needs its rows.

    What is too large to be decoded, and stays where it is, comes as windows of whole regions, which are (height, width) `cell`.

    Raises Invalid or TooLarge, naming the file, before anything is stored.
    """
    labels, checked, windows = _by_stem(label_maps), list[_Checked](), list[NewImage]()
    for file in files:
        if isinstance(file, Referenced) and is_large(file.url, settings):
            windows += _windows(file, split, reading, cell)
            if len(windows) > MOST_WINDOWS:
                raise TooLarge(f"These images are more than {MOST_WINDOWS:,} windows together: send fewer at a time.")
        else:
            checked.append(_check(file, labels, classes, settings, reading, blobs, split))
    _check_names(checked, labels)
    return [*(_store(each, split, blobs) for each in checked), *windows]


def _windows(file: Referenced, split: str, reading: HowToRead, cell: tuple[int, int]) -> list[NewImage]:
    name = file_name(file.filename)
    try:
        return window_images(name, file.url, split, reading.images, cell)
    except (PictureError, UselessImage) as error:
        raise refused(name, error.code, error.message) from error
    except ValueError as error:
        raise Invalid(str(error), code="bad_name", detail={"name": ascii(name)}) from error


def _check(
    file: Incoming,
    labels: Mapping[str, UploadFile],
    classes: ClassSet,
    settings: Settings,
    reading: HowToRead,
    blobs: Blobs,
    split: str,
) -> _Checked:
    name = file_name(file.filename)
    data = file.read(name, settings.max_image_bytes)
    try:
        picture = look(data, max_pixels=settings.max_image_pixels, reading=reading.images)
    except PictureError as error:
        raise refused(name, error.code, error.message) from error
    label = labels.get(stem_of(name))
    try:
        require_usable(picture.shape.height, picture.shape.width, split, labelled=label is not None)
    except UselessImage as error:
        raise refused(name, error.code, error.message) from error
    label_png = None if label is None else _checked_label(label, picture, classes, settings, reading.labels)
    # Put away at once: what is seen of a large upload would not fit the memory. If a later file is refused nobody refers to it.
    seen_key = None if picture.png is None else blobs.put_content("seen", picture.png, ".png")
    return _Checked(
        name=name,
        file=file,
        digest=hashlib.sha256(data).hexdigest(),
        picture=replace(picture, png=None),
        seen_key=seen_key,
        label_png=label_png,
    )


def _checked_label(
    file: UploadFile, picture: Picture, classes: ClassSet, settings: Settings, reading: LabelReading
) -> bytes:
    name = f"label map {file_name(file.filename)}"
    data = Uploaded(file=file).read(name, settings.max_image_bytes)
    try:
        return label_png(data, picture.shape, classes, max_pixels=settings.max_image_pixels, reading=reading)
    except (MaskError, UselessImage) as error:
        raise refused(name, error.code, error.message) from error
    except UnknownClassIds as error:
        raise Invalid(f"{name}: {error}", code="unknown_class_ids", detail={"name": name, "ids": error.ids}) from error


def label_png(data: bytes, shape: Shape, classes: ClassSet, *, max_pixels: int, reading: LabelReading) -> bytes:
    """The label map of a picture as it is stored, upright, an 8-bit PNG of class ids.

    Raises MaskError for what is no label map or of another size, UselessImage for one of ignored pixels alone, UnknownClassIds.
    """
    with ROOM.room(shape.height * shape.width):
        label_map_HW = fitted(read_label_map(data, classes, max_pixels=max_pixels, reading=reading), shape)
        require_labelled_pixels(classes.to_indices(label_map_HW))
        return encode_label_png(label_map_HW, classes.palette())


def _store(checked: _Checked, split: str, blobs: Blobs) -> NewImage:
    picture, suffix = checked.picture, SUFFIXES[checked.picture.media_type]
    label_key = None if checked.label_png is None else blobs.put_content("labels", checked.label_png, ".png")
    return NewImage(
        name=checked.name,
        split=split,
        height=picture.shape.height,
        width=picture.shape.width,
        media_type=picture.media_type,
        digest=checked.digest,
        blob_key=checked.file.keep(blobs, digest=checked.digest, suffix=suffix),
        seen_key=checked.seen_key,
        reading=picture.reading or None,
        label_key=label_key,
    )


def _by_stem(label_maps: Sequence[UploadFile]) -> dict[str, UploadFile]:
    labels: dict[str, UploadFile] = {}
    for file in label_maps:
        stem = stem_of(file_name(file.filename))
        if stem in labels:
            raise Invalid(f"Two label maps are called {stem}.", code="duplicate_name", detail={"name": stem})
        labels[stem] = file
    return labels


def _check_names(checked: Sequence[_Checked], labels: Mapping[str, UploadFile]) -> None:
    seen: set[str] = set()
    for name in (each.name for each in checked):
        # A label map belongs to one image: with label maps, stems must differ, otherwise names.
        key = stem_of(name) if labels else name
        if key in seen:
            raise Invalid(f"Two images are called {key}.", code="duplicate_name", detail={"name": key})
        seen.add(key)
    left = sorted(labels.keys() - seen)
    if left:
        sentence = f"No image came with the label map {left[0]}; it needs the name of its image, but for the suffix."
        raise Invalid(sentence, code="stray_label_map", detail={"names": left[:100]})


def file_name(filename: str | None) -> str:
    """What a file is called. Raises Invalid for what is no name."""
    try:
        return image_name(filename or "")
    except ValueError as error:
        raise Invalid(str(error), code="bad_name", detail={"name": ascii(filename)}) from error


def refused(name: str, code: str, message: str) -> ServiceError:
    """The error for a file that cannot be taken."""
    kind = TooLarge if code == "too_large" else Invalid
    return kind(f"{name}: {message}", code=code, detail={"name": name})
