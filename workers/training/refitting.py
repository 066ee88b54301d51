"""What a head is fitted to: features and labels of every labelled region, and the fit itself."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.fit import window_start
from models.frozen import FrozenSegmenter
from models.head import class_shares
from models.refit import Windows
from service.domain.regions import Box
from workers.datasets.base import ImageSource
from workers.training.looking import features, mapped_features

# Cells of unlabelled image kept around a region of a large image: windows reach into it for context.
AROUND = 24
# Numbers of features that are held, 2 bytes each; what comes after them is mapped from files, where they can be kept.
MOST_HELD = 2**29
Key = tuple[int, int]  # of an image: the number of its source among those taken in, and its own in that


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A labelled region: its image and box, its rows and columns of cells there, and what is seen around it, from `origin` on."""

    key: Key
    box: Box
    rows: slice
    cols: slice
    origin: tuple[int, int]
    seen_Fhw: Tensor

    def inside(self, around: int = 0) -> tuple[slice, slice]:
        """Where it lies in `seen_Fhw`, with so many cells around it as far as they are there."""
        sides = zip((self.rows, self.cols), self.origin, self.seen_Fhw.shape[1:], strict=True)
        rows, cols = (
            slice(max(0, own.start - first - around), min(there, own.stop - first + around))
            for own, first, there in sides
        )
        return rows, cols


class LabelledCells:
    """Windows around labelled regions, drawn with the same chance for each region, as large as its image is."""

    def __init__(self, segmenter: FrozenSegmenter, sources: Sequence[ImageSource] = ()) -> None:
        """`sources`, if given, are those that images will be taken in from, in the order of their numbers."""
        self._segmenter, self._stride, self._classes = segmenter, segmenter.stride, segmenter.classes
        self._shares: dict[Key, Tensor] = {}
        self._seen: list[Tensor] = []
        self._parts: Counter[Key] = Counter()  # numbers held of an image's parts
        self._held, self._wholes = 0, set[Key]()  # numbers held of all, and images that are held as a whole
        # Of each region: its image, its (row, col, height, width) in cells, where its features begin in the image, and its box.
        self._regions: list[tuple[Key, tuple[int, int, int, int], tuple[int, int], Box]] = []
        self._sources = list(sources)
        self._ordered: list[int] | None = None  # regions by where they lie; None: some have come since

    def copy(self) -> "LabelledCells":
        """Another that holds the same; what is added to one is not in the other."""
        other = LabelledCells(self._segmenter)
        other._shares, other._seen = dict(self._shares), list(self._seen)
        other._regions, other._sources = list(self._regions), list(self._sources)
        other._parts, other._held, other._wholes = Counter(self._parts), self._held, set(self._wholes)
        return other

    def __len__(self) -> int:
        return len(self._regions)

    @property
    def counts_C(self) -> Tensor:
        """Labelled pixels of each class."""
        totals = [shares.sum((1, 2), dtype=torch.float64) for shares in self._shares.values()]
        return torch.stack(totals).sum(0) * self._stride**2 if totals else torch.zeros(self._classes)

    def add(
        self,
        source: ImageSource,
        number: int,
        label_map_HW: NDArray[np.uint8],
        boxes: Iterable[Box],
        *,
        whole: bool = False,
    ) -> None:
        """Take labelled regions of an image in. `label_map_HW` holds all that is labelled in it by now, of earlier ones too.

        Of a large image only the parts around them are kept, unless most of it, or the `whole`, is labelled.
        """
        key = (self._source_number(source), number)
        shares_Chw = class_shares(torch.from_numpy(np.array(label_map_HW)), self._classes, self._stride)
        self._shares[key] = shares_Chw.half()
        seen_Fhw, mapped = self._features(source, number)
        self._ordered = None
        for box in boxes:
            row, col = box.row // self._stride, box.col // self._stride
            stop = -(-(box.row + box.height) // self._stride), -(-(box.col + box.width) // self._stride)
            around = (slice(max(0, row - AROUND), stop[0] + AROUND), slice(max(0, col - AROUND), stop[1] + AROUND))
            part_Fhw = seen_Fhw[(..., *around)]
            # Parts overlap: of an image with many regions the whole, which they share, is less than their sum.
            if not (whole or mapped) and 2 * (self._parts[key] + part_Fhw.numel()) < seen_Fhw.numel():
                self._parts[key] += part_Fhw.numel()
                self._held += part_Fhw.numel()
                part_Fhw, origin = part_Fhw.clone(), (around[0].start, around[1].start)
            else:
                part_Fhw, origin = seen_Fhw, (0, 0)
                if not mapped and key not in self._wholes:
                    self._wholes.add(key)
                    self._held += seen_Fhw.numel()
            self._seen.append(part_Fhw)
            self._regions.append((key, (row, col, stop[0] - row, stop[1] - col), origin, box))

    def _features(self, source: ImageSource, number: int) -> tuple[Tensor, bool]:
        """What is seen of an image, and whether it is mapped from a file and not held."""
        mapped = mapped_features(self._segmenter, source, number) if self._held >= MOST_HELD else None
        if mapped is not None:
            return mapped, True
        return torch.from_numpy(np.asarray(features(self._segmenter, source, number))), False

    def add_whole(self, source: ImageSource, number: int, boxes: Sequence[Box]) -> None:
        """Take an image in that is labelled as a whole, cut into the boxes."""
        self.add(source, number, source.label_map(number), boxes, whole=True)

    def draw(self, batch: int, window: int, generator: torch.Generator) -> Windows:
        """Features (B, F, w, w) float16 and shares (B, C, w, w) of windows around regions drawn from the generator.

        Half of them are mirrored. A region larger than a window holds it. What is drawn does not depend on the order in which
        regions were taken in. Raises ValueError where nothing is labelled.
        """
        if not self._regions:
            raise ValueError("There is nothing labelled to fit a head to.")
        pairs = [self._window(n, window, generator) for n in self._drawn(batch, generator)]
        return torch.stack([seen for seen, _ in pairs]), torch.stack([shares for _, shares in pairs]).float()

    def images(self) -> list[Key]:
        """Keys of the labelled images, in an order that does not depend on that in which they were taken in."""
        return sorted(self._shares)

    def source(self, key: Key) -> ImageSource:
        """Where an image is from."""
        return self._sources[key[0]]

    def of(self, images: Iterable[Key]) -> "LabelledCells":
        """The regions of some images."""
        other, kept = self.copy(), set(images)
        places = [place for place, (key, *_) in enumerate(self._regions) if key in kept]
        other._shares = {key: shares for key, shares in self._shares.items() if key in kept}
        other._seen, other._regions = [self._seen[n] for n in places], [self._regions[n] for n in places]
        return other

    def parts(self) -> Iterator[Part]:
        """Each region, by where it lies."""
        for region in self._in_order():
            key, (row, col, height, width), origin, box = self._regions[region]
            yield Part(
                key=key,
                box=box,
                rows=slice(row, row + height),
                cols=slice(col, col + width),
                origin=origin,
                seen_Fhw=self._seen[region],
            )

    def shares_of(self, part: Part) -> Tensor:
        """(C, h, w) of a region's cells, the shares of their labelled pixels."""
        return self._shares[part.key][:, part.rows, part.cols].float()

    def numbers_with(self, segmenter: FrozenSegmenter) -> int:
        """About how many numbers would be held of what another segmenter sees of these regions."""
        times, parts = self._stride / segmenter.stride, Counter[Key]()
        for key, (_, _, height, width), *_ in self._regions:
            rows, cols = (round(side * times) + 2 * AROUND for side in (height, width))
            parts[key] += rows * cols
        found = 0
        for key, cells in parts.items():
            features, rows, cols = segmenter.seen_shape(self.source(key).size(key[1]))
            found += features * min(cells, rows * cols) + self._classes * rows * cols
        return found

    def _in_order(self) -> list[int]:
        if self._ordered is None:
            self._ordered = sorted(range(len(self)), key=lambda number: self._regions[number][:2])
        return self._ordered

    def _drawn(self, batch: int, generator: torch.Generator) -> list[int]:
        ordered = self._in_order()
        places: list[int] = torch.randint(len(self), (batch,), generator=generator).tolist()
        return [ordered[place] for place in places]

    def _window(self, region: int, window: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        key, (row, col, height, width), origin, _ = self._regions[region]
        shares_Chw, seen_Fhw = self._shares[key], self._seen[region]
        shares_Chw = shares_Chw[:, origin[0] : origin[0] + seen_Fhw.shape[1], origin[1] : origin[1] + seen_Fhw.shape[2]]
        top = window_start(seen_Fhw.shape[1], window, row - origin[0], height, generator)
        left = window_start(seen_Fhw.shape[2], window, col - origin[1], width, generator)
        cut = (..., slice(top, top + window), slice(left, left + window))
        pair = _filled(seen_Fhw[cut], window), _filled(shares_Chw[cut], window)
        mirrored = bool(torch.randint(2, (), generator=generator))
        return (pair[0].flip(-1), pair[1].flip(-1)) if mirrored else pair

    def _source_number(self, source: ImageSource) -> int:
        for number, known in enumerate(self._sources):
            if known is source:
                return number
        self._sources.append(source)
        return len(self._sources) - 1


def _filled(maps: Tensor, window: int) -> Tensor:
    """Maps of an image smaller than the window with zeros below and to the right: nothing seen, nothing labelled."""
    height, width = maps.shape[-2:]
    return maps if (height, width) == (window, window) else F.pad(maps, (0, window - width, 0, window - height))
