"""What an image of shapes looks like: each class its colour and texture, under the light of its series, through a lens.

At another size the label map shows the same; texture and noise are laid elsewhere.

Shapes: H x W pixels of an image, N of a class.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from service.domain.classes import IGNORE
from workers.datasets.base import Pixels
from workers.datasets.shapes.layouts import HEIGHT, Tones
from workers.datasets.shapes.world import Look, Series, World
from workers.datasets.streets.textures import TILE, color_grain, grain, laid, smooth_noise

# Nobody labels what lies between shapes, and it is dark.
_BETWEEN = 40.0


def paint(world: World, series: Series, label_map_HW: Pixels, tones_HW: Tones, rng: np.random.Generator) -> Pixels:
    """The photograph of a label map, uint8, height x width x 3."""
    height, width = label_map_HW.shape
    colors_HW3 = np.full((height, width, 3), _BETWEEN, np.float32)
    for place in np.unique(label_map_HW[label_map_HW != IGNORE]):
        inside_HW = label_map_HW == place
        texture_HW = _texture(world.looks[place], series, height, width, rng)
        bright_N = (tones_HW * texture_HW)[inside_HW]
        color_3 = np.asarray(world.looks[place].color * series.shifts_C3[place], np.float32)
        colors_HW3[inside_HW] = color_3 * bright_N[:, None]
    lit_HW3 = colors_HW3 * series.gain_3.astype(np.float32) * _light(height, width, rng)[..., None]
    lit_HW3 = 255 * (lit_HW3.clip(0, 255) / 255) ** series.gamma
    image = Image.fromarray(lit_HW3.astype(np.uint8))
    if world.blur:
        image = image.filter(ImageFilter.GaussianBlur(world.blur * height / HEIGHT))
    noise = laid(color_grain(), height, 3 * width, _at(rng)).reshape(height, width, 3)
    return (np.asarray(image, np.float32) + world.noise * noise).clip(0, 255).astype(np.uint8)


def _texture(look: Look, series: Series, height: int, width: int, rng: np.random.Generator) -> Tones:
    """(H, W) brightness around 1."""
    texture_HW = 1 + look.grain * laid(grain(), height, width, _at(rng))
    texture_HW += look.mottle * laid(_mottle(look.coarse), height, width, _at(rng))
    if look.stripes:
        rows, cols = np.arange(height)[:, None] / height, np.arange(width)[None, :] / height
        angle = look.angle + series.turn
        along_HW = (cols * np.cos(angle) + rows * np.sin(angle)) / look.period
        texture_HW = texture_HW + look.stripes * np.sin(2 * np.pi * along_HW)
    return np.asarray(texture_HW, np.float32).clip(0.2, 1.8)


def _light(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) a slope of brightness across the image."""
    down, right = rng.uniform(-0.2, 0.2, 2)
    slope_HW = 1 + down * np.linspace(-1, 1, height)[:, None] + right * np.linspace(-1, 1, width)[None, :]
    return np.asarray(slope_HW, np.float32)


@lru_cache(maxsize=8)
def _mottle(coarse: int) -> Tones:
    return smooth_noise(TILE, coarse, np.random.default_rng([19, coarse]))


def _at(rng: np.random.Generator) -> tuple[int, int]:
    row, col = rng.integers(TILE, size=2).tolist()
    return row, col
