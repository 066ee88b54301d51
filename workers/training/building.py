"""Segmenters as settings name them, with fresh weights; a frozen encoder's projection is fitted to images at hand."""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.enlarging import LevelsFromStride4
from models.frozen import Eye, FrozenSegmenter, build_frozen
from models.projection import COMPONENTS, fit_projection
from models.segmenter import Segmenter, build
from models.smp import HOW_TO_INSTALL, PREFIX
from workers.chance import numpy_generator, torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.on_device import image_tensor
from workers.training.encoders import PUBLISHED, EncoderError, frozen_eye, pretrained_encoder, weights_file

# A projection is fitted to so many cells of so many images.
PROJECTION_IMAGES, PROJECTION_CELLS = 32, 1500
# Regions this high and wide, in pixels, are told apart well enough by cells of this stride.
_STRIDES = ((72, 8), (20, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A segmenter's: its name, whether its encoder stays frozen, and the channels of its first stage, or half a head's.

    stride: of a frozen encoder's features, with which one begins where labels choose, `chosen`, whether finer ones are better.
    """

    name: str
    frozen: bool
    width: int
    dropout: float
    stride: int = 8
    chosen: bool = False
    magnification: float = 1.5


def stride_for(cell_height: int, cell_width: int) -> int:
    """The stride of a frozen encoder's features that suits regions of this size: smaller ones are about finer things."""
    side = min(cell_height, cell_width)
    return next((stride for least, stride in _STRIDES if side >= least), 2)


def fresh_segmenter(
    architecture: Architecture, classes: int, images: Sequence[ImageSource], seed: int, device: str
) -> Segmenter:
    """A segmenter with weights drawn from the seed. A frozen encoder's projection is fitted to some of the images.

    Raises EncoderError where pretrained weights are wanted that cannot be had, EncoderOutOfReach where they cannot be had
    right now, ValueError for a projection without an image.
    """
    each, generator = architecture, torch_generator(seed, "segmenter")
    if not each.frozen:
        built = build(each.name, classes=classes, width=each.width, dropout=each.dropout, generator=generator)
        if isinstance(built.encoder, LevelsFromStride4):
            built.encoder.encoder.load_state_dict(pretrained_encoder(each.name).state_dict())
        return built.to(device)
    eye = frozen_eye(each.name, stride=each.stride, magnification=each.magnification)
    places = [(source, number) for source in images for number in range(len(source))]
    drawn = numpy_generator(seed, "projection").permutation(len(places))[:PROJECTION_IMAGES]
    if not len(drawn):
        raise ValueError("A frozen encoder is fitted to the images it will see: upload some first.")
    samples_XE = torch.cat(list(_sampled(eye, [places[n] for n in drawn], seed, device)))
    projection = fit_projection(samples_XE.cpu(), COMPONENTS, torch_generator(seed, "turn"))
    frozen = build_frozen(
        eye, projection, classes=classes, hidden=2 * each.width, dropout=each.dropout, generator=generator
    )
    return frozen.to(device)


def missing_segmenters() -> dict[str, str]:
    """By the beginnings of segmenters' names what to do about those that cannot be built here; loads none of them."""
    found = {} if importlib.util.find_spec("segmentation_models_pytorch") else {PREFIX: HOW_TO_INSTALL}
    for name in PUBLISHED:
        try:
            weights_file(name)
        except EncoderError as error:
            found[name] = str(error)
    return found


def is_of(segmenter: Segmenter, architecture: Architecture) -> bool:
    """Whether a segmenter has this architecture, so that learning can go on from it."""
    if not isinstance(segmenter, FrozenSegmenter):
        return not architecture.frozen and segmenter.name == architecture.name
    eye = segmenter.eye
    found = (eye.name, eye.magnification, segmenter.width)
    wanted = (architecture.name, architecture.magnification, 2 * architecture.width)
    suits = eye.stride == architecture.stride or (architecture.chosen and eye.stride < architecture.stride)
    return architecture.frozen and found == wanted and suits


def with_fresh_head(
    segmenter: FrozenSegmenter, seed: int, classes: int | None = None, stride: int | None = None
) -> FrozenSegmenter:
    """The same eye and projection under a head with weights drawn from the seed; for as many classes, at the same stride, or
    for others.
    """
    made = build_frozen(
        replace(segmenter.eye, stride=stride or segmenter.eye.stride),
        segmenter.projection,
        classes=classes or segmenter.classes,
        hidden=segmenter.width,
        dropout=segmenter.dropout.p,
        generator=torch_generator(seed, "segmenter"),
    )
    return made.to(segmenter.classifier.weight.device)


def copy_of(segmenter: FrozenSegmenter) -> FrozenSegmenter:
    """Another head of the same weights, on the same eye and projection: fitting one changes nothing in the other."""
    made = with_fresh_head(segmenter, 0)
    made.load_state_dict(segmenter.state_dict())
    return made


def _sampled(eye: Eye, places: Sequence[tuple[ImageSource, int]], seed: int, device: str) -> Iterator[Tensor]:
    """(X, E) cells of a part, no larger than a tile, of each image."""
    eye.encoder.to(device)
    for place, (source, number) in enumerate(places):
        generator = torch_generator(seed, "projection", place)
        pixels = image_tensor(source.image(number))
        top, left = (
            int(torch.randint(max(1, side - eye.tile + 1), (), generator=generator)) for side in pixels.shape[-2:]
        )
        with torch.no_grad():
            cells_XE = (
                eye.levels(pixels[None, :, top : top + eye.tile, left : left + eye.tile].to(device))[0].flatten(1).T
            )
        yield cells_XE[torch.randint(len(cells_XE), (PROJECTION_CELLS,), generator=generator).to(device)]
