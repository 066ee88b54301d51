"""An image by itself, and what a segmenter predicts of it: to the pixel what the service predicts."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from models.segmenter import Segmenter
from workers.datasets.base import Pixels
from workers.training.convergence import predicted_label_map
from workers.training.feature_cache import FeatureCache
from workers.training.looking import features_kept_in


class OneImage:
    """An ImageSource of one image, which is decoded already and has no label map."""

    def __init__(self, pixels_HW3: Pixels) -> None:
        self._pixels = pixels_HW3

    def __len__(self) -> int:
        return 1

    def name(self, number: int) -> str:
        return "image"

    def size(self, number: int) -> tuple[int, int]:
        return self._pixels.shape[0], self._pixels.shape[1]

    def digest(self, number: int) -> str:
        digest = hashlib.sha256(f"{self._pixels.shape}".encode())
        digest.update(np.ascontiguousarray(self._pixels).data)
        return digest.hexdigest()

    def image(self, number: int) -> Pixels:
        return self._pixels

    def label_map(self, number: int) -> Pixels:
        raise LookupError("The image has no label map.")


def predicted(segmenter: Segmenter, image: OneImage) -> NDArray[np.uint8]:
    """(H, W) class indices. What a frozen encoder saw of the image is forgotten: one that is not seen again needs no room."""
    with features_kept_in(FeatureCache(memory_bytes=0)):
        return predicted_label_map(segmenter, image, 0)
