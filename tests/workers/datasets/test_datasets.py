"""The data sets: what is read from their real layouts, and what is said when something is missing."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.domain.classes import CAMVID, CITYSCAPES, IGNORE
from service.domain.splits import jensen_shannon
from workers.datasets import open_dataset
from workers.datasets.base import Cached, DatasetError, Resized, Subset
from workers.datasets.decoded import DecodedCache
from workers.datasets.files import published_splits
from workers.datasets.streets import Streets

HEIGHT, WIDTH = 6, 8
CLASSES = {
    "classes": [
        {"id": 3, "name": "Grass", "color": [0, 128, 0]},
        {"id": 7, "name": "Water", "color": [0, 0, 128]},
        {"id": 9, "name": "Sand", "color": [128, 128, 0]},
    ],
    "ignore_id": 0,
}


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ids(seed: int, among: list[int], height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(among, dtype=np.uint8), (height, width))


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


@pytest.fixture(scope="module")
def camvid_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 701 images of CamVid's splits as a few tiny pictures under many names."""
    root = tmp_path_factory.mktemp("camvid")
    splits = published_splits("camvid")
    names = {"train": [*splits["state"], *splits["train"], *splits["pool"]], "val": splits["reward"]}
    for folder, listed in (names | {"test": splits["test"]}).items():
        image = write(root / f"{folder}.webp", picture(len(listed)))
        labels = write(root / f"{folder}.png", ids(len(listed), list(range(12))))
        for place, below in ((image, root / folder), (labels, root / f"{folder}annot")):
            below.mkdir()
            for name in listed:
                os.link(place, below / f"{name}{place.suffix}")
    return root


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
            (lambda path: write(path, ids(0, [4], height=5)), "5 x 8 pixels high and wide, its image 6 x 8"),
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


def make_folder(root: Path, images: int, labelled: int) -> Path:
    """`images` images, of which the first `labelled` have label maps, each mostly of one of the three classes."""
    for number in range(images):
        write(root / "images" / f"site{number % 2}" / f"{number:03d}.jpg", picture(number))
        if number < labelled:
            main = (3, 7, 9)[number % 3]
            write(root / "labels" / f"site{number % 2}" / f"{number:03d}.png", ids(number, [0, main, main, main, 7]))
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return root


def numbers_of(root: Path, **options: int) -> dict[str, list[str]]:
    dataset = open_dataset("folder", root, **options)
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
            sum(np.bincount(source.label_map(n).ravel(), minlength=256)[:3] for n in range(len(source)))
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
    def test_senseless_arguments_are_refused(self, name: str, arguments: dict[str, object], message: str) -> None:
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


class TestSources:
    def test_a_cache_decodes_once_until_it_is_full(self) -> None:
        source = Counting(Streets(4, 0, 10, 10))
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


class Counting:
    """A source that notes which images were asked for."""

    def __init__(self, source: Streets) -> None:
        self.source, self.asked = source, []

    def image(self, number: int) -> np.ndarray:
        self.asked.append(number)
        return self.source.image(number)
