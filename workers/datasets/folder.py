"""Anybody's images in a folder: with or without label maps, with their own classes and splits, or drawn ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet
from service.domain.label_readings import LabelReading
from service.domain.metrics import class_counts
from service.domain.pages import PagesTaken
from service.domain.readings import Reading
from service.domain.splits import draw_state_set, split_by_names
from workers.datasets.base import SOURCE, SPLITS, Dataset, DatasetError, Pixels, Subset
from workers.datasets.camvid_original import is_original
from workers.datasets.files import SUFFIXES, UNREAD, files_below, images_by_name, read_json, require_folder
from workers.datasets.stacks import Pair, Stacks

CLASSES_HOLD = 'the classes: {"classes": [{"id": 0, "name": "Road", "color": [128, 64, 128]}, ...], "ignore_id": 255}'
SPLITS_HOLD = f"lists of image names by split, {', '.join(SPLITS)} or {SOURCE}"
IMAGES, LABELS = "images", "labels"  # the folders that they lie in
STATE_SIZE = 10  # images of D_S, fewer where there are few
# Shares of the labelled images when splits are drawn; the pool gets what is left of them.
TEST, REWARD, TRAIN = 0.2, 0.15, 0.25
FEWEST = 6
LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".npy")
ARRAYS = frozenset({".npz", ".mat", ".h5"})  # which hold label maps too, and are not read
# What others call a folder of label maps.
OTHER_FOLDERS = (
    "label",
    "masks",
    "mask",
    "annotations",
    "annotation",
    "annots",
    "gt",
    "ground_truth",
    "segmentation",
    "targets",
)
ENDINGS = (
    "_mask",
    "_masks",
    "_label",
    "_labels",
    "_gt",
    "_seg",
    "_segmentation",
    "_labelIds",
    "_annotation",
    "-mask",
    ".mask",
)
# How label maps are named where they are not named as their images.
PATTERNS = ("{stem}", *(f"{{stem}}{ending}" for ending in ENDINGS), "mask_{stem}", "label_{stem}", "gt_{stem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReading:
    """How a folder is read. labels: the name of an image's label map below labels/, without its suffix, {stem} standing for the
    image's; images, label_maps: how files are read. strays: label maps that match no image are left out, and not refused.
    pages: which of a stack's are taken; None: stacks are refused.
    """

    labels: str = "{stem}"
    images: Reading = field(default_factory=Reading)
    label_maps: LabelReading = field(default_factory=LabelReading)
    strays: bool = False
    pages: PagesTaken | None = None

    def __post_init__(self) -> None:
        if "{stem}" not in self.labels:
            raise ValueError(
                f"A pattern of label maps' names holds {{stem}}, as '{{stem}}_mask' does, unlike {self.labels!r}."
            )


def open_folder(
    root: Path, *, seed: int = 0, reading: FolderReading | None = None, classes: Path | None = None
) -> Dataset:
    """`root` holds images/, perhaps labels/ (PNG, TIFF, BMP or NPY of class ids under the images' names), classes.json.

    Folders within images/ are part of the names. splits.json may list the names of each split; without it, splits are
    drawn by `seed` as `draw_splits` says. `classes` is another file of classes. Raises DatasetError for what is missing or wrong.
    """
    how = reading or FolderReading()
    require_folder(root, "images/ and classes.json")
    folder = require_folder(root / IMAGES, f"the images{_layout_of(root)}")
    known = read_classes(classes or root / "classes.json")
    found = images_by_name(folder, files_below(folder), kinds=SUFFIXES | UNREAD)
    if not found:
        raise DatasetError(f"There are no images in {folder}.")
    labels = label_maps(root / LABELS, list(found), how)
    listed = root / "splits.json"
    wanted = _listed(listed) if listed.exists() else None
    pairs: list[Pair] = [(name, path, labels.get(name)) for name, path in found.items()]
    made = split_files(root.name, pairs, known, how=how, wanted=wanted, seed=seed, place=listed)
    return replace(made, left_out=sorted({*files_below(folder)} - {*found.values()}))


def split_files(
    name: str,
    pairs: Sequence[Pair],
    classes: ClassSet,
    *,
    how: FolderReading,
    wanted: Mapping[str, Sequence[str]] | None,
    seed: int,
    place: Path,
) -> Dataset:
    """A data set of image files in the splits `wanted`, by names, those of stacks standing for all their pages; None: drawn ones.

    The pages of a stack stay together in splits that are drawn. `place`, which lists the splits, is named where they are wrong:
    DatasetError.
    """
    files = Stacks(pairs, classes, images=how.images, label_maps=how.label_maps, taken=how.pages)
    if wanted is None:
        labelled = np.array([label is not None for _, _, label in pairs])
        drawn = draw_splits(files.labels_of_file, labelled, len(classes), np.random.default_rng(seed))
        splits = {split: files.numbers(numbers) for split, numbers in drawn.items()}
    else:
        try:
            splits = split_by_names([files.name(number) for number in range(len(files))], files.spelled_out(wanted))
        except ValueError as error:
            raise DatasetError(f"{place}: {error}") from error
    subsets = {split: Subset(files, numbers) for split, numbers in splits.items()}
    return Dataset(name=name, classes=classes, splits=subsets)


def _layout_of(root: Path) -> str:
    """What else a folder looks like, to be said where it has no images/."""
    if (root / "leftImg8bit").is_dir():
        return "; this looks like Cityscapes, which is the data set cityscapes"
    if is_original(root) or (root / "trainannot").is_dir():
        return "; this looks like CamVid, which is the data set camvid"
    return ""


def read_classes(path: Path) -> ClassSet:
    """The classes that a JSON file lists. Raises DatasetError for what is missing or wrong."""
    try:
        return ClassSet.from_json(read_json(path, CLASSES_HOLD))
    except DatasetError:
        raise
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


def label_maps(folder: Path, names: Sequence[str], how: FolderReading) -> dict[str, Path]:
    """The label map of each image that has one. Raises DatasetError for strays, and for label maps that are named otherwise."""
    if not folder.is_dir():
        other = next((folder.with_name(name) for name in OTHER_FOLDERS if folder.with_name(name).is_dir()), None)
        if other is None or how.strays:
            return {}
        raise DatasetError(
            f"There is no folder {folder}, and {other} looks like one of label maps: name it {folder.name}, or go on without "
            "label maps (--ignore-strays)."
        )
    there: dict[str, Path] = {}
    files = sorted(files_below(folder))
    for path in files:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() not in LABEL_SUFFIXES:
            if path.suffix.lower() in SUFFIXES | UNREAD | ARRAYS and not how.strays:
                raise DatasetError(
                    f"{path} is no label map: those are {', '.join(LABEL_SUFFIXES)}; others change values, or are not read. "
                    "Convert it from what it was made of, or leave it out (--ignore-strays)."
                )
            continue
        if stem in there:
            raise DatasetError(f"Both {there[stem]} and {path} are the label map {stem}: take one away.")
        there[stem] = path
    if files and not there and not how.strays:
        raise DatasetError(
            f"{folder} holds no label map, but {files[0].name}{' and others' * (len(files) > 1)}: label maps are "
            f"{', '.join(LABEL_SUFFIXES)}. Other tools' files are data sets of their own (coco, voc, labelstudio, cvat). Make "
            "label maps of these, or go on without (--ignore-strays)."
        )
    matched = _matched(there, names, how.labels)
    strays = sorted(there.keys() - {path.relative_to(folder).with_suffix("").as_posix() for path in matched.values()})
    if not strays or how.strays:
        return matched
    others = {pattern: len(_matched(there, names, pattern)) for pattern in PATTERNS}
    best = max(others, key=lambda pattern: others[pattern])
    if others[best] > len(matched):
        raise LabelsNamedOtherwise(folder, there[strays[0]], best)
    raise DatasetError(
        f"{len(strays)} label maps in {folder} match no image: {', '.join(strays[:5])}{', ...' if len(strays) > 5 else ''}. Name "
        "them as their images, say how they are named (--labels '{stem}_mask'), or leave them out (--ignore-strays)."
    )


class LabelsNamedOtherwise(DatasetError):
    """Label maps have their images' names with something more, which `pattern` says."""

    def __init__(self, folder: Path, example: Path, pattern: str) -> None:
        self.pattern = pattern
        super().__init__(
            f"Label maps in {folder} are named like {example.name}: say --labels '{pattern}' if that is so."
        )


def _matched(there: Mapping[str, Path], names: Sequence[str], pattern: str) -> dict[str, Path]:
    found = {}
    for name in names:
        folder, _, stem = name.rpartition("/")
        wanted = pattern.replace("{stem}", stem)
        path = there.get(f"{folder}/{wanted}" if folder else wanted)
        if path is not None:
            found[name] = path
    return found


def draw_splits(
    label_map: Callable[[int], Pixels], labelled: NDArray[np.bool_], classes: int, rng: np.random.Generator
) -> dict[str, list[int]]:
    """Random splits by image number; D_S is chosen so that its class distribution resembles D_T's.

    Of the labelled images a fifth are for test, 15 % for rewards, a quarter for training (D_S is taken from these);
    the others are the pool. Where there are images without label maps, those are the pool, and the labelled ones are
    shared out among the other splits alone. No labels at all: everything is the pool. Raises DatasetError for too few.
    """
    bare, known = np.flatnonzero(~labelled), rng.permutation(np.flatnonzero(labelled))
    if not known.size:
        return {"pool": bare.tolist()}
    if known.size < FEWEST:
        raise DatasetError(
            f"{known.size} labelled images are too few to draw splits from, which takes {FEWEST} (the pages of a stack stay "
            "together, and count as one): list them in splits.json, or in the column split of a list."
        )
    scale = 1 / (TEST + REWARD + TRAIN) if bare.size else 1.0
    test, reward = (max(1, int(known.size * share * scale)) for share in (TEST, REWARD))
    rest = known[test + reward :]
    training = rest if bare.size else rest[: max(2, int(known.size * TRAIN))]
    pool = bare if bare.size else rest[training.size :]
    histograms = np.stack([_histogram(label_map, int(number), classes) for number in training])
    size = min(STATE_SIZE, training.size // 2)
    state = draw_state_set(histograms, size, rng) if histograms.any() else np.arange(size)
    return {
        "state": np.sort(training[state]).tolist(),
        "train": np.sort(np.delete(training, state)).tolist(),
        "reward": np.sort(known[test : test + reward]).tolist(),
        "pool": np.sort(pool).tolist(),
        "test": np.sort(known[:test]).tolist(),
    }


def _histogram(label_map: Callable[[int], Pixels], number: int, classes: int) -> NDArray[np.int64]:
    """Zeros for a label map that cannot be read: splits are drawn all the same, and whoever reads it says what is wrong."""
    try:
        return class_counts(label_map(number), classes)
    except DatasetError:
        return np.zeros(classes, np.int64)


def _listed(path: Path) -> Mapping[str, Sequence[str]]:
    wanted = read_json(path, SPLITS_HOLD)
    if not isinstance(wanted, Mapping) or not all(
        isinstance(each, list) and all(isinstance(name, str) for name in each) for each in wanted.values()
    ):
        raise DatasetError(f"{path} should hold {SPLITS_HOLD}.")
    unknown = sorted(set(wanted) - {*SPLITS, SOURCE})
    if unknown:
        raise DatasetError(f"{path} lists the split {', '.join(unknown)}; splits are {', '.join(SPLITS)} and {SOURCE}.")
    return wanted
