"""A data set that stays on a device: the same tensors as from the images, brought there once."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.workers.conftest import CLASSES, Rectangles
from workers.datasets.base import Dataset, Joined, Subset
from workers.datasets.decoded import DecodedCache
from workers.datasets.on_device import OnDevice, on_device, stack_images, stack_label_maps


class Counted(Rectangles):
    """Counts how often an image or a label map is asked for."""

    asked = 0

    def image(self, number: int) -> NDArray[np.uint8]:
        self.asked += 1
        return super().image(number)

    def label_map(self, number: int) -> NDArray[np.uint8]:
        self.asked += 1
        return super().label_map(number)


def test_images_and_label_maps_are_brought_there_once_through_subsets_and_joined_sources_too() -> None:
    source, other = Counted(3, 1), Rectangles(2, 2)
    kept: DecodedCache[torch.Tensor] = DecodedCache()
    there = OnDevice(source, "cpu", kept, "pool")
    mixed = Joined([Subset(there, [2, 0]), other])
    for _ in range(2):
        images_B3HW, labels_BHW = stack_images(mixed, [0, 1, 3], "cpu"), stack_label_maps(mixed, [0, 1, 3])
        for place, pixels, labels in zip(
            range(3), (source.images[2], source.images[0], other.images[1]),
            (source.labels[2], source.labels[0], other.labels[1]), strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(images_B3HW[place].permute(1, 2, 0).numpy(), pixels)
            np.testing.assert_array_equal(labels_BHW[place].numpy(), labels)
    assert source.asked == 4
    assert images_B3HW.dtype == labels_BHW.dtype == torch.uint8


def test_sources_of_one_cache_are_told_apart_and_the_oldest_leave_a_full_one() -> None:
    first, second = Counted(1, 1), Counted(1, 2)
    kept: DecodedCache[torch.Tensor] = DecodedCache(limit=first.images[0].nbytes)
    sources = [OnDevice(first, "cpu", kept, "pool"), OnDevice(second, "cpu", kept, "test")]
    for _ in range(2):
        for there, source in zip(sources, (first, second), strict=True):
            found = stack_images(there, [0], "cpu")[0].permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(found, source.images[0])
    assert first.asked == second.asked == 2


def test_on_a_cpu_a_data_set_stays_as_it_is() -> None:
    dataset = Dataset(name="rectangles", classes=CLASSES, splits={"pool": Rectangles(1)})
    assert on_device(dataset, "cpu") is dataset


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_an_accelerator_it_stays_there() -> None:
    dataset = on_device(Dataset(name="rectangles", classes=CLASSES, splits={"pool": Rectangles(1)}), "cuda")
    assert stack_label_maps(dataset.splits["pool"], [0]).is_cuda
