"""How much of a disk the features of a run's images may take, where nobody says it."""

import shutil
from pathlib import Path

from models.frozen import STRIDES
from models.projection import COMPONENTS
from workers.datasets.base import Dataset
from workers.experiments.settings import Experiment
from workers.training.feature_cache import DISK_BYTES, FeatureCache

# Beside the data set's images there are those that policies play on, and files under way.
SPARE = 1.2
# Of what is free, or taken by features already, at most this share.
SHARE_OF_DISK = 0.8
_NUMBER_BYTES, _HEADER_BYTES = 2, 128  # float16; what a .npy file begins with


def feature_bound(experiment: Experiment, dataset: Dataset, folder: Path) -> int:
    """Bytes: 20 GiB, or as many as the data set needs where that is more, but at most 80 % of the folder's disk."""
    wanted = max(DISK_BYTES, int(SPARE * features_needed(experiment, dataset)))
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free + FeatureCache(folder).on_disk()
    return min(wanted, int(SHARE_OF_DISK * free))


def features_needed(experiment: Experiment, dataset: Dataset) -> int:
    """Bytes of what the experiment's frozen encoder sees of all images of the data set; 0 without one."""
    if not experiment.architecture.frozen:
        return 0
    begins, needed = experiment.architecture.stride, 0
    strides = [each for each in STRIDES if each == begins or (each < begins and experiment.stride_by_labels)]
    for source in dataset.splits.values():
        for number in range(len(source)):
            height, width = source.size(number)
            for stride in strides:
                needed += _NUMBER_BYTES * COMPONENTS * -(-height // stride) * -(-width // stride) + _HEADER_BYTES
    return needed
