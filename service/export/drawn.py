"""One image of an export: its labels and predictions drawn into label maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.domain.classes import ClassSet, LabelMap
from service.domain.masks import Mask, decode_label_png
from service.store.export import ExportedRegion, PredictedRegion
from service.tables import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A label map of class ids (height x width, uint8), and where it is `covered`; the ignore id elsewhere."""

    label_map_HW: LabelMap
    covered_HW: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An image, `stem`, its name in the archive without suffix, and what is labelled and predicted of it."""

    image: Image
    stem: str
    regions: Sequence[ExportedRegion]
    predicted: Sequence[PredictedRegion]
    labels: Layer
    predictions: Layer


def draw_image(
    image: Image,
    stem: str,
    regions: Sequence[ExportedRegion],
    predicted: Sequence[PredictedRegion],
    *,
    classes: ClassSet,
) -> Drawn:
    """Decode the masks of the regions into label maps of the image's size, in the ids of these classes."""
    return Drawn(
        image=image,
        stem=stem,
        regions=regions,
        predicted=predicted,
        labels=_layer(image, regions, classes),
        predictions=_layer(image, predicted, classes),
    )


def _layer(image: Image, regions: Sequence[ExportedRegion | PredictedRegion], classes: ClassSet) -> Layer:
    label_map_HW = np.full((image.height, image.width), classes.ignore_id, np.uint8)
    covered_HW = np.zeros(label_map_HW.shape, np.bool_)
    for region in regions:
        box = region.box
        kept_HW = decode_label_png(region.mask, height=box.height, width=box.width)
        label_map_HW[box.slices] = classes.in_todays_ids(kept_HW)
        covered_HW[box.slices] = True
    return Layer(label_map_HW=label_map_HW, covered_HW=covered_HW)
