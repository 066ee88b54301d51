"""CamVid with the splits of the paper's authors: in the layout of the SegNet tutorial, or as it was given out first."""

from functools import partial
from pathlib import Path

from service.domain.classes import CAMVID
from service.domain.splits import split_by_names
from workers.datasets.base import Dataset, DatasetError, Files, Subset
from workers.datasets.camvid_original import is_original, original_pairs, read_original_labels
from workers.datasets.files import images_by_name, published_splits, read_class_ids, require_folder

FOLDERS = ("train", "val", "test")


def open_camvid(root: Path) -> Dataset:
    """D_S 10, D_T 100 and D_V 257 images of the folder train, D_R 101 of val, and test 233.

    `root` holds the folders train, val, test with images of any kind, and trainannot, valannot, testannot with PNG
    label maps under the same names: ids 0 to 10, 11 for unlabelled pixels. Or it holds 701_StillsRaw_full with whole frames
    and LabeledApproved_full with label maps in 32 colours, which are read as the same eleven classes; the splits go by the
    same names. Raises DatasetError for what is missing.
    """
    require_folder(root, f"CamVid's folders {', '.join(FOLDERS)} and {'annot, '.join(FOLDERS)}annot")
    original = is_original(root)
    pairs = original_pairs(root) if original else _segnet_pairs(root)
    try:
        splits = split_by_names([name for name, _, _ in pairs], published_splits("camvid"))
    except ValueError as error:
        raise DatasetError(f"{root} is not CamVid as the authors' splits need it. {error}") from error
    _require_label_maps(pairs)
    files = Files(pairs, read_original_labels if original else partial(read_class_ids, classes=CAMVID))
    return Dataset(name="camvid", classes=CAMVID, splits={name: Subset(files, all_) for name, all_ in splits.items()})


def _segnet_pairs(root: Path) -> list[tuple[str, Path, Path | None]]:
    pairs: list[tuple[str, Path, Path | None]] = []
    for folder in FOLDERS:
        holds = f"CamVid's {folder} images (PNG, WebP or JPEG)"
        images = require_folder(root / folder, holds)
        labels = require_folder(root / f"{folder}annot", f"the PNG label maps of {root / folder}")
        found = images_by_name(images, images.iterdir())
        pairs += [(name, path, labels / f"{name}.png") for name, path in found.items()]
    return pairs


def _require_label_maps(pairs: list[tuple[str, Path, Path | None]]) -> None:
    for _, image, labels in pairs:
        if labels is None or not labels.is_file():
            raise DatasetError(f"The image {image} has no label map {labels}.")
