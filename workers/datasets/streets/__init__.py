"""Synthetic street scenes with CamVid's eleven classes: the source domain and the demo, drawn from seeds alone."""

from workers.datasets.streets.source import SPLIT_STYLES, Streets, streets_dataset
from workers.datasets.streets.style import STYLES

__all__ = ["SPLIT_STYLES", "STYLES", "Streets", "streets_dataset"]
