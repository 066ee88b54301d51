"""The smallest image that an upload may hold is the smallest that networks take."""

import numpy as np
import pytest

from service.domain.usable import LEAST_SIDE
from tests.workers.conftest import Rectangles
from workers.training.building import Architecture, fresh_segmenter
from workers.training.convergence import predicted_label_map


class Small(Rectangles):
    """One image of noise."""

    def __init__(self, side: int) -> None:
        self._size = (side, side)
        self.images = [np.random.default_rng(0).integers(0, 255, (side, side, 3)).astype(np.uint8)]


@pytest.mark.parametrize("frozen", [True, False])
def test_networks_take_what_uploads_may_hold_and_no_less(frozen: bool) -> None:
    fits, small = Small(LEAST_SIDE), Small(LEAST_SIDE - 1)
    name = "efficientnet-lite0" if frozen else "fpn"
    architecture = Architecture(name=name, frozen=frozen, width=4, dropout=0.1)
    segmenter = fresh_segmenter(architecture, 3, [fits], 0, "cpu")
    assert predicted_label_map(segmenter, fits, 0).shape == (LEAST_SIDE, LEAST_SIDE)
    with pytest.raises(ValueError, match="pixels are needed"):
        predicted_label_map(segmenter, small, 0)
