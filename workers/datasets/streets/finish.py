"""From a painted scene to a photograph: surface texture, vignette, lens blur, contrast, sensor noise."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.datasets.streets.canvas import Canvas
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.textures import TILE, bricks, color_grain, laid

# Strength of the fine texture on each class, Sky to Bicyclist, as a share of its brightness.
ROUGHNESS = (0.0, 0.05, 0.04, 0.012, 0.02, 0.11, 0.02, 0.06, 0.015, 0.06, 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """The camera's faults, drawn once a scene."""

    vignette: float  # darkening of the corners, 0..1
    blur: float  # weight of each neighbour in a pixel, 0..0.25
    noise: float  # standard deviation in grey levels
    gamma: float  # above 1 darkens the middle tones
    veil: float  # grey levels of stray light that lift the blacks
    texture: float  # factor on ROUGHNESS
    offsets: tuple[int, int, int]


def plan_lens(dice: Dice) -> Lens:
    """A dash camera's faults."""
    return Lens(
        vignette=dice.between(0.0, 0.3),
        blur=dice.between(0.04, 0.14) if dice.chance(0.85) else dice.between(0.14, 0.25),
        noise=dice.between(0.6, 3.0),
        gamma=dice.between(0.9, 1.25),
        veil=dice.between(0.0, 10.0),
        texture=dice.between(0.5, 1.3),
        offsets=(dice.whole(0, TILE - 1), dice.whole(0, TILE - 1), dice.whole(0, TILE - 1)),
    )


@lru_cache(maxsize=4)
def _corners(height: int, width: int) -> NDArray[np.float32]:
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    cols = np.linspace(-1, 1, width, dtype=np.float32)[None, :] ** 2
    return np.asarray((rows + cols) / 2, dtype=np.float32)


def develop(canvas: Canvas, lens: Lens) -> NDArray[np.uint8]:
    """The finished photograph, uint8, height x width x 3."""
    labels = np.asarray(canvas.labels)
    height, width = labels.shape
    a, b, c = lens.offsets
    rough = np.full(256, 0.05, dtype=np.float32)
    rough[: len(ROUGHNESS)] = ROUGHNESS
    gain = np.take(rough * lens.texture, labels)
    gain *= laid(bricks(), height, width, (a, b))
    gain += 1 - lens.vignette * _corners(height, width)
    curve = lens.veil + (255 - lens.veil) * (np.arange(256) / 255) ** lens.gamma
    table = curve.round().astype(int).tolist()
    planes = []
    for plane in canvas.image.split():
        soft = _blurred(np.asarray(plane) * gain, lens.blur)
        planes.append(Image.fromarray(np.minimum(soft, 255, out=soft).astype(np.uint8)).point(table))
    # the three channels of a row lie side by side in the noise, so that it is added in one stretch
    tones = lens.noise * laid(color_grain(), height, 3 * width, (b, 3 * c))
    tones += np.asarray(Image.merge("RGB", planes)).reshape(height, 3 * width)
    np.clip(tones, 0, 255, out=tones)
    return tones.astype(np.uint8).reshape(height, width, 3)


def _blurred(plane: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Each pixel with `weight` of its neighbours above, below, left and right."""
    for axis in (plane, plane.T):
        middle = axis * (1 - 2 * weight)
        middle[1:] += weight * axis[:-1]
        middle[:-1] += weight * axis[1:]
        middle[0] += weight * axis[0]
        middle[-1] += weight * axis[-1]
        axis[...] = middle
    return plane
