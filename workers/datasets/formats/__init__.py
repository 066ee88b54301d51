"""The formats of other tools, and of regionwise's own exports, by the names that commands know them by."""

from collections.abc import Callable
from pathlib import Path

from workers.datasets.base import Dataset
from workers.datasets.formats.annotated import Annotated, Drawn, FormatReading
from workers.datasets.formats.coco import open_coco
from workers.datasets.formats.cvat import open_cvat
from workers.datasets.formats.labelstudio import open_labelstudio
from workers.datasets.formats.own import open_own
from workers.datasets.formats.voc import open_voc

__all__ = ["FORMATS", "Annotated", "Drawn", "FormatReading"]

FORMATS: dict[str, Callable[[Path, FormatReading], Dataset]] = {
    "coco": open_coco,
    "voc": open_voc,
    "labelstudio": open_labelstudio,
    "cvat": open_cvat,
    "regionwise": open_own,
}
