"""A folder of anybody's images: how it is split, and what is said when something is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from service.domain.classes import IGNORE
from service.domain.splits import jensen_shannon
from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError

CLASSES = {
    "classes": [
        {"id": 3, "name": "Grass", "color": [0, 128, 0]},
        {"id": 7, "name": "Water", "color": [0, 0, 128]},
        {"id": 9, "name": "Sand", "color": [128, 128, 0]},
    ],
    "ignore_id": 0,
}


def make_folder(root: Path, images: int, labelled: int) -> Path:
    """`images` images, of which the first `labelled` have label maps, each mostly of one of the three classes."""
    for number in range(images):
        write(root / "images" / f"site{number % 2}" / f"{number:03d}.jpg", picture(number))
        if number < labelled:
            main = (3, 7, 9)[number % 3]
            write(root / "labels" / f"site{number % 2}" / f"{number:03d}.png", ids(number, [0, main, main, main, 7]))
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return root


def numbers_of(root: Path, seed: int = 0) -> dict[str, list[str]]:
    dataset = open_dataset("folder", root, seed=seed)
    return {split: [source.name(n) for n in range(len(source))] for split, source in dataset.splits.items()}


class TestFolder:
    def test_drawn_splits_share_out_every_image_once(self, tmp_path: Path) -> None:
        splits = numbers_of(make_folder(tmp_path, 60, 60))
        assert {split: len(names) for split, names in splits.items()} == {
            "state": 7, "train": 8, "reward": 9, "pool": 24, "test": 12,
        }  # fmt: skip
        assert sorted(name for names in splits.values() for name in names) == sorted(
            f"site{n % 2}/{n:03d}" for n in range(60)
        )

    def test_drawn_splits_depend_on_the_seed_alone(self, tmp_path: Path) -> None:
        make_folder(tmp_path, 30, 30)
        assert numbers_of(tmp_path, seed=3) == numbers_of(tmp_path, seed=3)
        assert numbers_of(tmp_path, seed=3) != numbers_of(tmp_path, seed=4)

    def test_the_state_set_resembles_what_is_trained_on(self, tmp_path: Path) -> None:
        dataset = open_dataset("folder", make_folder(tmp_path, 90, 90))
        state, train = (
            np.sum([np.bincount(source.label_map(n).ravel(), minlength=256)[:3] for n in range(len(source))], axis=0)
            for source in (dataset.splits["state"], dataset.splits["train"])
        )
        assert jensen_shannon(state[None], state + train)[0] < 1e-3

    def test_images_without_label_maps_are_the_pool(self, tmp_path: Path) -> None:
        splits = numbers_of(make_folder(tmp_path, 50, 12))
        assert splits["pool"] == [f"site{n % 2}/{n:03d}" for n in (*range(12, 50, 2), *range(13, 50, 2))]
        assert {split: len(names) for split, names in splits.items() if split != "pool"} == {
            "state": 2, "train": 3, "reward": 3, "test": 4,
        }  # fmt: skip
        pool = open_dataset("folder", tmp_path).splits["pool"]
        with pytest.raises(LookupError, match="site0/012 has no label map"):
            pool.label_map(0)

    def test_without_any_label_map_everything_is_the_pool(self, tmp_path: Path) -> None:
        splits = numbers_of(make_folder(tmp_path, 5, 0))
        assert list(splits) == ["pool"]
        assert len(splits["pool"]) == 5

    def test_too_few_label_maps_are_refused_with_the_way_out(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match=r"5 labelled images are too few .* splits\.json"):
            open_dataset("folder", make_folder(tmp_path, 20, 5))

    @pytest.mark.parametrize(("images", "labelled"), [(6, 6), (7, 7), (7, 6), (13, 9)])
    def test_every_split_gets_an_image_even_of_few(self, tmp_path: Path, images: int, labelled: int) -> None:
        splits = numbers_of(make_folder(tmp_path, images, labelled))
        assert sum(map(len, splits.values())) == images
        assert all(splits[split] for split in ("state", "train", "reward", "pool", "test"))

    def test_listed_splits_are_kept_to(self, tmp_path: Path) -> None:
        make_folder(tmp_path, 4, 4)
        listed = {"pool": ["site1/003", "site0/000"], "test": ["site1/001"]}
        (tmp_path / "splits.json").write_text(json.dumps(listed))
        assert numbers_of(tmp_path) == listed
        test = open_dataset("folder", tmp_path).splits["test"]
        values = ids(1, [0, 7, 7, 7, 7])
        assert np.array_equal(test.label_map(0), np.where(values == 7, 1, IGNORE))

    @pytest.mark.parametrize(
        ("listed", "message"),
        [
            ({"pool": ["site0/000", "site0/999"]}, "no image named site0/999"),
            ({"pool": ["site0/000"], "test": ["site0/000"]}, "list more than once site0/000"),
            ({"holdout": ["site0/000"]}, "lists the split holdout; splits are state"),
            (["site0/000"], "should hold lists of image names by split"),
        ],
    )
    def test_wrong_splits_are_refused(self, tmp_path: Path, listed: object, message: str) -> None:
        make_folder(tmp_path, 2, 2)
        (tmp_path / "splits.json").write_text(json.dumps(listed))
        with pytest.raises(DatasetError, match=message):
            open_dataset("folder", tmp_path)

    def test_two_images_of_one_name_are_refused(self, tmp_path: Path) -> None:
        make_folder(tmp_path, 2, 0)
        write(tmp_path / "images" / "site0" / "000.png", picture(0))
        with pytest.raises(DatasetError, match=r"000\.jpg and .*000\.png are named site0/000"):
            open_dataset("folder", tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, r"no file .*classes\.json, which should hold the classes"),
            ("{", "cannot be read"),
            ('{"classes": [{"id": 1}]}', r"classes\.json: Class 0 of the list lacks name and color"),
            ("[]", r"classes\.json: Classes are an object"),
        ],
    )
    def test_wrong_classes_are_refused(self, tmp_path: Path, text: str | None, message: str) -> None:
        make_folder(tmp_path, 2, 0)
        (tmp_path / "classes.json").unlink()
        if text is not None:
            (tmp_path / "classes.json").write_text(text)
        with pytest.raises(DatasetError, match=message):
            open_dataset("folder", tmp_path)

    def test_a_folder_without_images_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "images").mkdir()
        (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
        with pytest.raises(DatasetError, match=f"no images in {tmp_path}/images"):
            open_dataset("folder", tmp_path)
