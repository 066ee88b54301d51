"""Worlds of shapes as image sources and as a data set with the splits of a game."""

from collections.abc import Mapping

import numpy as np

from workers.datasets.base import SPLITS, Dataset, ImageSource, Pixels
from workers.datasets.drawn import STRIDE, Drawn, counts_of
from workers.datasets.shapes.layouts import arrange
from workers.datasets.shapes.looks import paint
from workers.datasets.shapes.world import World, plan_series, plan_world

DEFAULT_COUNTS = {"state": 10, "train": 60, "reward": 30, "pool": 120, "test": 40}
# Images that follow each other share their light and the classes that are there, as those of one drive or one slide do.
SERIES = 8


def draw_shapes(world: World, number: int, height: int, width: int) -> tuple[Pixels, Pixels]:
    """Image `number` of a world and its label map."""
    series = plan_series(world, number // SERIES)
    rng = np.random.default_rng([world.seed, 2, number])
    label_map_HW, tones_HW = arrange(world, series, height, width, rng)
    return paint(world, series, label_map_HW, tones_HW, rng), label_map_HW


def shapes_dataset(
    seed: int = 0, height: int = 360, width: int = 480, counts: Mapping[str, int] | None = None
) -> Dataset:
    """Five splits of images of the world `seed`, none of which share a series.

    `counts` says how many images each split has, the rest as in DEFAULT_COUNTS. Raises ValueError for an unknown split,
    a negative seed or count, and a size without pixels.
    """
    wanted = counts_of("Shapes", DEFAULT_COUNTS, counts)
    world = plan_world(seed)

    def draw(number: int) -> tuple[Pixels, Pixels]:
        return draw_shapes(world, number, height, width)

    splits: dict[str, ImageSource] = {
        split: Drawn(wanted[split], (height, width), draw, prefix=f"shapes_{seed}", first=STRIDE * place)
        for place, split in enumerate(SPLITS)
    }
    return Dataset(name="shapes", classes=world.classes, splits=splits)
