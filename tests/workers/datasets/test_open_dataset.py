"""A data set is opened by its name: which arguments it takes, and at which size it comes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.domain.classes import IGNORE
from tests.workers.datasets.pictures import ids, picture
from workers.datasets import NAMES, open_dataset
from workers.datasets.base import DatasetError
from workers.datasets.streets import Streets


class TestOpenDataset:
    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("no-such", {}, f"no data set 'no-such'; there are {', '.join(NAMES)}"),
            ("camvid", {"root": "/nowhere"}, "no folder /nowhere, which should hold CamVid"),
            ("folder", {"root": "/nowhere", "counts": {"pool": 3}}, "per split are for streets"),
            ("streets", {"height": 30}, "only one of them"),
        ],
    )
    def test_senseless_arguments_are_refused(self, name: str, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            open_dataset(name, **arguments)

    @pytest.mark.parametrize("name", [name for name in NAMES if name != "streets"])
    def test_what_lies_in_a_folder_says_so_where_there_is_none(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=f"{name} needs the folder"):
            open_dataset(name)
        for missing in (tmp_path / "missing", tmp_path):
            with pytest.raises(DatasetError, match=f"There is no f[a-z]+ {missing}"):
                open_dataset(name, missing)

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
