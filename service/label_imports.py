"""Label maps of whole images, labelled in parts: matched with images of the pool, decoded, and cut into regions to be stored."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from fastapi import UploadFile
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.decoding import ROOM
from service.domain.classes import ClassSet, LabelMap, UnknownClassIds
from service.domain.covered import blocked_by, covered_regions, overlapping, region_of_box
from service.domain.image_names import stem_of
from service.domain.label_forms import stored_form
from service.domain.label_readings import LabelReading, read_label_map
from service.domain.masks import Mask, MaskError
from service.domain.regions import Box, Grid
from service.errors import Invalid, TooLarge
from service.json_values import most_values
from service.schemas.label_imports import ImportedImage, ImportedRegion, LabelsImported, OriginIn, OriginsIn
from service.schemas.project_settings import ProjectSettings
from service.settings import Settings
from service.store.budget import grid_of
from service.store.label_imports import ImageLabels, Imported, RegionLabel
from service.tables import Image
from service.uploads import Uploaded, file_name, refused

Void = Literal["labelled", "unlabelled"]
MAX_REGIONS = 50_000
_MOST_ORIGINS = 16 << 20
_MOST_ORIGIN_VALUES = 1_000_000
_LOWER = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_SUFFIXES = (*_LOWER, *(each.upper() for each in _LOWER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A label map, the mask of its labelled pixels, if one came, and the image that both are of. `name`: as they are called."""

    name: str
    label_map: UploadFile
    labelled: UploadFile | None
    image: Image


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToCut:
    """What it takes to make regions' labels of a label map; `origins` by the name of a label map. `void`: without a mask."""

    classes: ClassSet
    settings: ProjectSettings
    limits: Settings
    reading: LabelReading
    void: Void = "labelled"
    origins: Mapping[str, Sequence[OriginIn]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The regions that a label map labels as a whole, those that it labels in part, and those that have a pixel of no class."""

    labels: ImageLabels
    partly: int
    empty: int


def matched(
    session: Session, project_id: int, label_maps: Sequence[UploadFile], masks: Sequence[UploadFile]
) -> list[Sent]:
    """Label maps with their images. Raises Invalid for a name that no image of the pool has, or that several have."""
    named = _by_name(label_maps, "label maps")
    masks_by_name = _by_name(masks, "masks")
    images = _images(session, project_id, list(named))
    by_stem = {stem_of(name): name for name in masks_by_name if name not in named}
    sent, used, taken = [], set[str](), dict[int, str]()
    for name, file in named.items():
        image = _image(images, name)
        if image.id in taken:
            raise _unfit(f"Two label maps are of the image {image.name}: {taken[image.id]} and {name}.", name)
        taken[image.id] = name
        mask = name if name in masks_by_name else by_stem.get(stem_of(name))
        used |= {mask} if mask else set()
        sent.append(Sent(name=name, label_map=file, labelled=masks_by_name.get(mask or ""), image=image))
    left = sorted(masks_by_name.keys() - used)
    if left:
        raise _unfit(f"No label map came with the mask {left[0]}; it needs the name of its label map.", left[0])
    return sent


def cut(sent: Sent, how: HowToCut, known: frozenset[int]) -> Cut:
    """What a label map says of regions; those `known` by their numbers are not divided otherwise.

    Raises Invalid or TooLarge, naming the file.
    """
    with ROOM.room(sent.image.height * sent.image.width):
        label_map_HW, labelled_HW = _decoded(sent, how)
    grid = grid_of(sent.image.height, sent.image.width, how.settings)
    origins = _origins(grid, how.origins.get(sent.name, ()))
    hints = set(origins) - overlapping(origins, known, grid.levels)
    found = covered_regions(grid, labelled_HW, known | hints)
    if len(found.regions) > MAX_REGIONS:
        raise TooLarge(f"{sent.name}: {len(found.regions):,} regions are labelled; {MAX_REGIONS:,} is the limit.")
    labels, empty = list[RegionLabel](), 0
    for region in found.regions:
        box = grid.box(region)
        ids_HW = np.ascontiguousarray(label_map_HW[box.slices])
        png, digest, counts = stored_form(ids_HW, how.classes.to_indices(ids_HW), how.classes)
        if sent.labelled is None and not any(counts):
            empty += 1
            continue
        origin = origins[region].model_dump(exclude_none=True) if region in origins else {}
        labels.append(RegionLabel(cell=region, box=box, mask=png, digest=digest, class_counts=counts, origin=origin))
    whole = ImageLabels(image=sent.image, known=known, labels=labels)
    return Cut(labels=whole, partly=found.partly, empty=empty)


def origins_of(file: UploadFile | None) -> OriginsIn:
    """What is told of where labels come from. Raises Invalid, TooLarge."""
    if file is None:
        return OriginsIn()
    if (file.size or 0) > _MOST_ORIGINS:
        raise TooLarge(f"origins holds {file.size or 0:,} bytes; {_MOST_ORIGINS:,} is the limit.")
    document = file.file.read()
    if most_values(document) > _MOST_ORIGIN_VALUES:
        raise TooLarge(f"origins holds more than {_MOST_ORIGIN_VALUES:,} values: send fewer label maps at a time.")
    try:
        return OriginsIn.model_validate_json(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise Invalid(
            f"origins is not what it should be, at {place[:200]!a}: {first['msg']}.", code="bad_origins"
        ) from error


def labels_imported(cuts: Sequence[Cut], imported: Imported) -> LabelsImported:
    """What became of label maps as the API shows it."""
    by_image: dict[int, list[ImportedRegion]] = defaultdict(list)
    for each in imported.outcomes:
        by_image[each.image_id].append(
            ImportedRegion(region_id=each.region_id, status=each.status, version=each.version)
        )
    items = [
        ImportedImage(
            image_id=each.labels.image.id,
            name=each.labels.image.name,
            regions=by_image[each.labels.image.id],
            partly=each.partly,
            empty=each.empty,
        )
        for each in cuts
    ]
    return LabelsImported(round=imported.round_number, items=items)


def _origins(grid: Grid, given: Sequence[OriginIn]) -> dict[int, OriginIn]:
    """By region; what has other pixels than any of the grid's is no help, and left out."""
    found: dict[int, OriginIn] = {}
    blocked = set[int]()
    for each in given:
        if not each.width or not each.height:
            continue
        region = region_of_box(grid, Box(row=each.y, col=each.x, height=each.height, width=each.width))
        if region is not None and region not in blocked:
            found[region] = each
            blocked |= blocked_by([region], grid.levels)
    return found


def _decoded(sent: Sent, how: HowToCut) -> tuple[LabelMap, Mask]:
    """The label map in class ids, checked, the ignore id where nothing is labelled; and where something is."""
    name, most, shape = f"label map {sent.name}", how.limits.max_image_pixels, (sent.image.height, sent.image.width)
    try:
        data = Uploaded(file=sent.label_map).read(name, how.limits.max_image_bytes)
        label_map_HW = read_label_map(data, how.classes, max_pixels=most, reading=how.reading)
        _require_size(label_map_HW, shape)
        if sent.labelled is None:
            # Unknown ids are refused as such.
            how.classes.to_indices(label_map_HW)
            label_map_HW = how.classes.in_todays_ids(label_map_HW)
            void_HW = label_map_HW == how.classes.ignore_id
            return label_map_HW, ~void_HW if how.void == "unlabelled" else np.ones_like(void_HW)
        name = f"mask {sent.name}"
        mask = read_label_map(
            Uploaded(file=sent.labelled).read(name, how.limits.max_image_bytes), how.classes, max_pixels=most
        )
        _require_size(mask, shape)
        name, labelled_HW = f"label map {sent.name}", mask != 0
        label_map_HW = np.where(labelled_HW, label_map_HW, np.uint8(how.classes.ignore_id))
        how.classes.to_indices(label_map_HW)
        return label_map_HW, labelled_HW
    except MaskError as error:
        raise refused(name, error.code, error.message) from error
    except UnknownClassIds as error:
        raise Invalid(f"{name}: {error}", code="unknown_class_ids", detail={"name": name, "ids": error.ids}) from error


def _require_size(pixels_HW: LabelMap, shape: tuple[int, int]) -> None:
    if pixels_HW.shape != shape:
        found, wanted = (f"{height} high and {width} wide" for height, width in (pixels_HW.shape, shape))
        raise MaskError("wrong_size", f"It is {found}; what is seen of its image is {wanted}.")


def _images(session: Session, project_id: int, names: Sequence[str]) -> dict[str, Image]:
    """The images that names may stand for."""
    wanted = sorted({*names, *(f"{stem_of(name)}{suffix}" for name in names for suffix in _SUFFIXES)})
    found: dict[str, Image] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        images = session.scalars(select(Image).where(Image.project_id == project_id, Image.name.in_(part)))
        found.update((image.name, image) for image in images)
    return found


def _image(images: Mapping[str, Image], name: str) -> Image:
    same = [image for suffix in _SUFFIXES if (image := images.get(f"{stem_of(name)}{suffix}")) is not None]
    found = [images[name]] if name in images else same
    if not found:
        raise _unfit(f"The project has no image {name}; a label map needs the name of its image.", name)
    if len(found) > 1:
        listed = " or ".join(image.name for image in found)
        raise _unfit(f"The label map {name} may be of {listed}: call it just that.", name)
    if found[0].split != "pool":
        sentence = f"{found[0].name} is of the split {found[0].split}, whose label maps come with the images."
        raise _unfit(sentence, name)
    return found[0]


def _by_name(files: Sequence[UploadFile], what: str) -> dict[str, UploadFile]:
    named: dict[str, UploadFile] = {}
    for file in files:
        name = file_name(file.filename)
        if name in named:
            raise Invalid(f"Two {what} are called {name}.", code="duplicate_name", detail={"name": name})
        named[name] = file
    return named


def _unfit(sentence: str, name: str) -> Invalid:
    return Invalid(sentence, code="label_map_unmatched", detail={"name": name})
