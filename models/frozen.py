"""A segmenter whose encoder stays frozen: what it sees of an image never changes, and only a head on that is fitted.

Shapes: B images, F components, H x W pixels, h x w cells.
"""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.encoder import Encoder
from models.enlarging import cells_of, enlarged_levels
from models.fpn import Parts
from models.head import EXPANSION, REACH, Head, of_each_cell
from models.initialisation import drawn_from
from models.memory import blocks_given_back, let_go_of_file
from models.projection import Projection, resampled
from models.segmenter import Band, Segmenter, band_of
from models.tiles import BAND_NUMBERS, MARGIN, TILE, cells, tiles

MAGNIFICATIONS = (1.0, 1.5, 2.0)
STRIDES = (2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """A frozen encoder, and how it looks: images are enlarged by `magnification`, and cells are `stride` pixels wide."""

    name: str
    sha256: str
    encoder: Encoder
    stride: int = 8
    magnification: float = 1.5

    @property
    def tile(self) -> int:
        """Rows and columns of pixels of a tile without its margin: of features at every second pixel there are too many."""
        return round((TILE if self.stride > 2 else TILE // 2) / self.magnification)

    @property
    def margin(self) -> int:
        """Pixels of the image around a tile that change what is seen in it."""
        return round(MARGIN / self.magnification)

    def levels(self, images_B3HW: Tensor) -> Tensor:
        """(B, E, h, w) float32 of uint8 images that fit a tile: all levels of the encoder at the stride."""
        levels, strides = self._levels(images_B3HW)
        return resampled(levels, strides, self.stride, cells_of(images_B3HW, self.stride))

    def features(self, images_B3HW: Tensor, projection: Projection, cells: tuple[slice, slice]) -> Tensor:
        """(B, F, h, w) float32: the projection of all levels, at some rows and columns of cells."""
        levels, strides = self._levels(images_B3HW)
        return projection.of_levels(levels, strides, self.stride, cells)

    def _levels(self, images_B3HW: Tensor) -> tuple[list[Tensor], list[float]]:
        """The encoder's levels, and their strides in pixels of the image."""
        encoder = self.encoder
        mean, std = (
            torch.tensor(each, device=images_B3HW.device).view(3, 1, 1) for each in (encoder.mean, encoder.std)
        )
        # A tile of an image that lies in memory pixel by pixel is brought into the order of all others.
        return enlarged_levels(encoder, (images_B3HW.contiguous().float() / 255 - mean) / std, self.magnification)


class FrozenSegmenter(Segmenter):
    """A head on the projected features of an eye. Neither encoder nor projection is among its parameters or its state."""

    temperature: Tensor
    fitted: Tensor  # whether the head has been fitted to any labels
    calibrated_with: Tensor  # how many regions were labelled when the temperature was found last

    def __init__(self, eye: Eye, projection: Projection, *, classes: int, hidden: int, dropout: float) -> None:
        features = projection.components_EF.shape[1]
        head = Head(features, hidden)
        parts = Parts(encoder=nn.Identity(), decoder=head, channels=hidden, stride=eye.stride)
        super().__init__(parts, name=eye.name, classes=classes, width=hidden, dropout=dropout)
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        self.register_buffer("calibrated_with", torch.zeros((), dtype=torch.int64))
        # In a tuple, where torch does not look for modules: they are shared, and kept elsewhere.
        self._fixed = (eye, projection)
        self.sight = _sight(eye, projection)

    @property
    def eye(self) -> Eye:
        """The frozen encoder."""
        return self._fixed[0]

    @property
    def projection(self) -> Projection:
        """Of its levels."""
        return self._fixed[1]

    def note_learned(self) -> None:
        """Remember that the head has learned from labels, so that what it predicts says something."""
        self.fitted.fill_(True)

    def look(self, images_B3HW: Tensor) -> Tensor:
        """(B, F, h, w) float16 features of uint8 images of any H, W >= 8, on the images' device."""
        height, width = (int(side) for side in images_B3HW.shape[-2:])
        if min(height, width) < 8:
            raise ValueError(f"Images of at least 8 x 8 pixels are needed, not {height} x {width}.")
        size = (len(images_B3HW), *self.seen_shape((height, width)))
        seen_BFhw = torch.empty(size, dtype=torch.float16, device=images_B3HW.device)
        for where, part_BFhw in self.look_by_tiles(images_B3HW):
            seen_BFhw[(..., *where)] = part_BFhw
        return seen_BFhw

    def seen_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """(F, h, w) of what is seen of an image of `size` (H, W)."""
        rows, cols = (-(-side // self.eye.stride) for side in size)
        return self.projection.components_EF.shape[1], rows, cols

    def look_by_tiles(self, images_B3HW: Tensor) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
        """What `look` gives, tile by tile in rows from the top: rows and columns of cells, and their float32 features."""
        (height, width), stride = images_B3HW.shape[-2:], self.eye.stride
        projection = self.projection.to(images_B3HW.device)
        self.eye.encoder.to(images_B3HW.device)
        cut = list(tiles(height, width, self.eye.tile, self.eye.margin))
        with blocks_given_back() if len(cut) > 1 else nullcontext():
            for inner, outer in cut:
                own = cells(inner, stride, origin=outer)
                with torch.no_grad():
                    part_BFhw = self.eye.features(images_B3HW[(..., *outer)], projection, own)
                yield cells(inner, stride), part_BFhw

    def encode(self, images_B3HW: Tensor) -> Tensor:
        """(B, H, h, w) hidden channels of what `look` gave."""
        hidden: Tensor = self.decoder(images_B3HW.to(self.classifier.weight.dtype))
        return hidden

    def cell_logits(self, seen_BFhw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits of cells, (B, C, h, w), of what `look` gave, before any temperature. In train mode with dropout."""
        return of_each_cell(self.classifier, self.dropout(self.encode(seen_BFhw), generator))

    def bands(self, seen_BFhw: Tensor, size: tuple[int, int]) -> Iterator[Band]:
        """Images of no more than BAND_NUMBERS in one piece, on a CPU one by one for its cache; larger ones from the top."""
        height = seen_BFhw.shape[-2]
        rows = max(1, BAND_NUMBERS // self.numbers_per_row(size[1]))
        if rows >= height and seen_BFhw.device.type != "cpu":
            yield from super().bands(seen_BFhw, size)
            return
        with blocks_given_back() if rows < height else nullcontext():
            for image in range(len(seen_BFhw)):
                for top in range(0, height, rows):
                    yield self._band(seen_BFhw, image, slice(top, min(height, top + rows)), size)
                    let_go_of_file(seen_BFhw)

    def numbers_per_row(self, width: int) -> int:
        """About how many are held at a time for a row of cells, `width` pixels wide: logits, and channels in the head."""
        return self.classes * self.stride * width + 4 * EXPANSION * self.width * -(-width // self.stride)

    def _band(self, seen_BFhw: Tensor, image: int, own: slice, size: tuple[int, int]) -> Band:
        """The band of some rows of cells, encoded from as many around them as the head and the interpolation reach."""
        first, last = max(0, own.start - 1), min(seen_BFhw.shape[-2], own.stop + 1)
        top = max(0, first - REACH)
        hidden_1Hhw = self.encode(seen_BFhw[image : image + 1, :, top : last + REACH])[..., first - top : last - top, :]
        return band_of(hidden_1Hhw, first, image=image, own=own, size=size, stride=self.stride)

    def coarse_logits(self, features_BFhw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """As a Segmenter's, divided by the temperature that calibrates them."""
        return super().coarse_logits(features_BFhw, generator) / self.temperature


def build_frozen(
    eye: Eye,
    projection: Projection,
    *,
    classes: int,
    hidden: int = 64,
    dropout: float = 0.2,
    generator: torch.Generator | None = None,
) -> FrozenSegmenter:
    """A segmenter with a fresh head drawn from `generator` (without one: the same every time)."""
    with drawn_from(generator):
        return FrozenSegmenter(eye, projection, classes=classes, hidden=hidden, dropout=dropout)


def _sight(eye: Eye, projection: Projection) -> str:
    """A name for what is seen: those of one name see the same of an image."""
    digest = hashlib.sha256(f"{eye.sha256} {eye.stride} {eye.magnification}".encode())
    for tensor in projection.tensors().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return f"{eye.name}-{digest.hexdigest()[:16]}"
