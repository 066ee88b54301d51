"""Street scenes as image sources and as a data set with the splits of an experiment."""

from collections.abc import Mapping

import numpy as np

from service.domain.classes import CAMVID
from workers.datasets.base import Dataset, ImageSource, Pixels
from workers.datasets.drawn import STRIDE, Drawn, counts_of
from workers.datasets.streets.scene import draw_scene, plan_scene
from workers.datasets.streets.style import STYLES

SPLIT_STYLES = {"source": "day", "state": "dusk", "train": "dusk", "reward": "dusk", "pool": "dusk", "test": "dusk"}
DEFAULT_COUNTS = {"source": 800, "state": 10, "train": 60, "reward": 40, "pool": 200, "test": 60}


class Streets(Drawn):
    """Scenes 0 to count-1 of a seed and a style. Scene n is the same whatever was drawn before, and at any size."""

    def __init__(
        self, count: int, seed: int, height: int = 360, width: int = 480, style: str = "day", *, first: int = 0
    ) -> None:
        """Scene 0 here is the seed's scene `first`.

        Raises ValueError for an unknown style, a negative count or seed, or a size without pixels.
        """
        if style not in STYLES:
            raise ValueError(f"There is no street style {style!r}; there are {', '.join(STYLES)}.")
        if seed < 0:
            raise ValueError(f"The seed of street scenes cannot be negative, got {seed}.")
        chosen = STYLES[style]

        def draw(number: int) -> tuple[Pixels, Pixels]:
            return draw_scene(plan_scene(chosen, np.random.default_rng([seed, number])), height, width)

        super().__init__(count, (height, width), draw, prefix=f"{style}_{seed}", first=first)


def streets_dataset(
    seed: int = 0, height: int = 360, width: int = 480, counts: Mapping[str, int] | None = None
) -> Dataset:
    """Splits of scenes that never share one: `source` to pre-train on, in another style than the five of the target.

    `counts` says how many images each split has, the rest as in DEFAULT_COUNTS. Raises ValueError for an unknown split.
    """
    wanted = counts_of("Streets", DEFAULT_COUNTS, counts)
    splits: dict[str, ImageSource] = {
        split: Streets(wanted[split], seed, height, width, style, first=STRIDE * position)
        for position, (split, style) in enumerate(SPLIT_STYLES.items())
    }
    return Dataset(name="streets", classes=CAMVID, splits=splits)
