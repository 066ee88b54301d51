"""Pascal VOC's own files: the palette, void borders, lists as splits, other classes, other encodings."""

from pathlib import Path

import numpy as np
import pytest

from service.domain.classes import IGNORE
from service.domain.masks import encode_label_png
from tests.workers.datasets.pictures import HEIGHT, WIDTH, ids, picture, write
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError
from workers.datasets.formats import FORMATS, FormatReading
from workers.datasets.formats.annotated import voc_color

PALETTE = [part for number in range(256) for part in voc_color(number)]


def voc(root: Path, lists: dict[str, list[str]] | None = None) -> Path:
    folder = root / "VOCdevkit" / "VOC2012"
    for number in range(3):
        write(folder / "JPEGImages" / f"{number}.jpg", picture(number))
        if number < 2:
            path = folder / "SegmentationClass" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_label_png(ids(number, [0, 15, 20, 255]), PALETTE))
    for name, listed in (lists or {}).items():
        path = folder / "ImageSets" / "Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(listed) + "\n")
    return folder


def test_the_colors_are_those_of_voc() -> None:
    assert [voc_color(number) for number in (0, 1, 15, 20, 255)] == [
        (0, 0, 0), (128, 0, 0), (192, 128, 128), (0, 64, 128), (224, 224, 192),
    ]  # fmt: skip


def test_palettes_void_and_lists_are_read(tmp_path: Path) -> None:
    voc(tmp_path, {"train": ["0"], "val": ["1"], "trainval": ["0", "1"], "test": ["2"]})
    (tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "trainval.txt").write_text("0\n1\n")
    dataset = open_dataset("voc", tmp_path)
    assert len(dataset.classes) == 21
    assert dataset.classes.classes[15].name == "person"
    for split, number in (("train", 0), ("reward", 1)):
        assert len(dataset.splits[split]) == 1
        expected = ids(number, [0, 15, 20, 255])
        np.testing.assert_array_equal(dataset.splits[split].label_map(0), np.where(expected == 255, IGNORE, expected))
    with pytest.raises(LookupError):
        dataset.splits["test"].label_map(0)


def test_the_colors_of_labelmap_say_which_class_and_grey_values_are_places(tmp_path: Path) -> None:
    folder = voc(tmp_path)
    (folder / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nsky:1,2,3::\nroad:4,5,6::\nvoid:9,9,9::\n")
    values = ids(0, [0, 1])
    write(folder / "SegmentationClass" / "0.png", np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[values])
    write(folder / "SegmentationClass" / "1.png", values)
    dataset = open_dataset("voc", folder)
    assert dataset.classes.names[:2] == ("sky", "road")
    for number in range(2):
        np.testing.assert_array_equal(dataset.splits["pool"].label_map(number), values)
    pixels = np.full((HEIGHT, WIDTH, 3), 77, np.uint8)
    write(folder / "SegmentationClass" / "1.png", pixels)
    with pytest.raises(DatasetError, match="colours of no class: 77 77 77"):
        dataset.splits["pool"].label_map(1)


@pytest.mark.parametrize("rest", ["", "floor"])
@pytest.mark.parametrize(("lines", "sky", "road", "void"), [("VSR", 1, 2, 0), ("SVR", 0, 2, 1), ("SRV", 0, 1, 2)])
def test_grey_values_count_the_line_of_void_wherever_it_is(
    tmp_path: Path, lines: str, sky: int, road: int, void: int, rest: str
) -> None:
    folder = voc(tmp_path)
    texts = {"S": "sky:1,2,3::", "R": "road:4,5,6::", "V": "void:224,224,192::"}
    (folder / "labelmap.txt").write_text("\n".join(texts[line] for line in lines))
    expected = ids(0, [0, 1, IGNORE])
    values = np.select([expected == 0, expected == 1], [sky, road], void).astype(np.uint8)
    write(folder / "SegmentationClass" / "0.png", values)
    pool = FORMATS["voc"](folder, FormatReading(rest=rest)).splits["pool"]
    np.testing.assert_array_equal(pool.label_map(0), expected)


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    folder = voc(tmp_path, {"train": ["0", "1", "gone"], "val": ["1"]})
    with pytest.raises(DatasetError, match="1 is in several lists"):
        open_dataset("voc", tmp_path)
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()
    dataset = open_dataset("voc", tmp_path)
    with pytest.raises(DatasetError, match=r"gone\.jpg cannot be read"):
        dataset.splits["train"].image(2)
    (folder / "SegmentationClass" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"0\.png"):
        dataset.splits["train"].label_map(0)
    for text, sentence in (("sky:1,2::", "lines of name:red,green,blue"), ("a:1,2,3::\na:2,2,3::", "a color twice")):
        (folder / "labelmap.txt").write_text(text)
        with pytest.raises(DatasetError, match=sentence):
            open_dataset("voc", tmp_path)
