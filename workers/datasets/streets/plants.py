"""Trees, hedges and bushes: shapes grown once a process, then tinted and placed at any size."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workers.datasets.streets.canvas import TREE, Canvas, Color
from workers.datasets.streets.textures import smooth_noise

SIZE = 192
LEVELS = 5
RAMP = np.linspace(0, 1, 256)[:, None]
VARIANTS = 6
KINDS = ("bare", "leafy", "conifer", "hedge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One plant: foot on the ground at (x, z), its picture `width` x `height` metres."""

    kind: str
    variant: int
    x: float
    z: float
    height: float
    width: float
    color: Color
    flipped: bool
    behind: float = 0.0  # added to z in the painter's order

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.z + self.behind


@lru_cache(maxsize=len(KINDS) * VARIANTS)
def stencil(kind: str, variant: int) -> tuple[Image.Image, ...]:
    """A plant's picture at LEVELS sizes, each half the one before, from SIZE x SIZE: three channels.

    Cover in the image, cover in the label map (fuller: annotators close gaps), and brightness."""
    rng = np.random.default_rng([31, KINDS.index(kind), variant])
    cover, filled = {"bare": _bare, "leafy": _leafy, "conifer": _conifer, "hedge": _hedge}[kind](rng)
    tone = (
        0.55
        + 0.17 * smooth_noise(SIZE, 24, rng)
        + 0.14 * smooth_noise(SIZE, 64, rng)
        + 0.10 * rng.standard_normal((SIZE, SIZE))
    )
    tone = tone + (np.linspace(0.12, -0.25, SIZE)[:, None] if kind != "bare" else -0.1)
    brightness = Image.fromarray((np.clip(tone, 0.12, 1.0) * 255).astype(np.uint8))
    picture = Image.merge("RGB", (cover, filled, brightness))
    return picture, *(picture.reduce(2**level) for level in range(1, LEVELS))


def _bare(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """A tree in winter: branches that fork until they are twigs."""
    big = Image.new("L", (2 * SIZE, 2 * SIZE))
    pen = ImageDraw.Draw(big)
    branches = [(1.0 * SIZE, 2.0 * SIZE, -math.pi / 2, 0.52 * SIZE, 10.0)]
    while branches:
        x, y, angle, length, thick = branches.pop()
        along = (length * math.cos(angle), length * math.sin(angle))
        pen.line((x, y, x + along[0], y + along[1]), fill=255 if thick > 1.6 else 200, width=max(1, round(thick)))
        if length < 15:
            continue
        for turn, shrink, start in zip(
            rng.normal(0, 0.5, 3), rng.uniform(0.6, 0.8, 3), rng.uniform(0.6, 1.0, 3), strict=True
        ):
            lifted = angle + float(turn) - 0.10 * math.cos(angle)
            branches.append((x + start * along[0], y + start * along[1], lifted, length * shrink, thick * 0.6))
    left, top, right, _ = big.getbbox() or (0, 0, 2 * SIZE, 2 * SIZE)
    half = max(SIZE - left, right - SIZE)
    crown = big.crop((SIZE - half, top, SIZE + half, 2 * SIZE))
    cover = crown.resize((SIZE, SIZE), Image.Resampling.BOX).point(lambda value: min(255, value * 2))
    filled = cover.filter(ImageFilter.BoxBlur(4))
    return cover, filled.point(lambda value: 255 if value > 52 else 0)


def _blobs(
    rng: np.random.Generator, count: int, middle: float, spread: tuple[float, float], radius: tuple[float, float]
) -> Image.Image:
    mask = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(mask)
    for _ in range(count):
        turn, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.random())
        r = SIZE * rng.uniform(*radius)
        x = SIZE * (0.5 + spread[0] * far * math.cos(turn))
        y = SIZE * (middle + spread[1] * far * math.sin(turn))
        x, y = min(max(x, r), SIZE - r), min(max(y, r), SIZE - r)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return mask


def _ragged(mask: Image.Image, rng: np.random.Generator, holes: float) -> Image.Image:
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(6))).astype(np.float32) / 255
    noise = 0.5 * smooth_noise(SIZE, 48, rng) + 0.5 * smooth_noise(SIZE, 24, rng)
    return Image.fromarray((((soft + holes * noise > 0.5) & (soft > 0.15)) * 255).astype(np.uint8))


def _leafy(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    mask = _blobs(rng, 22, 0.40, (0.33, 0.27), (0.09, 0.17))
    crown = _ragged(mask, rng, 0.3)
    filled = _ragged(mask, rng, 0.08)
    for picture in (crown, filled):
        pen = ImageDraw.Draw(picture)
        pen.polygon(
            [(SIZE * 0.475, SIZE * 0.5), (SIZE * 0.525, SIZE * 0.5), (SIZE * 0.54, SIZE), (SIZE * 0.46, SIZE)], fill=255
        )
    return crown, filled


def _conifer(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    mask = Image.new("L", (SIZE, SIZE))
    wide = rng.uniform(0.3, 0.46)
    belly = rng.uniform(0.5, 0.95)
    points = [(SIZE * 0.5, 3.0), (SIZE * (0.5 + wide), SIZE * belly), (SIZE * (0.5 + wide * 0.7), SIZE * 0.98)]
    ImageDraw.Draw(mask).polygon(
        [*points, (SIZE * (0.5 - wide * 0.7), SIZE * 0.98), (SIZE * (0.5 - wide), SIZE * belly)], fill=255
    )
    return _ragged(mask, rng, 0.3), _ragged(mask, rng, 0.12)


def _hedge(rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    mask = _blobs(rng, 40, 0.55, (0.42, 0.30), (0.10, 0.18))
    ImageDraw.Draw(mask).rectangle((SIZE * 0.06, SIZE * 0.5, SIZE * 0.94, SIZE), fill=255)
    return _ragged(mask, rng, 0.25), _ragged(mask, rng, 0.1)


def draw_plant(canvas: Canvas, plant: Plant) -> None:
    """Tint a stencil and paste what of it lies within the image."""
    camera = canvas.camera
    col, row = camera.outline(((plant.x, 0.0, plant.z),))
    width, height = camera.pixels(plant.width, plant.z), camera.pixels(plant.height, plant.z)
    left, top = col - width / 2, row - height
    x0, y0 = max(0, round(left)), max(0, round(top))
    x1, y1 = min(camera.width, round(left + width)), min(camera.height, round(row))
    if x1 <= x0 or y1 <= y0 or width < 1 or height < 1:
        return
    scale_x, scale_y = SIZE / width, SIZE / height
    box = ((x0 - left) * scale_x, (y0 - top) * scale_y, (x1 - left) * scale_x, (y1 - top) * scale_y)
    box = (max(0.0, box[0]), max(0.0, box[1]), min(float(SIZE), box[2]), min(float(SIZE), box[3]))
    if box[2] - box[0] < 0.01 or box[3] - box[1] < 0.01:
        return
    shape = stencil(plant.kind, plant.variant)[_detail(max(width, height))]
    share = shape.width / SIZE
    if plant.flipped:
        box = (SIZE - box[2], box[1], SIZE - box[0], box[3])
    reduced = (box[0] * share, box[1] * share, box[2] * share, box[3] * share)
    piece = shape.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=reduced)
    if plant.flipped:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    cover, filled, leaves = piece.split()
    lit = canvas.ink([1.75 * channel for channel in plant.color], plant.z)
    dark = canvas.ink([0.15 * channel for channel in plant.color], plant.z)
    leaves.putpalette((np.array(dark) + RAMP * (np.array(lit) - dark)).astype(np.uint8).tobytes())
    canvas.image.paste(leaves.convert("RGB"), (x0, y0), cover)
    canvas.labels.paste(TREE, (x0, y0, x1, y1), filled.convert("1", dither=Image.Dither.NONE))


def _detail(pixels: float) -> int:
    """Which of a stencil's sizes to start from: the smallest that still has as many pixels."""
    return min(LEVELS - 1, max(0, int(math.log2(SIZE / max(pixels, 1.0)))))
