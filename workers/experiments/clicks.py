"""What regions cost to draw: polygon clicks of every region of a split, counted once and kept in the cache."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.outlines import clicks_of_each
from service.domain.regions import Grid
from workers.datasets.base import ImageSource
from workers.experiments.stages import Bench
from workers.files import settings_hash, write_atomically

# Raised when what is counted changes, so that kept counts of an earlier version are not read.
FORMAT = 1


class Clicks:
    """Clicks of every region of a split; those of parts of cells are counted when they are asked for."""

    def __init__(self, clicks_R: NDArray[np.int64], grids: Sequence[Grid], source: ImageSource) -> None:
        """`clicks_R` holds those of undivided cells, image by image; `grids` divides each image of the source."""
        cells = [grid.cells.size for grid in grids]
        if sum(cells) != len(clicks_R):
            raise ValueError(
                f"There are {len(clicks_R)} counts for {sum(cells)} regions; delete the cache's clicks-*.npy."
            )
        self._clicks_R, self._grids, self._source = clicks_R, grids, source
        self._starts = np.cumsum([0, *cells])

    @property
    def total(self) -> int:
        """Clicks of all undivided cells together."""
        return int(self._clicks_R.sum())

    def of(self, asked: Iterable[Sequence[int]]) -> int:
        """Clicks of the regions [image, region] together."""
        clicks, parts = 0, []
        for image, region in asked:
            grid = self._grids[image]
            cell, part = divmod(region, grid.per_cell)
            if part:
                parts.append(self._source.label_map(image)[grid.box(region).slices])
            else:
                clicks += int(self._clicks_R[self._starts[image] + cell])
        return clicks + int(clicks_of_each(parts).sum())


def clicks_of_split(bench: Bench, split: str) -> Clicks:
    """The clicks of a split's regions at the experiment's size, from the cache where they are there."""
    source, grids = bench.split(split), region_grids(bench, split)
    path = bench.cache / f"clicks-{split}-{_key(bench, split)}.npy"
    if path.exists():
        clicks_R = np.load(path)
    else:
        clicks_R = _counted(bench, source, grids, split)
        buffer = io.BytesIO()
        np.save(buffer, clicks_R)
        write_atomically(path, buffer.getvalue())
    return Clicks(clicks_R, grids, source)


def add_clicks(record: dict[str, Any], bench: Bench) -> dict[str, Any]:
    """A trajectory's record with the clicks of each budget, those that are there left alone."""
    asked = record.get("asked", [])
    missing = [
        entry for entry in record["budgets"].values() if "clicks" not in entry and entry["regions"] <= len(asked)
    ]
    if missing:
        clicks = clicks_of_split(bench, "pool")
        for entry in missing:
            entry["clicks"] = clicks.of(asked[: entry["regions"]])
    return record


def region_grids(bench: Bench, split: str) -> list[Grid]:
    """The grid of regions of each image of a split."""
    source = bench.split(split)
    return [bench.experiment.grid(source.size(number)) for number in range(len(source))]


def _counted(bench: Bench, source: ImageSource, grids: Sequence[Grid], split: str) -> NDArray[np.int64]:
    counts = list[int]()
    for number, grid in enumerate(grids):
        label_map_HW = source.label_map(number)
        counts += clicks_of_each([label_map_HW[grid.box(cell).slices] for cell in grid.cells.tolist()]).tolist()
        bench.report(number / len(grids), f"polygon clicks of {split}: image {number + 1} of {len(grids)}")
    return np.array(counts, np.int64)


def _key(bench: Bench, split: str) -> str:
    names = {"dataset", "height", "width", "cell_height", "cell_width", "counts"}
    names |= {"reward_images"} if split == "reward" else set()
    names |= {"reading"} if bench.experiment.says_how_read else set()
    return settings_hash([FORMAT, split, bench.experiment.model_dump(mode="json", include=names)])
