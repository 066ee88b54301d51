"""The size of regions where an experiment on own files leaves it open."""

from contextlib import suppress
from itertools import chain
from pathlib import Path

from service.schemas.project_settings import leaves_cells_open, suited_cells
from workers.datasets.base import DatasetError
from workers.experiments.settings import Experiment
from workers.runs.perform import kept_data
from workers.runs.soundness import OWN

_LOOKED_AT = 500  # of many images, for each is opened


def with_cells(experiment: Experiment, root: Path | None) -> Experiment:
    """The experiment with regions that suit the images, as a project chooses them, where nothing is said of their size.

    Raises ValueError for a data set that cannot be read.
    """
    if root is None or experiment.dataset not in OWN or not leaves_cells_open(experiment.model_fields_set):
        return experiment
    sources = kept_data(experiment, root).splits.values()
    places = list(chain.from_iterable(((source, number) for number in range(len(source))) for source in sources))
    step = -(-len(places) // _LOOKED_AT) or 1
    sizes = []
    for source, number in places[::step]:
        with suppress(DatasetError):  # all that cannot be read is told of before anything is played
            sizes.append(source.size(number))
    if not sizes:
        return experiment
    return experiment.model_copy(update=suited_cells(sizes))
