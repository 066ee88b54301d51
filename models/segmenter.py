"""The segmentation network f: one contract for every architecture, and `build`, which composes one by name.

Shapes: B images, C classes, F feature channels, H rows, W columns; h and w are rows and columns of the feature map.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import smp, tiles
from models.efficientnet_lite import VARIANTS
from models.enlarging import TUNED, pyramid_parts, tuned_parts
from models.fpn import Parts, small_parts
from models.initialisation import drawn_from
from models.label_maps import likeliest_classes
from models.memory import blocks_given_back
from models.resnet_fpn import RESNET50, resnet50_parts

NAMES = ("fpn", RESNET50, *VARIANTS, "smp:ARCH:ENCODER")


class Dropout(nn.Module):
    """Elementwise dropout whose mask may come from a generator; without one, from torch's own."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0.0 <= probability < 1.0:
            raise ValueError(f"Dropout is a probability from 0 to below 1, not {probability}.")
        self.p = probability

    def forward(self, maps: Tensor, generator: torch.Generator | None = None) -> Tensor:
        if not self.training or self.p == 0.0:
            return maps
        if generator is None:
            return F.dropout(maps, self.p)
        if generator.device.type != maps.device.type:
            seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
            generator = torch.Generator(maps.device).manual_seed(seed)
        kept = torch.empty_like(maps).uniform_(generator=generator).ge_(self.p)  # bernoulli_ takes five times as long
        return maps * kept.div_(1.0 - self.p)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """Rows of some of the images, over their whole width, and the features that classify them.

    `features_BFhw` reach a cell above and below the band where the image goes on: classified at `size`, pixels, the first
    `above` rows are not the band's. Of the features' own rows those in `own` are.
    """

    images: slice
    rows: slice
    features_BFhw: Tensor
    size: tuple[int, int]
    above: int
    own: slice


def band_of(features_1Fhw: Tensor, first: int, *, image: int, own: slice, size: tuple[int, int], stride: int) -> Band:
    """The band of an image's own rows of cells: the features begin at row `first` of them, the images are of `size` (H, W)."""
    rows = slice(own.start * stride, min(size[0], own.stop * stride))
    return Band(
        images=slice(image, image + 1),
        rows=rows,
        features_BFhw=features_1Fhw,
        size=(rows.stop - first * stride, size[1]),
        above=(own.start - first) * stride,
        own=slice(own.start - first, own.stop - first),
    )


class Segmenter(nn.Module):
    """Encoder, decoder, dropout, 1x1 classifier. Dropout stands only before the classifier: MC dropout encodes once.

    Logits come in three steps, so that each is done once: `look` is all that training does not change, `encode` all that
    dropout does not, `classify` the rest.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, parts: Parts, *, name: str, classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.name, self.classes, self.width = name, classes, width
        self.stride, self.multiple, self.least_side = parts.stride, parts.multiple, parts.least_side
        self.tile, self.reach = parts.tile, parts.reach
        self.encoder = parts.encoder
        self.decoder = parts.decoder
        self.dropout = Dropout(dropout)
        self.half_precision = False  # bfloat16 in encoder and decoder, on CUDA; weights and logits stay float32
        self.classifier = nn.Conv2d(parts.channels, classes, 1)
        self.register_buffer("mean", torch.tensor(parts.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(parts.std).view(3, 1, 1), persistent=False)

    def note_learned(self) -> None:
        """Hear that it has learned from labels; here nothing depends on that."""

    def look(self, images_B3HW: Tensor) -> Tensor:
        """What `encode` takes of RGB images, uint8 or float in [0, 1], of any H, W >= 8: here the images themselves."""
        return images_B3HW

    def encode(self, images_B3HW: Tensor) -> Tensor:
        """Features B x F x h x w of RGB images, uint8 or float in [0, 1], of any H, W >= 8."""
        padded_B3HW = self._padded(images_B3HW)
        if self.half_precision and padded_B3HW.is_cuda:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                return self._features(padded_B3HW).float()
        return self._features(padded_B3HW)

    def bands(self, seen: Tensor, size: tuple[int, int]) -> Iterator[Band]:
        """Images of `size` (H, W), of which `look` gave `seen`, encoded. In evaluation mode.

        Here in one piece up to WHOLE_PIXELS; larger ones one by one, tile by tile, with as many pixels around each as change
        its features.
        """
        if size[0] * size[1] > tiles.WHOLE_PIXELS:
            with blocks_given_back():
                for image in range(len(seen)):
                    yield from self._bands_of_large(seen, image, size)
            return
        features_BFhw = self.encode(seen)
        everything = slice(0, features_BFhw.shape[-2])
        yield Band(
            images=slice(0, len(seen)),
            rows=slice(0, size[0]),
            features_BFhw=features_BFhw,
            size=size,
            above=0,
            own=everything,
        )

    def _bands_of_large(self, seen: Tensor, image: int, size: tuple[int, int]) -> Iterator[Band]:
        height, width, stride = *size, self.stride
        channels = self.classifier.in_channels
        strip = tiles.strip_height(self.tile, width, channels, stride)
        per_band = max(1, tiles.BAND_NUMBERS // (self.classes * stride * width))
        for top in range(0, height, strip):
            # Logits are interpolated between cells: one above and one below belong to it.
            first, features_1Fhw = self._strip(seen[image : image + 1], slice(top, min(height, top + strip)))
            last = first + features_1Fhw.shape[-2]
            end = -(-min(height, top + strip) // stride)
            for start in range(top // stride, end, per_band):
                own = slice(start, min(end, start + per_band))
                above, below = max(first, own.start - 1), min(last, own.stop + 1)
                features = features_1Fhw[..., above - first : below - first, :]
                yield band_of(features, above, image=image, own=own, size=size, stride=stride)

    def _strip(self, image_13HW: Tensor, rows: slice) -> tuple[int, Tensor]:
        """The first row of cells, and the features of all, of some rows of pixels, a cell above and one below them."""
        height, width, stride = *image_13HW.shape[-2:], self.stride
        outer_rows, parts = tiles.seen_around(rows, self.reach, height), []
        first, last = max(0, rows.start // stride - 1), -(-rows.stop // stride) + 1
        for left in range(0, width, self.tile):
            cols = slice(left, min(width, left + self.tile))
            outer_cols = tiles.seen_around(cols, self.reach, width)
            tile_1Fhw = self.encode(image_13HW[..., outer_rows, outer_cols].contiguous())
            begin = (left - outer_cols.start) // stride
            # An encoder that pads has more cells than the image: they are the last tile's.
            end = tile_1Fhw.shape[-1] if cols.stop == width else begin + self.tile // stride
            top = first - outer_rows.start // stride
            parts.append(tile_1Fhw[..., top : top + last - first, begin:end].clone())
        return first, torch.cat(parts, -1)

    def band_logits(self, band: Band) -> Tensor:
        """Logits of a band's own rows."""
        return self.classify(band.features_BFhw, band.size)[..., band.above :, :]

    def band_classes(self, band: Band) -> Tensor:
        """(B, H, W) uint8: the likeliest class of each pixel of a band's own rows."""
        coarse_BChw = self.coarse_logits(band.features_BFhw)
        return likeliest_classes(coarse_BChw, self.stride, band.size)[..., band.above :, :]

    def _padded(self, images_B3HW: Tensor) -> Tensor:
        height, width = images_B3HW.shape[-2:]
        if min(height, width) < 8:
            raise ValueError(f"Images of at least 8 x 8 pixels are needed, not {height} x {width}.")
        if images_B3HW.dtype == torch.uint8:
            images_B3HW = images_B3HW.to(self.mean.dtype) / 255.0
        normal_B3HW = (images_B3HW - self.mean) / self.std
        below, right = (self._missing(side) for side in (height, width))
        return F.pad(normal_B3HW, (0, right, 0, below))

    def _features(self, padded_B3HW: Tensor) -> Tensor:
        features: Tensor = self.decoder(self.encoder(padded_B3HW))
        return features

    def coarse_logits(self, features_BFhw: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits B x C x h x w, at the stride of the features. In train mode dropout's mask comes from `generator`."""
        logits: Tensor = self.classifier(self.dropout(features_BFhw, generator))
        return logits

    def classify(
        self, features_BFhw: Tensor, size: tuple[int, int], generator: torch.Generator | None = None
    ) -> Tensor:
        """Logits B x C x H x W for images of `size` (H, W). In train mode dropout's mask comes from `generator`."""
        logits_BChw = self.coarse_logits(features_BFhw, generator)
        if self.stride > 1:
            logits_BChw = F.interpolate(logits_BChw, scale_factor=float(self.stride), mode="bilinear")
        return logits_BChw[..., : size[0], : size[1]]

    def forward(self, images_B3HW: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits B x C x H x W."""
        height, width = images_B3HW.shape[-2:]
        return self.classify(self.encode(self.look(images_B3HW)), (height, width), generator)

    def _missing(self, side: int) -> int:
        """Pixels to add to a side: zeros, which after normalisation are the mean colour."""
        least = max(side, self.least_side)
        return least + -least % self.multiple - side


def build(
    name: str,
    *,
    classes: int,
    width: int = 32,
    dropout: float = 0.2,
    pretrained: bool = False,
    generator: torch.Generator | None = None,
) -> Segmenter:
    """A segmenter with fresh weights drawn from `generator` (without one: the same weights every time).

    "fpn": ours, `width` channels in its first stage. "fpn-resnet50": the paper's. "efficientnet-lite0", 1 and 2: under a
    pyramid of twice the width; see models.frozen for the frozen ones. "smp:ARCH:ENCODER": any of
    segmentation-models-pytorch's; `pretrained` downloads its ImageNet encoder. "tuned:...": what models.tuned makes.
    Raises ValueError for any other name, ImportError where the extra smp is wanted and not installed.
    """
    if classes < 2 or width < 1:
        raise ValueError(f"A segmenter needs at least 2 classes and width 1, not {classes} and {width}.")
    with drawn_from(generator):
        parts = _parts(name, width, pretrained)
        return Segmenter(parts, name=name, classes=classes, width=width, dropout=dropout)


def _parts(name: str, width: int, pretrained: bool) -> Parts:
    if name.startswith(smp.PREFIX):
        return smp.smp_parts(name, pretrained=pretrained)
    if name.startswith(TUNED):
        return tuned_parts(name, width)
    if name in VARIANTS:
        return pyramid_parts(name, width)
    if name not in NAMES:
        raise ValueError(f"There is no segmenter {name!r}. There are: {', '.join(NAMES)}.")
    if pretrained:
        raise ValueError(f"{name!r} has no weights to download; see models.resnet_fpn.load_encoder_state.")
    return small_parts(width) if name == "fpn" else resnet50_parts()
