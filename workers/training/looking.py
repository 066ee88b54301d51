"""What a segmenter sees of images before anything that it learns: images as they are, or frozen features, computed once."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from workers.datasets.base import ImageSource
from workers.datasets.on_device import stack_images
from workers.training.feature_cache import FeatureCache, Features
from workers.training.feature_files import Part

# Of an image so many numbers are held at a time; features of larger ones are mapped from their files.
HELD_NUMBERS = 2**23

_cache = FeatureCache()


def keep_features(cache: FeatureCache) -> None:
    """Have this process keep features there from now on; until it is told where, they stay in memory."""
    global _cache
    _cache = cache


@contextmanager
def features_kept_in(cache: FeatureCache) -> Iterator[None]:
    """Within, features are kept in another cache than this process's."""
    before = _cache
    keep_features(cache)
    try:
        yield
    finally:
        keep_features(before)


def seen(segmenter: Segmenter, source: ImageSource, numbers: Sequence[int], device: torch.device | str) -> Tensor:
    """What `segmenter.encode` takes of images of one size, (B, ...) on `device`."""
    if not isinstance(segmenter, FrozenSegmenter):
        return stack_images(source, numbers, device)
    each = [_tensor(segmenter, source, number) for number in numbers]
    return (each[0][None] if len(each) == 1 else torch.stack(each)).to(device)  # large images come alone: no copy


def features(segmenter: FrozenSegmenter, source: ImageSource, number: int) -> Features:
    """(F, h, w) float16, perhaps read-only: what the segmenter's eye sees of an image, from the cache if it is there.

    Of a large image it is mapped from a file, if one can be kept, and not held.
    """
    large_Fhw = _mapped(segmenter, source, number)
    if large_Fhw is not None:
        return np.asarray(large_Fhw.numpy())
    look = partial(_looked, segmenter, source, number)
    return _cache.get(segmenter.sight, source.digest(number), look)


def mapped_features(segmenter: FrozenSegmenter, source: ImageSource, number: int) -> Tensor | None:
    """(F, h, w) float16, mapped from a file and not held, whatever the image's size; None where no file can be kept."""

    def parts() -> Iterator[Part]:
        images_13HW = stack_images(source, [number], segmenter.classifier.weight.device)
        for where, part_1Fhw in segmenter.look_by_tiles(images_13HW):
            yield where, part_1Fhw[0].half().cpu()

    shape = segmenter.seen_shape(source.size(number))
    return _cache.get_large(segmenter.sight, source.digest(number), shape, parts)


def _looked(segmenter: FrozenSegmenter, source: ImageSource, number: int) -> Features:
    images_13HW = stack_images(source, [number], segmenter.classifier.weight.device)
    return np.asarray(segmenter.look(images_13HW)[0].cpu().numpy())


def _mapped(segmenter: FrozenSegmenter, source: ImageSource, number: int) -> Tensor | None:
    """The features of a large image; None of others, and where no file can be kept."""
    large = math.prod(segmenter.seen_shape(source.size(number))) > HELD_NUMBERS
    return mapped_features(segmenter, source, number) if large else None


def _tensor(segmenter: FrozenSegmenter, source: ImageSource, number: int) -> Tensor:
    """As `features`; of a large image what a segmenter can let go of as it goes on (models.memory)."""
    large_Fhw = _mapped(segmenter, source, number)
    return torch.from_numpy(features(segmenter, source, number)) if large_Fhw is None else large_Fhw
