"""A data set kept on an accelerator: images and label maps as uint8 tensors, brought there once."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.tiles import WHOLE_PIXELS
from workers.datasets.base import Dataset, ImageSource, behind
from workers.datasets.decoded import DecodedCache
from workers.datasets.forwarding import Forwarding

# Of the memory that is free when the data set is opened; what does not fit is brought there again and again.
SHARE = 0.5


class OnDevice(Forwarding):
    """A source whose images and label maps stay on a device, the least recently used out first where they do not fit."""

    def __init__(self, source: ImageSource, device: torch.device | str, kept: DecodedCache[Tensor], name: str) -> None:
        """`kept` is shared by the sources of a data set, whose `name`s tell them apart."""
        super().__init__(source)
        self.device, self._kept, self._prefix = torch.device(device), kept, name

    def image_there(self, number: int) -> Tensor:
        """(3, H, W) uint8 on the device."""
        return self._kept.get(
            f"{self._prefix} image {number}", lambda: image_tensor(self.image(number)).to(self.device)
        )

    def label_map_there(self, number: int) -> Tensor:
        """(H, W) uint8 on the device."""
        return self._kept.get(
            f"{self._prefix} labels {number}",
            lambda: torch.from_numpy(np.array(self.label_map(number))).to(self.device),
        )


def on_device(dataset: Dataset, device: str) -> Dataset:
    """The data set with every split kept on the device; as it was where that is a CPU."""
    if torch.device(device).type != "cuda":
        return dataset
    free, _ = torch.cuda.mem_get_info(device)
    kept: DecodedCache[Tensor] = DecodedCache(int(SHARE * free))
    splits = {name: OnDevice(source, device, kept, name) for name, source in dataset.splits.items()}
    return Dataset(name=dataset.name, classes=dataset.classes, splits=splits)


def stack_images(source: ImageSource, numbers: Sequence[int], device: torch.device | str) -> Tensor:
    """(B, 3, H, W) uint8 on `device` of images of one size, from where they are kept."""
    each = [_image(*behind(source, number)) for number in numbers]
    return (each[0][None] if len(each) == 1 else torch.stack(each)).to(device)  # large images come alone: no copy


def stack_label_maps(source: ImageSource, numbers: Sequence[int]) -> Tensor:
    """(B, H, W) uint8 of label maps of one size, where they are kept."""
    return torch.stack([_label_map(*behind(source, number)) for number in numbers])


def image_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """height x width x 3 -> 3 x height x width, uint8; of a large image the same memory, pixel by pixel, and no copy."""
    pixels_3HW = pixels.transpose(2, 0, 1)
    large = pixels.shape[0] * pixels.shape[1] > WHOLE_PIXELS and pixels.flags.writeable
    return torch.from_numpy(pixels_3HW if large else np.ascontiguousarray(pixels_3HW))


def _image(source: ImageSource, number: int) -> Tensor:
    return source.image_there(number) if isinstance(source, OnDevice) else image_tensor(source.image(number))


def _label_map(source: ImageSource, number: int) -> Tensor:
    if isinstance(source, OnDevice):
        return source.label_map_there(number)
    return torch.from_numpy(np.array(source.label_map(number)))
