"""Owns the pixel maps of images that are classified band by band: of whole images, or of what regions still wait for.

Shapes: B images, C classes, H x W pixels, h rows of some of them, R regions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.inference import evaluating
from models.influence import Influence
from models.pooling import BoxMeans
from models.segmenter import Band, Segmenter
from models.uncertainty import bald_map, pixel_maps

BandMaps = Iterable[tuple[Band, dict[str, Tensor]]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """What is held of one image's maps, (1, h, W) by name, once the band of `rows` has come: its last rows are the band's.

    Of the image's boxes those at `complete` lie in it and had not before; `boxes_n4` are theirs, in rows of the window.
    """

    maps_1hW: Mapping[str, Tensor]
    rows: slice
    complete: Tensor
    boxes_n4: Tensor


def band_maps(
    segmenter: Segmenter,
    seen: Tensor,
    size: tuple[int, int],
    names: set[str],
    means: Mapping[str, BoxMeans],
    influence: Influence | None,
    generator: torch.Generator | None,
    boxes: Sequence[Tensor] = (),
) -> BandMaps:
    """Each band's pixel maps, (B, h, W) by name; of maps with many channels only the means that are asked for.

    BALD, which takes many passes, is 0 outside each image's boxes, (n, 4) rows of (row, col, height, width).
    """
    wanted = names - {"bald"} | ({"mass"} if "class_mass" in means else set())
    with evaluating(segmenter):
        for band in segmenter.bands(seen.to(next(segmenter.parameters()).device), size):
            of_band = pixel_maps(segmenter.band_logits(band), wanted)
            if "bald" in names and generator is not None:
                asked = [_pixels_of(of_image, band) for of_image in boxes[band.images]]
                bald = bald_map(segmenter, band.features_BFhw, band.size, generator=generator, asked=asked)
                of_band["bald"] = bald[:, band.above :]
            if "class_mass" in means:
                means["class_mass"].add(band.images, band.rows.start, of_band.pop("mass"))
            if "embedding" in means:
                take_features(means["embedding"], band, segmenter.stride)
            if "influence" in means and influence is not None:
                expected_B2hw = influence.expected_maps(segmenter, band.features_BFhw[:, :, band.own])
                means["influence"].add(band.images, band.rows.start // segmenter.stride, expected_B2hw)
            yield band, of_band


def _pixels_of(boxes_n4: Tensor, band: Band) -> Tensor:
    """Indices of the pixels of an image's boxes among those that a band's features classify."""
    asked_hW = torch.zeros(band.size, dtype=torch.bool)
    first = band.rows.start - band.above
    for row, col, height, width in boxes_n4.tolist():
        asked_hW[max(0, row - first) : max(0, row + height - first), max(0, col) : max(0, col + width)] = True
    return asked_hW.flatten().nonzero()[:, 0].to(band.features_BFhw.device)


def take_features(means: BoxMeans, band: Band, stride: int) -> None:
    """Take a band's own features in."""
    means.add(band.images, band.rows.start // stride, band.features_BFhw[:, :, band.own])


def whole_maps(bands: BandMaps, count: int, size: tuple[int, int]) -> dict[str, Tensor]:
    """The maps of `count` whole images of `size`, (B, H, W) by name."""
    maps: dict[str, Tensor] = {}
    for band, of_band in bands:
        for name, map_BhW in of_band.items():
            whole = maps.setdefault(name, map_BhW.new_empty(count, *size))
            whole[band.images, band.rows] = map_BhW
    return maps


def windows(bands: BandMaps, boxes_R4: Tensor) -> Iterator[Window]:
    """One image's maps as its bands come, from the top; rows that no box still waits for are held no longer.

    What is held is as high as a band and the highest box together. Boxes of (row, col, height, width) lie in the image.
    """
    waiting = torch.ones(len(boxes_R4), dtype=torch.bool)
    tops_R, ends_R = boxes_R4[:, 0], boxes_R4[:, 0] + boxes_R4[:, 2]
    held: dict[str, Tensor] = {}
    first = 0
    for band, of_band in bands:
        held = {
            name: torch.cat([held[name], map_1hW], 1) if held else map_1hW.contiguous()
            for name, map_1hW in of_band.items()
        }
        complete = (waiting & (ends_R <= band.rows.stop)).nonzero()[:, 0]
        boxes_n4 = boxes_R4[complete] - torch.tensor([first, 0, 0, 0])
        yield Window(maps_1hW=held, rows=band.rows, complete=complete, boxes_n4=boxes_n4)
        waiting[complete] = False
        kept = min(int(tops_R[waiting].min()) if bool(waiting.any()) else band.rows.stop, band.rows.stop)
        if kept > first:
            held = {name: map_1hW[:, kept - first :] for name, map_1hW in held.items()}
            first = kept
