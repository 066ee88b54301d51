"""Anybody's images in a folder: with or without label maps, with their own classes and splits, or drawn ones."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet
from service.domain.metrics import class_counts
from service.domain.splits import draw_state_set, split_by_names
from workers.datasets.base import SOURCE, SPLITS, Dataset, DatasetError, Files, Subset
from workers.datasets.files import images_by_name, read_class_ids, read_json, require_folder

CLASSES_HOLD = 'the classes: {"classes": [{"id": 0, "name": "Road", "color": [128, 64, 128]}, ...], "ignore_id": 255}'
SPLITS_HOLD = f"lists of image names by split, {', '.join(SPLITS)} or {SOURCE}"
STATE_SIZE = 10  # images of D_S, fewer where there are few
# Shares of the labelled images when splits are drawn; the pool gets what is left of them.
TEST, REWARD, TRAIN = 0.2, 0.15, 0.25
FEWEST = 6


def open_folder(root: Path, *, seed: int = 0) -> Dataset:
    """`root` holds images/, perhaps labels/ (PNGs of class ids under the images' names), classes.json.

    Folders within images/ are part of the names. splits.json may list the names of each split; without it, splits are
    drawn by `seed` as `draw_splits` says. Raises DatasetError for what is missing or wrong.
    """
    folder = require_folder(require_folder(root, "images/ and classes.json") / "images", "the images")
    classes = read_classes(root / "classes.json")
    found = images_by_name(folder, (path for path in folder.rglob("*") if path.is_file()))
    if not found:
        raise DatasetError(f"There are no images in {folder}.")
    pairs = [(name, path, _label_map(root, name)) for name, path in found.items()]
    files = Files(pairs, partial(read_class_ids, classes=classes))
    labelled = np.array([labels is not None for _, _, labels in pairs])
    if (root / "splits.json").exists():
        splits = _listed(root / "splits.json", list(found))
    else:
        splits = draw_splits(files, labelled, len(classes), np.random.default_rng(seed))
    return Dataset(name=root.name, classes=classes, splits={name: Subset(files, all_) for name, all_ in splits.items()})


def read_classes(path: Path) -> ClassSet:
    """The classes that a JSON file lists. Raises DatasetError for what is missing or wrong."""
    try:
        return ClassSet.from_json(read_json(path, CLASSES_HOLD))
    except DatasetError:
        raise
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error


def draw_splits(
    files: Files, labelled: NDArray[np.bool_], classes: int, rng: np.random.Generator
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
            f"{known.size} labelled images are too few to draw splits from, which takes {FEWEST}: "
            "list them in splits.json."
        )
    scale = 1 / (TEST + REWARD + TRAIN) if bare.size else 1.0
    test, reward = (max(1, int(known.size * share * scale)) for share in (TEST, REWARD))
    rest = known[test + reward :]
    training = rest if bare.size else rest[: max(2, int(known.size * TRAIN))]
    pool = bare if bare.size else rest[training.size :]
    histograms = np.stack([class_counts(files.label_map(int(number)), classes) for number in training])
    size = min(STATE_SIZE, training.size // 2)
    state = draw_state_set(histograms, size, rng) if histograms.any() else np.arange(size)
    return {
        "state": np.sort(training[state]).tolist(),
        "train": np.sort(np.delete(training, state)).tolist(),
        "reward": np.sort(known[test : test + reward]).tolist(),
        "pool": np.sort(pool).tolist(),
        "test": np.sort(known[:test]).tolist(),
    }


def _label_map(root: Path, name: str) -> Path | None:
    path = root / "labels" / f"{name}.png"
    return path if path.is_file() else None


def _listed(path: Path, names: list[str]) -> dict[str, list[int]]:
    wanted = read_json(path, SPLITS_HOLD)
    if not isinstance(wanted, Mapping) or not all(isinstance(each, list) for each in wanted.values()):
        raise DatasetError(f"{path} should hold {SPLITS_HOLD}.")
    unknown = sorted(set(wanted) - {*SPLITS, SOURCE})
    if unknown:
        raise DatasetError(f"{path} lists the split {', '.join(unknown)}; splits are {', '.join(SPLITS)} and {SOURCE}.")
    try:
        return split_by_names(names, wanted)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
