"""The sky: gradient, clouds, glare, and how bright it is beside the ground."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workers.datasets.streets.canvas import SKY, Canvas, Color
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.textures import TILE, clouds, laid

ROWS, COLS = 72, 128  # the sky is soft: it is composed small and enlarged


@dataclass(frozen=True, slots=True, kw_only=True)
class Sky:
    """Final colours, 0..255 (more is overexposed): the camera's exposure is already in them."""

    zenith: Color
    horizon: Color
    cloud: Color
    cover: float  # share of the sky under cloud, 0..1
    contrast: float  # how much clouds differ in brightness among themselves
    glare: float  # strength of the sun's halo, 0 none
    sun_at: tuple[float, float]  # row and column of the sun, as shares of the sky's picture
    offset: tuple[int, int]


SKIES: dict[str, tuple[Color, Color, Color, tuple[float, float], float]] = {
    # zenith, horizon, cloud, cover, contrast
    "white": ((250, 254, 256), (262, 262, 262), (260, 262, 262), (0.3, 1.0), 0.03),
    "clear": ((158, 205, 246), (244, 252, 256), (255, 255, 255), (0.0, 0.35), 0.05),
    "pale": ((206, 234, 250), (256, 260, 260), (255, 255, 255), (0.1, 0.6), 0.04),
    "overcast": ((205, 212, 216), (236, 238, 238), (222, 227, 230), (0.7, 1.0), 0.10),
    "broken": ((120, 150, 172), (196, 205, 200), (150, 160, 165), (0.4, 0.9), 0.20),
    "leaden": ((112, 124, 128), (186, 188, 180), (122, 132, 136), (0.6, 1.0), 0.20),
    "sunset": ((92, 112, 158), (250, 196, 138), (214, 150, 130), (0.2, 0.7), 0.20),
    "twilight": ((46, 60, 104), (186, 140, 130), (92, 86, 112), (0.2, 0.8), 0.18),
}


def plan_sky(kind: str, dice: Dice, sun: int) -> Sky:
    """A sky of one of the kinds in SKIES; sun -1, 0 or 1 as in Light."""
    zenith, horizon, cloud, cover, contrast = SKIES[kind]
    tone = dice.between(0.94, 1.08)
    return Sky(
        zenith=tuple(c * tone for c in dice.around(zenith, 0.06)),
        horizon=tuple(c * tone for c in dice.around(horizon, 0.04)),
        cloud=tuple(c * tone for c in dice.around(cloud, 0.05)),
        cover=dice.between(*cover),
        contrast=contrast * dice.between(0.5, 1.5),
        glare=dice.between(0.1, 0.9) if sun and dice.chance(0.4) else 0.0,
        sun_at=(dice.between(0.1, 0.9), 0.5 + sun * dice.between(0.0, 0.6)),
        offset=(dice.whole(0, TILE - 1), dice.whole(0, TILE - 1)),
    )


def draw_sky(canvas: Canvas, sky: Sky) -> None:
    """Fill the canvas from the top to a little below the horizon."""
    camera = canvas.camera
    bottom = min(camera.height, int(camera.row + 0.06 * camera.height) + 2)
    if bottom <= 0:
        return
    small = Image.fromarray(_compose(sky))
    # the picture spans one image height above the horizon, so that a view tilted up or down shows more or less of it
    top = ROWS * (1 - camera.row / camera.height) if camera.row < camera.height else 0.0
    picture = small.resize((camera.width, bottom), Image.Resampling.BICUBIC, box=(0, max(0.0, top), COLS, ROWS))
    canvas.image.paste(picture, (0, 0))
    canvas.label_pen.rectangle((0, 0, camera.width, bottom), fill=SKY)


def _compose(sky: Sky) -> NDArray[np.uint8]:
    down = np.linspace(0, 1, ROWS, dtype=np.float32)[:, None]
    share = (down**1.6)[..., None]
    colors = np.asarray(sky.zenith, np.float32) * (1 - share) + np.asarray(sky.horizon, np.float32) * share
    # clouds are seen ever flatter towards the horizon
    noise = laid(clouds(), TILE, 2 * COLS, sky.offset)
    rows = (TILE * 0.28 / (1.12 - down[:, 0])).astype(np.int64) % TILE
    noise = noise[rows, ::2]
    amount = np.clip((noise + 3.2 * sky.cover - 1.6) * 1.1, 0, 1)[..., None]
    lit = np.asarray(sky.cloud, np.float32) * (1 + sky.contrast * np.roll(noise, 5, axis=1)[..., None])
    picture = colors * (1 - amount) + lit * amount
    if sky.glare:
        cols = np.linspace(0, 1, COLS, dtype=np.float32)[None, :]
        distance = ((down - sky.sun_at[0]) * 0.7) ** 2 + (cols - sky.sun_at[1]) ** 2
        picture = picture + 190 * sky.glare * np.exp(-distance / 0.05)[..., None]
    return np.asarray(np.clip(picture, 0, 255).astype(np.uint8))
