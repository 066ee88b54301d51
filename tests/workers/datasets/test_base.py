"""What wraps a source of images: caches, subsets and other sizes."""

import numpy as np

from workers.datasets.base import Pixels, Subset
from workers.datasets.decoded import DecodedCache
from workers.datasets.forwarding import Cached, Resized
from workers.datasets.streets import Streets


class Counting(Streets):
    """Streets that note which images were asked for."""

    def __init__(self, count: int, seed: int, height: int, width: int) -> None:
        super().__init__(count, seed, height, width)
        self.asked: list[int] = []

    def image(self, number: int) -> Pixels:
        self.asked.append(number)
        return super().image(number)


class TestSources:
    def test_a_cache_decodes_once_until_it_is_full(self) -> None:
        source = Counting(4, 0, 10, 10)
        kept = Cached(source, DecodedCache(700))
        for number in (0, 1, 0, 1):
            kept.image(number)
        assert source.asked == [0, 1]
        kept.image(2)  # 900 bytes are over the limit: image 0 goes
        kept.image(1)
        kept.image(0)
        assert source.asked == [0, 1, 2, 0]

    def test_a_subset_renumbers(self) -> None:
        streets = Streets(5, 0, 10, 12)
        subset = Subset(streets, [4, 1])
        assert len(subset) == 2
        assert [subset.name(0), subset.name(1)] == [streets.name(4), streets.name(1)]
        assert np.array_equal(subset.label_map(1), streets.label_map(1))

    def test_labels_are_resized_without_mixing_classes(self) -> None:
        streets = Streets(1, 0, 40, 60)
        small = Resized(streets, 13, 17)
        assert set(np.unique(small.label_map(0))) <= set(np.unique(streets.label_map(0)))
        assert small.image(0).shape == (13, 17, 3)
