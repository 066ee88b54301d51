"""The ground: road with its marks, pavements and verges, their texture, and the shadows that lie on them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workers.datasets.streets.canvas import PAVEMENT, ROAD, SKY, TREE, Canvas, Color
from workers.datasets.streets.textures import TILE, Tile, asphalt, mottle, slabs

FAR = 220.0  # metres at which ground details end
Outline = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A painted or paved polygon of ground, in metres (x, z); label None leaves what lies below."""

    outline: Outline
    color: Color
    label: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A band along the road from x `left` to `right` between two z."""

    left: float
    right: float
    span: tuple[float, float]
    color: Color
    label: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """All that lies flat. Shadows are outlines on the ground."""

    road: Color
    pieces: list[Strip | Patch]
    shadows: list[Outline]
    shadow_depth: float
    shadow_blur: float  # image heights
    roughness: float
    sheen: float  # how much of the sky the far road mirrors: 0 dry, 1 wet
    offset: tuple[int, int]


def dashes(x: float, width: float, length: float, gap: float, start: float, color: Color) -> list[Strip | Patch]:
    """A broken line along the road."""
    marks: list[Strip | Patch] = []
    z = start
    while z < 90:
        if z + length > 0.5:
            marks.append(Strip(left=x - width / 2, right=x + width / 2, span=(max(z, 0.5), z + length), color=color))
        z += length + gap
    return marks


def line(x: float, width: float, span: tuple[float, float], color: Color) -> Strip:
    """An unbroken line along the road."""
    return Strip(left=x - width / 2, right=x + width / 2, span=span, color=color)


def bar(left: float, right: float, z: float, depth: float, color: Color) -> Patch:
    """A line across the road: stop lines, zebra bars, speed humps."""
    return Patch(outline=[(left, z), (right, z), (right, z + depth), (left, z + depth)], color=color)


def arrow(x: float, z: float, color: Color) -> list[Strip | Patch]:
    """A lane arrow, four metres long."""
    head = [(x - 0.45, z + 2.4), (x, z + 4.2), (x + 0.45, z + 2.4)]
    return [line(x, 0.18, (z, z + 2.4), color), Patch(outline=head, color=color)]


def zigzag(x: float, start: float, color: Color) -> list[Strip | Patch]:
    """The warning line before a crossing."""
    marks: list[Strip | Patch] = []
    for k in range(6):
        a, b = (x, x + 0.4) if k % 2 else (x + 0.4, x)
        z = start + 2.2 * k
        marks.append(Patch(outline=[(a, z), (a + 0.13, z), (b + 0.13, z + 2.2), (b, z + 2.2)], color=color))
    return marks


def box_junction(left: float, right: float, near: float, far: float, color: Color) -> list[Strip | Patch]:
    """The crossed yellow lines of a junction that must be kept clear."""
    marks: list[Strip | Patch] = []
    for k in range(-3, 5):
        for lean in (-1, 1):
            middle = left + (right - left) * (k + 0.5) / 4
            reach = lean * (far - near) / 2
            ends = [(middle - reach, near), (middle + reach, far)]
            clipped = _clip(ends, left, right)
            if clipped:
                (x0, z0), (x1, z1) = clipped
                outline = [(x0 - 0.08, z0), (x0 + 0.08, z0), (x1 + 0.08, z1), (x1 - 0.08, z1)]
                marks.append(Patch(outline=outline, color=color))
    return marks


def _clip(ends: Outline, left: float, right: float) -> Outline | None:
    (x0, z0), (x1, z1) = sorted(ends)
    if x1 <= left or x0 >= right:
        return None
    slope = (z1 - z0) / (x1 - x0)
    if x0 < left:
        x0, z0 = left, z0 + slope * (left - x0)
    if x1 > right:
        x1, z1 = right, z1 - slope * (x1 - right)
    return [(x0, z0), (x1, z1)]


def draw_ground(canvas: Canvas, ground: Ground) -> None:
    """Paint everything flat, then lay texture and shadow over it."""
    camera = canvas.camera
    top = camera.ground_top()
    if top >= camera.height:
        return
    drop, lean = camera.pixels(camera.view.eye, 2 * FAR), camera.view.roll * camera.width
    left = camera.row + drop - lean * camera.col / camera.width
    right = left + lean
    below = float(camera.height + 2)
    everything = [0.0, left, float(camera.width), right, float(camera.width), below, 0.0, below]
    canvas.flat(everything, canvas.ink(ground.road, 6), ROAD)
    for piece in ground.pieces:
        if isinstance(piece, Strip):
            ink = canvas.ink(piece.color, (piece.span[0] * piece.span[1]) ** 0.5)
            canvas.strip(piece.left, piece.right, piece.span, ink, piece.label)
        else:
            depth = sum(z for _, z in piece.outline) / len(piece.outline)
            canvas.face([(x, 0.0, z) for x, z in piece.outline], canvas.ink(piece.color, depth), piece.label)
    _surface(canvas, ground, top)


def _surface(canvas: Canvas, ground: Ground, top: int) -> None:
    x, z = canvas.camera.ground()
    labels = np.asarray(canvas.labels)[top:]
    row, col = ground.offset
    near = 9 / np.maximum(z, 9)  # fine texture melts into grey with distance
    gain = _texel(asphalt(), z, x, 60, row, col)
    gain *= (0.08 * ground.roughness) * near
    broad = _texel(mottle(), z, x, 9, col, row)
    gain += (0.045 * ground.roughness) * broad
    paved = np.nonzero((labels == PAVEMENT).ravel())[0]
    gain.ravel()[paved] = _texel(slabs(), z.ravel()[paved], x.ravel()[paved], 52, 0, 0) * (0.085 * near.ravel()[paved])
    np.copyto(gain, broad * 0.22, where=labels == TREE)
    gain += 1
    shadow = _shadow(canvas, ground, top)
    if shadow is not None:
        gain *= shadow
    mirrored = np.clip((z - 6) / 60, 0, 1) * (0.08 + 0.4 * ground.sheen)
    gain *= 1 - mirrored
    piece = canvas.image.crop((0, top, canvas.camera.width, canvas.camera.height))
    planes = []
    for plane, haze in zip(piece.split(), canvas.light.haze, strict=True):
        tones = np.asarray(plane) * gain
        tones += mirrored * haze
        planes.append(Image.fromarray(np.clip(tones, 0, 255, out=tones).astype(np.uint8)))
    # what lies above the ground's own edge in these rows is sky: keep it
    canvas.image.paste(Image.merge("RGB", planes), (0, top), Image.fromarray((labels != SKY).astype(np.uint8) * 255))


def _texel(tile: Tile, z: Tile, x: Tile, scale: float, row: int, col: int) -> Tile:
    """The tile's values at places on the ground, `scale` texels a metre."""
    index = ((z * scale).astype(np.int32) + row & TILE - 1) * TILE
    index += (x * scale).astype(np.int32) + col & TILE - 1
    return np.take(tile.ravel(), index)


def _shadow(canvas: Canvas, ground: Ground, top: int) -> Tile | None:
    """The share of light that each ground pixel keeps."""
    if not ground.shadows:
        return None
    camera = canvas.camera
    layer = Image.new("L", (camera.width, camera.height - top))
    pen = ImageDraw.Draw(layer)
    for outline in ground.shadows:
        points = camera.outline([(x, 0.0, z) for x, z in outline])
        points[1::2] = [v - top for v in points[1::2]]
        pen.polygon(points, fill=255)
    soft = layer.filter(ImageFilter.BoxBlur(ground.shadow_blur * camera.height))
    return np.take(1 - ground.shadow_depth * np.arange(256, dtype=np.float32) / 255, np.asarray(soft))
