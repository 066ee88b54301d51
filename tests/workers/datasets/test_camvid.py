"""CamVid: what is read from its real layout, and what is said when something is missing."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.domain.classes import CAMVID, IGNORE
from tests.workers.datasets.pictures import HEIGHT, WIDTH, ids, picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError
from workers.datasets.files import published_splits


@pytest.fixture
def camvid(camvid_files: Path, tmp_path: Path) -> Path:
    """The same, to be changed by one test."""
    for below in camvid_files.iterdir():
        if below.is_dir():
            (tmp_path / below.name).mkdir()
            for path in below.iterdir():
                os.link(path, tmp_path / below.name / path.name)
    return tmp_path


class TestCamVid:
    def test_the_authors_splits_are_opened(self, camvid_files: Path) -> None:
        dataset = open_dataset("camvid", camvid_files)
        sizes = {split: len(source) for split, source in dataset.splits.items()}
        assert sizes == {"state": 10, "train": 100, "pool": 257, "reward": 101, "test": 233}
        assert dataset.splits["state"].name(0) == "0001TP_007170"
        assert dataset.splits["test"].name(1) == "0001TP_008580"
        assert dataset.classes is CAMVID

    def test_pixels_and_labels_are_those_of_the_files(self, camvid_files: Path) -> None:
        test = open_dataset("camvid", str(camvid_files)).splits["test"]
        expected = ids(233, list(range(12)))
        assert np.array_equal(test.image(5), picture(233))
        assert np.array_equal(test.label_map(5), np.where(expected == 11, IGNORE, expected))
        assert test.size(5) == (HEIGHT, WIDTH)

    def test_images_of_another_kind_are_found_by_name(self, camvid: Path) -> None:
        name = published_splits("camvid")["reward"][3]
        (camvid / "val" / f"{name}.webp").unlink()
        write(camvid / "val" / f"{name}.PNG", picture(77))
        assert np.array_equal(open_dataset("camvid", camvid).splits["reward"].image(3), picture(77))

    def test_a_missing_image_is_named(self, camvid: Path) -> None:
        (camvid / "train" / "0001TP_006690.webp").unlink()
        with pytest.raises(DatasetError, match=r"no image named 0001TP_006690\."):
            open_dataset("camvid", camvid)

    def test_a_missing_label_map_is_named(self, camvid: Path) -> None:
        lost = camvid / "testannot" / "0001TP_008580.png"
        lost.unlink()
        with pytest.raises(DatasetError, match=f"0001TP_008580.webp has no label map {lost}"):
            open_dataset("camvid", camvid)

    @pytest.mark.parametrize("folder", ["val", "valannot"])
    def test_a_missing_folder_is_named_with_what_it_should_hold(self, camvid: Path, folder: str) -> None:
        (camvid / folder).rename(camvid / "elsewhere")
        with pytest.raises(DatasetError, match=f"no folder {camvid / folder}, which should hold"):
            open_dataset("camvid", camvid)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda path: write(path, ids(0, [4, 37])), "unknown class id 37"),
            (lambda path: write(path, ids(0, [4], height=5)), "5 high and 8 wide; 6 high and 8 wide is expected"),
            (lambda path: write(path, picture(0)), "is not an 8-bit PNG of class ids"),
            (lambda path: path.write_bytes(b"nothing"), "is not an 8-bit PNG of class ids"),
        ],
    )
    def test_a_spoilt_label_map_is_named_with_what_is_wrong(
        self, camvid: Path, spoil: Callable[[Path], object], message: str
    ) -> None:
        path = camvid / "valannot" / f"{published_splits('camvid')['reward'][0]}.png"
        path.unlink()
        spoil(path)
        reward = open_dataset("camvid", camvid).splits["reward"]
        with pytest.raises(DatasetError, match=message) as raised:
            reward.label_map(0)
        assert str(path) in str(raised.value)

    def test_a_spoilt_image_is_named(self, camvid: Path) -> None:
        path = camvid / "val" / f"{published_splits('camvid')['reward'][0]}.webp"
        path.unlink()
        path.write_bytes(b"nothing")
        reward = open_dataset("camvid", camvid).splits["reward"]
        for read in (reward.image, reward.size):
            with pytest.raises(DatasetError, match=f"{path} cannot be read as an image"):
                read(0)


@pytest.mark.camvid
@pytest.mark.skipif("CAMVID_ROOT" not in os.environ, reason="CAMVID_ROOT does not name a copy of CamVid")
class TestRealCamVid:
    def test_splits_sizes_and_class_shares_are_as_published(self) -> None:
        dataset = open_dataset("camvid", os.environ["CAMVID_ROOT"])
        sizes = {split: len(source) for split, source in dataset.splits.items()}
        assert sizes == {"state": 10, "train": 100, "pool": 257, "reward": 101, "test": 233}
        counts = np.zeros(256, dtype=np.int64)
        for split in ("state", "train", "pool"):
            source = dataset.splits[split]
            for number in range(len(source)):
                counts += np.bincount(source.label_map(number).ravel(), minlength=256)
        shares = counts[: len(CAMVID)] / counts.sum()
        expected = [0.169, 0.233, 0.010, 0.317, 0.045, 0.097, 0.012, 0.011, 0.059, 0.006, 0.003]
        assert shares == pytest.approx(expected, abs=0.001)
        assert dataset.splits["state"].image(0).shape == (360, 480, 3)
