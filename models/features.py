"""Owns the state and action rows: what the query network and the strategies know of a region.

Shape suffixes: B images, C classes, H x W pixels of an image, R regions of h x w pixels, U = 192 pooled uncertainties,
F = C + U features of a state row, A = F + 64 of an action row; S state regions, M candidates, L labelled regions;
E channels of the decoder's features.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from models.band_maps import BandMaps, band_maps, take_features, whole_maps, windows
from models.cutting import check_boxes, crops_of, pieces_of_one_size
from models.frozen import FrozenSegmenter
from models.inference import evaluating, on_one_thread, spread
from models.influence import Influence
from models.near import means_in_windows
from models.pooling import GRID, BoxMeans, class_histograms, feature_boxes, grid_pooled
from models.segmenter import Segmenter
from models.similarity import kl_histogram

UNCERTAINTY = 3 * GRID * GRID

# A region's statistic is the sum or the mean of a pixel map over it. Sums favour large regions, as the baselines do.
STATISTICS: dict[str, tuple[str, Callable[[Tensor], Tensor]]] = {
    "entropy_sum": ("entropy", lambda crops_hRw: crops_hRw.sum((0, 2))),
    "entropy_mean": ("entropy", lambda crops_hRw: crops_hRw.mean((0, 2))),
    "margin_mean": ("margin", lambda crops_hRw: crops_hRw.mean((0, 2))),
    "bvsb_mean": ("bvsb", lambda crops_hRw: crops_hRw.mean((0, 2))),
    "bald_sum": ("bald", lambda crops_hRw: crops_hRw.sum((0, 2))),
}

# A region's vector is the mean of a map of channels over it: of the softmax, of the features that it is made of, or of what a
# label would be worth there.
VECTORS = ("class_mass", "embedding", "influence")

_IMAGE_PIXELS = 2**20  # of images that are taken together
_IN_ORDER = ("entropy", "classes", "margin", "bvsb", "bald")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRows:
    """What is known of R regions, float32 on the segmenter's device.

    The class part is the normalised histogram of predicted classes. The uncertainty part is entropy over ln C, pooled
    over an 8 x 8 grid: 64 minima, 64 means, 64 maxima, each row by row. Statistics, one number for each region, and
    vectors, one row for each, hold what describing was asked for.
    """

    class_part_RC: Tensor
    uncertainty_RU: Tensor
    statistics: Mapping[str, Tensor] = field(default_factory=dict)
    vectors: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.class_part_RC)

    def __getitem__(self, index: slice | Tensor) -> "RegionRows":
        return RegionRows(
            class_part_RC=self.class_part_RC[index],
            uncertainty_RU=self.uncertainty_RU[index],
            statistics={name: values_R[index] for name, values_R in self.statistics.items()},
            vectors={name: rows_RE[index] for name, rows_RE in self.vectors.items()},
        )

    @staticmethod
    def empty(count: int, class_count: int, statistics: Collection[str], device: torch.device) -> "RegionRows":
        """Make room for rows that are still to be filled in."""
        return RegionRows(
            class_part_RC=torch.empty(count, class_count, device=device),
            uncertainty_RU=torch.empty(count, UNCERTAINTY, device=device),
            statistics={name: torch.empty(count, device=device) for name in statistics},
        )

    @staticmethod
    def cat(parts: Sequence["RegionRows"]) -> "RegionRows":
        """Put rows one after the other; all must hold the same statistics and vectors. ValueError for no parts."""
        if not parts:
            raise ValueError("there are no rows to put together")
        return RegionRows(
            class_part_RC=torch.cat([part.class_part_RC for part in parts]),
            uncertainty_RU=torch.cat([part.uncertainty_RU for part in parts]),
            statistics={name: torch.cat([part.statistics[name] for part in parts]) for name in parts[0].statistics},
            vectors={name: torch.cat([part.vectors[name] for part in parts]) for name in parts[0].vectors},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDescription:
    """One image: rows in the order of its boxes, and predicted classes, (H, W) uint8 in main memory."""

    rows: RegionRows
    classes_HW: Tensor


def describe(
    segmenter: Segmenter,
    seen: Tensor,
    boxes: Sequence[Tensor],
    *,
    size: tuple[int, int] | None = None,
    statistics: Collection[str] = (),
    vectors: Collection[str] = frozenset(),
    influence: Influence | None = None,
    generator: torch.Generator | None = None,
) -> list[ImageDescription]:
    """Run the segmenter once over each image and describe regions of it; dropout is off except for BALD's passes.

    Args:
        segmenter: on any device; its weights, statistics and modes are left as they are.
        seen: what the segmenter's `look` gives of B images, on any device: of one that is not frozen the images, uint8.
        boxes: for each image, (n, 4) int64 rows of (row, col, height, width) in pixels; n may be 0 and may differ.
        size: (H, W) of the images; may be left out where they are what is seen.
        statistics: names among STATISTICS.
        vectors: names among VECTORS. "class_mass", (R, C), is the mean probability of each class over the region's
            pixels; "embedding", (R, E), the mean of the decoder's features whose centres lie in the region, or of the
            one at its own centre where it is too small to hold any; "influence", (R, 2), the mean of Influence.expected
            over the same.
        influence: of the segmenter as it is, needed for "influence" only.
        generator: source of the dropout masks, needed for "bald_sum" only.

    Raises:
        ValueError: a box that leaves its image, an unknown statistic or vector, BALD without generator or dropout, or
            predictions that are not finite.
    """
    if len(boxes) != len(seen):
        raise ValueError(f"{len(seen)} images came with the boxes of {len(boxes)}")
    size = size or _size(seen)
    names = _maps_for(statistics, vectors)
    if "bald" in names and generator is None:
        raise ValueError("BALD draws dropout masks: it needs a generator")
    if "influence" in vectors and influence is None:
        raise ValueError("the vector influence needs what labels are worth")
    at_once = _images_at_once(size)
    descriptions: list[ImageDescription] = []
    for start in range(0, len(seen), at_once):
        some_boxes = boxes[start : start + at_once]
        means = {name: _means(name, some_boxes, segmenter.stride) for name in vectors}
        some = seen[start : start + at_once]
        bands = band_maps(segmenter, some, size, names, means, influence, generator, some_boxes)
        if size[0] * size[1] > _IMAGE_PIXELS:
            check_boxes(some_boxes[0].cpu(), size)
            rows, classes_HW = _rows_of_large(bands, some_boxes[0].cpu(), size, segmenter.classes, statistics)
            classes_BHW = classes_HW[None]
        else:
            maps = whole_maps(bands, len(some), size)
            rows = region_rows(maps, some_boxes, class_count=segmenter.classes, statistics=statistics)
            classes_BHW = maps["classes"].cpu()
        rows = replace(rows, vectors={name: each.means() for name, each in means.items()})
        ends = torch.tensor([len(of_image) for of_image in some_boxes]).cumsum(0).tolist()
        descriptions += [
            ImageDescription(rows=rows[end - len(of_image) : end], classes_HW=classes_HW)
            for of_image, end, classes_HW in zip(some_boxes, ends, classes_BHW, strict=True)
        ]
    return descriptions


def embeddings(
    segmenter: Segmenter, seen: Tensor, boxes: Sequence[Tensor], *, size: tuple[int, int] | None = None
) -> Tensor:
    """Return the vectors "embedding" of regions, (R, E), image by image, as describe does but without classifying, and of a
    frozen segmenter without what is far from them.

    There is at least one image. Raises ValueError for a box that leaves its image.
    """
    if len(boxes) != len(seen):
        raise ValueError(f"{len(seen)} images came with the boxes of {len(boxes)}")
    size = size or _size(seen)
    check_boxes(torch.cat(list(boxes)).cpu(), size)
    device = next(segmenter.parameters()).device
    found: dict[int, Tensor] = {}
    with evaluating(segmenter):
        if isinstance(segmenter, FrozenSegmenter):
            found = means_in_windows(segmenter, seen, [feature_boxes(of_image, segmenter.stride) for of_image in boxes])
        for images in _runs_of_the_rest(len(seen), found, _images_at_once(size)):
            means = _means("embedding", boxes[images], segmenter.stride)
            for band in segmenter.bands(seen[images].to(device), size):
                take_features(means, band, segmenter.stride)
            found[images.start] = means.means()
    return torch.cat([found[first] for first in sorted(found)])


def _runs_of_the_rest(count: int, done: Collection[int], most: int) -> list[slice]:
    """Of so many images those that are not done, as neighbours, no more than `most` together."""
    runs: list[slice] = []
    for image in (each for each in range(count) if each not in done):
        if runs and runs[-1].stop == image and image - runs[-1].start < most:
            runs[-1] = slice(runs[-1].start, image + 1)
        else:
            runs.append(slice(image, image + 1))
    return runs


def _size(images_B3HW: Tensor) -> tuple[int, int]:
    return int(images_B3HW.shape[-2]), int(images_B3HW.shape[-1])


def _images_at_once(size: tuple[int, int]) -> int:
    return max(1, _IMAGE_PIXELS // (size[0] * size[1]))


def _means(vector: str, boxes: Sequence[Tensor], stride: int) -> BoxMeans:
    return BoxMeans([feature_boxes(of_image, stride) for of_image in boxes] if vector != "class_mass" else boxes)


def _maps_for(statistics: Iterable[str], vectors: Iterable[str] = ()) -> set[str]:
    for kind, asked, known in (("statistic", statistics, STATISTICS), ("vector", vectors, VECTORS)):
        unknown = sorted(set(asked) - set(known))
        if unknown:
            raise ValueError(f"there is no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    return {"entropy", "classes"} | {STATISTICS[name][0] for name in statistics}


def _rows_of_large(
    bands: BandMaps, boxes_R4: Tensor, size: tuple[int, int], class_count: int, statistics: Collection[str]
) -> tuple[RegionRows, Tensor]:
    """Rows of the regions of one image, each as soon as its last row of pixels is classified, and its classes (H, W)."""
    classes_HW, parts, order = torch.empty(size, dtype=torch.uint8), [], []
    for window in windows(bands, boxes_R4):
        high = window.rows.stop - window.rows.start
        classes_HW[window.rows] = window.maps_1hW["classes"][0, -high:].cpu()
        parts.append(region_rows(window.maps_1hW, [window.boxes_n4], class_count=class_count, statistics=statistics))
        order.append(window.complete)
    rows = RegionRows.cat(parts)
    return rows[torch.cat(order).argsort().to(rows.class_part_RC.device)], classes_HW


def region_rows(
    maps_BHW: Mapping[str, Tensor],
    boxes: Sequence[Tensor],
    *,
    class_count: int,
    statistics: Collection[str] = (),
) -> RegionRows:
    """Describe regions of images of one size from their pixel maps, image by image in the order of their boxes.

    Args:
        maps_BHW: "entropy", "classes" and what the statistics need, as pixel_maps and bald_map return them.
        boxes: for each image, (n, 4) int64 rows of (row, col, height, width); any sizes, also below 8 pixels.
        class_count: C.
        statistics: names among STATISTICS.

    Raises:
        ValueError: a box that leaves its image, an unknown statistic, or a map that is not finite.
    """
    maps = {name: maps_BHW[name].contiguous() for name in _maps_for(statistics)}
    device = maps["entropy"].device
    _, height, width = maps["entropy"].shape
    boxes_R4 = torch.cat([of_image.cpu() for of_image in boxes])
    firsts_R = torch.cat(
        [torch.full_like(of_image[:, 0].cpu(), i * height * width) for i, of_image in enumerate(boxes)]
    )
    check_boxes(boxes_R4, (height, width))
    origins_R = (firsts_R + boxes_R4[:, 0] * width + boxes_R4[:, 1]).to(device)
    rows = RegionRows.empty(len(boxes_R4), class_count, statistics, device)

    def describe_piece(piece: tuple[str, tuple[int, int], Tensor]) -> None:
        name, cell, members_r = piece
        crops_hrw = crops_of(maps[name], origins_R[members_r], cell)
        if name == "entropy":
            rows.uncertainty_RU[members_r] = grid_pooled(crops_hrw)
        elif name == "classes":
            rows.class_part_RC[members_r] = class_histograms(crops_hrw, class_count)
        for statistic, values_R in rows.statistics.items():
            map_name, reduce = STATISTICS[statistic]
            if map_name == name:
                values_R[members_r] = reduce(crops_hrw)

    pieces = pieces_of_one_size(boxes_R4[:, 2:], device)
    spread(describe_piece, [(name, *piece) for piece in pieces for name in _IN_ORDER if name in maps], device)
    return rows


def state_rows(rows: RegionRows) -> Tensor:
    """Return the state, (S, C + 192): class part, then uncertainty part (paper, section 4.1)."""
    with on_one_thread():
        return torch.cat([rows.class_part_RC, rows.uncertainty_RU], 1)


def action_rows(rows: RegionRows, labelled_LC: Tensor) -> Tensor:
    """Return the actions of a round's candidates, (M, C + 192 + 64) (paper, section 4.2).

    After the state's parts come 32 values of similarity to the labelled regions' ground truth, zeros where there is
    none, and 32 to the other candidates, which stand for all unlabelled regions.

    Args:
        rows: all K * N candidates of the round, for each is compared with all others.
        labelled_LC: normalised histogram of the true classes of each labelled region.
    """
    classes_MC = rows.class_part_RC
    to_labelled_MK = kl_histogram(classes_MC, labelled_LC.to(classes_MC.device))
    to_unlabelled_MK = kl_histogram(classes_MC, classes_MC, leave_self_out=True)
    with on_one_thread():
        return torch.cat([classes_MC, rows.uncertainty_RU, to_labelled_MK, to_unlabelled_MK], 1)
