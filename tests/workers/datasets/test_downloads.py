"""CamVid as its authors gave it out, and Cityscapes' other kinds of label maps: the same classes and splits as ever."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.domain.classes import CAMVID, CITYSCAPES, IGNORE
from tests.workers.datasets.pictures import picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError
from workers.datasets.camvid_original import GROUPS, read_original_labels
from workers.datasets.cityscapes import read_label_map
from workers.datasets.files import published_splits

# label_colors.txt of the download, each colour with the class of SegNet's that MathWorks' example puts it into.
COLORS = """
64 128 64 Pedestrian|192 0 128 Building|0 128 192 Bicyclist|0 128 64 Building|128 0 0 Building|64 0 128 Car
64 0 192 Pedestrian|192 128 64 Pedestrian|192 192 128 Pole|64 64 128 Fence|128 0 192 Road|192 0 64 Road
128 128 64 SignSymbol|192 0 192 Bicyclist|128 64 64 Car|64 192 128 Pavement|64 64 0 Pedestrian|128 64 128 Road
128 128 192 Pavement|0 0 192 Pavement|192 128 128 SignSymbol|128 128 128 Sky|64 128 192 Car|0 0 64 Pole
0 64 64 SignSymbol|192 64 128 Car|128 128 0 Tree|192 128 192 Car|64 0 64 Building|192 192 0 Tree|0 0 0 Void|64 192 0 Building
"""


def every_color() -> tuple[np.ndarray, list[int]]:
    lines = [each.split() for each in COLORS.replace("\n", "|").split("|") if each]
    expected = [IGNORE if name == "Void" else CAMVID.names.index(name) for *_, name in lines]
    return np.array([[list(map(int, color)) for *color, _ in lines]], np.uint8), expected


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """The folders as they are unpacked, all 701 names over one tiny picture and label map."""
    colors, _ = every_color()
    image, labels = write(tmp_path / "image.png", picture(3, 1, 32)), write(tmp_path / "labels.png", colors)
    for path, folder, ending in ((image, "701_StillsRaw_full", ""), (labels, "LabeledApproved_full", "_L")):
        (tmp_path / folder).mkdir()
        for name in {name for names in published_splits("camvid").values() for name in names}:
            os.link(path, tmp_path / folder / f"{name}{ending}.png")
    return tmp_path


def test_the_original_camvid_has_the_same_splits_and_classes(original: Path) -> None:
    dataset = open_dataset("camvid", original)
    assert {split: len(source) for split, source in dataset.splits.items()} == {
        "state": 10, "train": 100, "pool": 257, "reward": 101, "test": 233,
    }  # fmt: skip
    assert dataset.classes is CAMVID
    assert dataset.splits["test"].label_map(7).ravel().tolist() == every_color()[1]
    np.testing.assert_array_equal(dataset.splits["pool"].image(3), picture(3, 1, 32))


def test_all_32_colours_have_their_group_once() -> None:
    colors = [color for group in GROUPS.values() for color in group.values()]
    assert len(colors) == len(set(colors)) == 31  # and void
    assert tuple(GROUPS) == CAMVID.names


def test_a_colour_of_no_class_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a_L.png", np.full((2, 3, 3), (1, 2, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"a_L\.png has colours that are none of CamVid's 32: 1 2 3\."):
        read_original_labels(path)


def test_what_is_missing_of_the_original_is_named(original: Path) -> None:
    lost = original / "LabeledApproved_full" / "0001TP_008580_L.png"
    lost.unlink()
    with pytest.raises(DatasetError, match=f"has no label map {lost}"):
        open_dataset("camvid", original)
    (original / "701_StillsRaw_full").rename(original / "elsewhere")
    with pytest.raises(DatasetError, match=r"no folder .*701_StillsRaw_full, which should hold CamVid's frames"):
        open_dataset("camvid", original)


def test_cityscapes_label_maps_of_all_kinds_say_the_same(tmp_path: Path) -> None:
    train_ids = write(tmp_path / "a_gtFine_labelTrainIds.png", np.array([[0, 13, 18, 255]], np.uint8))
    label_ids = write(tmp_path / "a_gtFine_labelIds.png", np.array([[7, 26, 33, 0]], np.uint8))
    colors = np.array([[[128, 64, 128], [0, 0, 142], [119, 11, 32], [0, 0, 90]]], np.uint8)  # the last: a caravan
    opaque = np.dstack([colors, np.full((1, 4), 255, np.uint8)])  # the download's are RGBA
    color = tmp_path / "a_gtFine_color.png"
    Image.fromarray(opaque).save(color)
    for path in (train_ids, label_ids, color):
        assert read_label_map(path).tolist() == [[0, 13, 18, IGNORE]], path.name
    assert CITYSCAPES.names[13] == "car"


def test_cityscapes_takes_the_surest_kind_that_is_there(tmp_path: Path) -> None:
    wanted = {name for names in published_splits("cityscapes").values() for name in names}
    for folder, names in (("train", wanted), ("val", {"munster_000001_000019"})):
        for name in names:
            for place, ending in (("leftImg8bit", "leftImg8bit.png"), ("gtFine", "gtFine_labelTrainIds.png")):
                path = tmp_path / place / folder / name.split("_")[0] / f"{name}_{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    dataset = open_dataset("cityscapes", tmp_path)
    labels = tmp_path / "gtFine" / "val" / "munster"
    write(labels / "munster_000001_000019_gtFine_labelTrainIds.png", np.array([[13]], np.uint8))
    write(tmp_path / "leftImg8bit/val/munster/munster_000001_000019_leftImg8bit.png", picture(0, 1, 1))
    assert dataset.splits["test"].label_map(0).tolist() == [[13]]
    write(labels / "munster_000001_000019_gtFine_labelIds.png", np.array([[7]], np.uint8))
    assert open_dataset("cityscapes", tmp_path).splits["test"].label_map(0).tolist() == [[0]]
