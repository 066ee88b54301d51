"""Cityscapes: what is read from its real layout, and what is said when something is missing."""

import os
from pathlib import Path

import numpy as np
import pytest

from service.domain.classes import CITYSCAPES, IGNORE
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError
from workers.datasets.files import published_splits

# Ids of cityscapesScripts' labels.py for the classes that are evaluated.
CITYSCAPES_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of Cityscapes: all images of the authors' splits in train, three in val, label maps with every id."""
    root = tmp_path_factory.mktemp("cityscapes")
    every_id = np.arange(34, dtype=np.uint8).reshape(2, 17)
    image, labels = write(root / "image.png", picture(1, 2, 17)), write(root / "labels.png", every_id)
    train = sorted({name for names in published_splits("cityscapes").values() for name in names})
    val = ["munster_000001_000019", "lindau_000000_000019", "frankfurt_000000_000294"]
    for folder, names in (("train", train), ("val", val)):
        for name in names:
            city = name.split("_")[0]
            for place, below, ending in (
                (image, "leftImg8bit", "_leftImg8bit.png"),
                (labels, "gtFine", "_gtFine_labelIds.png"),
            ):
                target = root / below / folder / city / f"{name}{ending}"
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(place, target)
    write(root / "gtFine" / "train" / "aachen" / "aachen_000000_000019_gtFine_color.png", picture(2))
    return root


class TestCityscapes:
    def test_the_state_set_is_taken_out_of_the_pool(self, cityscapes: Path) -> None:
        dataset = open_dataset("cityscapes", cityscapes)
        sizes = {split: len(source) for split, source in dataset.splits.items()}
        assert sizes == {"state": 10, "train": 150, "reward": 200, "pool": 2605, "test": 3}
        names = {split: [source.name(n) for n in range(len(source))] for split, source in dataset.splits.items()}
        assert not set(names["state"]) & set(names["pool"])
        assert names["test"] == ["frankfurt_000000_000294", "lindau_000000_000019", "munster_000001_000019"]
        assert names["train"][0] == "aachen_000012_000019"

    @pytest.mark.parametrize("split", ["pool", "test"])
    def test_label_ids_become_the_indices_of_the_evaluated_classes(self, cityscapes: Path, split: str) -> None:
        source = open_dataset("cityscapes", cityscapes).splits[split]
        index_of_id = {id_: CITYSCAPES.names.index(name) for name, id_ in CITYSCAPES_IDS.items()}
        expected = [index_of_id.get(id_, IGNORE) for id_ in range(34)]
        assert source.label_map(0).ravel().tolist() == expected
        assert np.array_equal(source.image(0), picture(1, 2, 17))

    def test_a_folder_that_was_not_unpacked_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "leftImg8bit" / "train").mkdir(parents=True)
        with pytest.raises(DatasetError, match=f"no folder {tmp_path}/gtFine/train, .* gtFine_trainvaltest.zip"):
            open_dataset("cityscapes", tmp_path)

    def test_missing_images_are_named(self, tmp_path: Path) -> None:
        for folder in ("train", "val"):
            write(tmp_path / f"leftImg8bit/{folder}/ulm/ulm_000000_000019_leftImg8bit.png", picture(0))
            write(tmp_path / f"gtFine/{folder}/ulm/ulm_000000_000019_gtFine_labelIds.png", ids(0, [7]))
        with pytest.raises(DatasetError, match=r"no image named bremen_000000_000019, .* and \d+ more"):
            open_dataset("cityscapes", tmp_path)

    def test_a_missing_label_map_is_named(self, tmp_path: Path) -> None:
        write(tmp_path / "leftImg8bit/train/ulm/ulm_000000_000019_leftImg8bit.png", picture(0))
        (tmp_path / "gtFine" / "train").mkdir(parents=True)
        with pytest.raises(DatasetError, match=r"has no label map .*ulm_000000_000019_gtFine_labelIds\.png"):
            open_dataset("cityscapes", tmp_path)
