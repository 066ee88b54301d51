"""A data set is opened by its name: which arguments it takes, and at which size it comes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.domain.classes import IGNORE
from tests.workers.datasets.pictures import ids, picture
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError
from workers.datasets.streets import Streets


class TestOpenDataset:
    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("kitti", {}, "no data set 'kitti'; there are camvid, cityscapes, folder, streets"),
            ("camvid", {}, "camvid needs the folder"),
            ("camvid", {"root": "/nowhere"}, "no folder /nowhere, which should hold CamVid"),
            ("folder", {"root": "/nowhere", "counts": {"pool": 3}}, "per split are for streets"),
            ("streets", {"height": 30}, "only one of them"),
        ],
    )
    def test_senseless_arguments_are_refused(self, name: str, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            open_dataset(name, **arguments)

    def test_streets_are_drawn_at_the_size_asked_for(self) -> None:
        dataset = open_dataset("streets", height=48, width=64, seed=5, counts={"train": 2})
        assert dataset.splits["train"].image(1).shape == (48, 64, 3)
        assert len(dataset.splits["train"]) == 2
        source = dataset.splits["source"]
        assert np.array_equal(source.image(0), Streets(1, 5, 48, 64).image(0))

    def test_files_are_resized(self, camvid_files: Path) -> None:
        test = open_dataset("camvid", camvid_files, height=3, width=4).splits["test"]
        assert test.size(0) == (3, 4)
        means = picture(233).reshape(3, 2, 4, 2, 3).mean(axis=(1, 3))
        assert np.abs(test.image(0) - means).max() <= 1
        full = ids(233, list(range(12)))
        blocks = np.where(full == 11, IGNORE, full).reshape(3, 2, 4, 2)
        labels = test.label_map(0)
        assert labels.shape == (3, 4)
        for row in range(3):
            for col in range(4):
                assert labels[row, col] in blocks[row, :, col]
