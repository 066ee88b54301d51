"""A segmenter whose encoder stays frozen: what it sees of an image never changes, and only a head on that is fitted.

Shapes: B images, F components, H x W pixels, h x w cells.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.efficientnet_lite import STRIDES, EfficientNetLite
from models.fpn import Parts
from models.head import Head
from models.initialisation import drawn_from
from models.projection import Projection, resampled
from models.segmenter import Segmenter

# Images larger than a tile are looked at tile by tile, each with a margin that is cut off again. Both are multiples of
# what the encoder's coarsest cells cover at any magnification there is, so that these lie as in the whole image.
TILE, MARGIN = 768, 192
MAGNIFICATIONS = (1.0, 1.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """A frozen encoder, and how it looks: images are enlarged by `magnification`, and cells are `stride` pixels wide."""

    name: str
    sha256: str
    encoder: EfficientNetLite
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stride: int = 8
    magnification: float = 1.5

    def levels(self, images_B3HW: Tensor) -> Tensor:
        """(B, E, h, w) float32 of uint8 images that fit a tile: all levels of the encoder at the stride."""
        height, width = images_B3HW.shape[-2:]
        mean, std = (torch.tensor(each, device=images_B3HW.device).view(3, 1, 1) for each in (self.mean, self.std))
        normal_B3HW = (images_B3HW.float() / 255 - mean) / std
        if self.magnification != 1:
            size = [round(side * self.magnification) for side in (height, width)]
            normal_B3HW = F.interpolate(normal_B3HW, size=size, mode="bicubic")
        below, right = (-side % STRIDES[-1] for side in normal_B3HW.shape[-2:])
        # Channels last: a third faster on a CPU, where most of the time goes into convolutions of one cell.
        padded_B3HW = F.pad(normal_B3HW, (0, right, 0, below)).contiguous(memory_format=torch.channels_last)
        levels = self.encoder(padded_B3HW)
        strides = [stride / self.magnification for stride in STRIDES]
        return resampled(levels, strides, self.stride, (-(-height // self.stride), -(-width // self.stride)))


class FrozenSegmenter(Segmenter):
    """A head on the projected features of an eye. Neither encoder nor projection is among its parameters or its state."""

    frozen = True
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

    def look(self, images_B3HW: Tensor) -> Tensor:
        """(B, F, h, w) float16 features of uint8 images of any H, W >= 8, on the images' device."""
        height, width = (int(side) for side in images_B3HW.shape[-2:])
        if min(height, width) < 8:
            raise ValueError(f"Images of at least 8 x 8 pixels are needed, not {height} x {width}.")
        device, stride = images_B3HW.device, self.eye.stride
        projection = self.projection.to(device)
        self.eye.encoder.to(device)
        size = (len(images_B3HW), projection.components_EF.shape[1], -(-height // stride), -(-width // stride))
        seen_BFhw = torch.empty(size, dtype=torch.float16, device=device)
        with torch.no_grad():
            for inner, outer in _tiles(height, width):
                levels = self.eye.levels(
                    images_B3HW[..., outer[0].start : outer[0].stop, outer[1].start : outer[1].stop]
                )
                cells, own = _cells(inner, stride), _cells(inner, stride, origin=outer)
                seen_BFhw[(..., *cells)] = projection(levels[(..., *own)]).half()
        return seen_BFhw

    def encode(self, images_B3HW: Tensor) -> Tensor:
        """(B, H, h, w) hidden channels of what `look` gave."""
        hidden: Tensor = self.decoder(images_B3HW.to(self.classifier.weight.dtype))
        return hidden

    def cell_logits(self, seen_BFhw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits of cells, (B, C, h, w), of what `look` gave, before any temperature. In train mode with dropout."""
        logits: Tensor = self.classifier(self.dropout(self.encode(seen_BFhw), generator))
        return logits

    def classify(
        self, features_BFhw: Tensor, size: tuple[int, int], generator: torch.Generator | None = None
    ) -> Tensor:
        """As a Segmenter's, divided by the temperature that calibrates them."""
        return super().classify(features_BFhw, size, generator) / self.temperature


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


def _tiles(height: int, width: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Rows and columns of each tile, and of it with its margin, in pixels; one tile for an image that is not larger."""
    if height <= TILE + 2 * MARGIN and width <= TILE + 2 * MARGIN:
        whole = (slice(0, height), slice(0, width))
        yield whole, whole
        return
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            inner = (slice(top, min(height, top + TILE)), slice(left, min(width, left + TILE)))
            rows, cols = (
                slice(max(0, each.start - MARGIN), min(side, each.stop + MARGIN))
                for each, side in zip(inner, (height, width), strict=True)
            )
            yield inner, (rows, cols)


def _cells(pixels: tuple[slice, slice], stride: int, origin: tuple[slice, slice] | None = None) -> tuple[slice, slice]:
    """The cells that pixels are in, counted from the cell of the origin's first pixel."""
    starts = (0, 0) if origin is None else (origin[0].start, origin[1].start)
    rows, cols = (
        slice((each.start - start) // stride, -(-(each.stop - start) // stride))
        for each, start in zip(pixels, starts, strict=True)
    )
    return rows, cols
