"""What a segmenter says of regions that are to be labelled: the label map to start from, and hints beside it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.hints import RegionFeatures, RegionHints, region_features, region_hints
from models.segmenter import Segmenter
from service.domain.masks import encode_label_png
from service.store.predictions import NewHints, OpenRegion
from workers.jobs.project import ProjectData, ProjectImages
from workers.training.convergence import device_of
from workers.training.looking import seen

Places = Mapping[int, tuple[int, int]]
"""Regions by a number of theirs: the image's number in its split, and the cell."""

_TOLD = 4
"""Of a region so many classes are told, the most predicted first."""
_LEAST_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Of regions, by their numbers: label maps as 8-bit PNGs of class ids, and hints."""

    maps: Mapping[int, bytes] = field(default_factory=dict)
    hints: Mapping[int, NewHints] = field(default_factory=dict)

    def __or__(self, other: "Predicted") -> "Predicted":
        return Predicted(maps={**self.maps, **other.maps}, hints={**self.hints, **other.hints})


def places_of(images: ProjectImages, regions: Iterable[OpenRegion]) -> Places:
    """Where regions are, by their ids."""
    return {each.id: (images.number(each.group_id, each.ordinal), each.cell) for each in regions}


def predicted(
    project: ProjectData,
    segmenter: Segmenter,
    images: ProjectImages,
    places: Places,
    labelled_counts_C: NDArray[np.int64] | None = None,
) -> Predicted:
    """What the segmenter says of regions; `labelled_counts_C` are the pixels of each class that are labelled by now."""
    by_image: dict[int, list[int]] = defaultdict(list)
    for number, (image, _) in places.items():
        by_image[image].append(number)
    images.expect(list(by_image))
    maps, hints, palette = {}, {}, project.classes.palette()
    for image, numbers in by_image.items():
        size = images.size(image)
        grid, looked = project.grid(*size), seen(segmenter, images, [image], device_of(segmenter))
        boxes_R4 = torch.from_numpy(grid.boxes([places[number][1] for number in numbers]))
        found = region_hints(segmenter, looked, size, boxes_R4, torch.from_numpy(grid.boxes(grid.cells)))
        features = region_features(segmenter, looked, boxes_R4)
        for number, hint, of_encoder in zip(numbers, found, features, strict=True):
            maps[number] = encode_label_png(project.classes.to_ids(hint.label_map_hw.numpy()), palette)
            hints[number] = _hints(project, hint, of_encoder, labelled_counts_C)
    return Predicted(maps=maps, hints=hints)


def _hints(
    project: ProjectData, hint: RegionHints, features: RegionFeatures | None, counts_C: NDArray[np.int64] | None
) -> NewHints:
    described: dict[str, Any] = {
        "uncertainty": round(hint.uncertainty, 4),
        "above": round(hint.above, 4),
        "classes": _classes(project.classes.ids, hint.classes_C.tolist(), counts_C),
    }
    if features is not None:
        channels = len(features.features_Dnm)
        described["features"] = {
            "channels": channels,
            "stride": features.stride,
            "top": features.top,
            "left": features.left,
        }
    return NewHints(
        uncertainty=encode_label_png(hint.uncertainty_hw.numpy()),
        features=None if features is None else encode_label_png(features.features_Dnm.flatten(0, 1).numpy()),
        described=described,
    )


def _classes(
    ids: Sequence[int], shares: Sequence[float], counts_C: NDArray[np.int64] | None
) -> list[dict[str, float | int | None]]:
    """The most predicted classes: their id, their share of the region, and of what is labelled by now, where that is known."""
    labelled = None if counts_C is None or not counts_C.sum() else counts_C / counts_C.sum()
    most = sorted(range(len(ids)), key=lambda index: -shares[index])[:_TOLD]
    return [
        {
            "id": ids[index],
            "predicted": round(shares[index], 4),
            "labelled": None if labelled is None else round(float(labelled[index]), 6),
        }
        for index in most
        if shares[index] >= _LEAST_SHARE
    ]
