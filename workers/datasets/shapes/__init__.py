"""Generated domains that are no streets: plots seen from above, cells under a lens, thin lines, layers with things on them."""

from workers.datasets.shapes.source import shapes_dataset
from workers.datasets.shapes.world import LAYOUTS, World, plan_world

__all__ = ["LAYOUTS", "World", "plan_world", "shapes_dataset"]
