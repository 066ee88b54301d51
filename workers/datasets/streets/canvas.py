"""What a scene is painted on: an image and its label map, under one light, in one perspective."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from service.domain.classes import IGNORE
from workers.datasets.streets.camera import Camera, Floats

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
VOID = IGNORE
Color = Sequence[float]
Ink = tuple[int, int, int]
BLACK = (12.0, 12.0, 13.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """The light of a scene; colours are 0..255, levels are factors."""

    exposure: tuple[float, float, float]  # what every colour on the ground is multiplied by: level times colour cast
    left: float  # level of faces that look left, right and towards the camera
    right: float
    front: float
    haze: tuple[float, float, float]
    visibility: float  # metres at which haze covers 63 %
    sun: int  # -1 the sun stands left, +1 right, 0 overcast
    lamps: bool


class Canvas:
    """Image and label map, painted far things first. Points are world metres (x, y, z) unless said otherwise."""

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        size = (camera.width, camera.height)
        self.labels = Image.new("L", size, VOID)
        self.label_pen = ImageDraw.Draw(self.labels)
        self.set_image(Image.new("RGB", size))

    def set_image(self, image: Image.Image) -> None:
        """Go on painting over `image`."""
        self.image = image
        self.pen = ImageDraw.Draw(image)

    def ink(self, color: Color, z: float, level: float = 1.0) -> Ink:
        """A material's colour as it looks at depth z under this scene's light."""
        light = self.light
        clear = math.exp(-z / light.visibility) if z > 8 else 1.0
        (r, g, b), (er, eg, eb), (hr, hg, hb) = color, light.exposure, light.haze
        level, veil = level * clear, 1 - clear
        red, green, blue = r * er * level + hr * veil, g * eg * level + hg * veil, b * eb * level + hb * veil
        return (
            255 if red > 255 else int(red),
            255 if green > 255 else int(green),
            255 if blue > 255 else int(blue),
        )

    def face(self, points: Sequence[Sequence[float]], ink: Ink, label: int | None = None) -> None:
        """Fill a polygon of a few world points; without a label the label map stays as it is."""
        self.flat(self.camera.outline(points), ink, label)

    def faces(self, points: Floats, inks: Sequence[Ink], label: int | None = None) -> None:
        """Fill many polygons (count, corners, 3) of world points at once."""
        for outline, ink in zip(self.camera.project(points).reshape(len(points), -1).tolist(), inks, strict=True):
            self.flat(outline, ink, label)

    def flat(self, outline: list[float], ink: Ink, label: int | None = None) -> None:
        """Fill a polygon of image points, given as column, row, column, row ..."""
        self.pen.polygon(outline, fill=ink)
        if label is not None:
            self.label_pen.polygon(outline, fill=label)

    def strip(self, left: float, right: float, span: tuple[float, float], ink: Ink, label: int | None = None) -> None:
        """Fill a strip of ground along the road between two x and over a span of z, bent as the road bends."""
        near, far = max(span[0], 0.45), max(span[1], 0.5)
        count = 1 if not self.camera.view.curve or far - near < 5 else 7
        steps = [near * (far / near) ** (k / count) for k in range(count + 1)]
        edge = [(left, 0.0, z) for z in steps] + [(right, 0.0, z) for z in reversed(steps)]
        self.face(edge, ink, label)

    def rod(
        self,
        foot: Sequence[float],
        top: Sequence[float],
        thickness: float,
        ink: Ink,
        label: int | None = None,
        annotated: float = 0.0035,
    ) -> None:
        """A thin straight thing. Its label is `annotated` image heights wider, as annotators draw thin things."""
        ends = self.camera.outline((foot, top))
        width = self.camera.pixels(thickness, foot[2])
        self._line(self.pen, ends, max(width, 1.0), ink)
        if label is not None:
            self._line(self.label_pen, ends, width + annotated * self.camera.height, label)

    def comb(self, start: tuple[float, float], end: tuple[float, float], height: float, ink: Ink) -> None:
        """Railings between two ground points (x, z): bars every 0.25 m and a rail on top, in the image alone."""
        (x0, z0), (x1, z1) = start, end
        bars = max(2, int((abs(z1 - z0) + abs(x1 - x0)) / 0.25))
        points: list[tuple[float, float, float]] = []
        for k in range(bars + 1):
            x, z = x0 + (x1 - x0) * k / bars, z0 + (z1 - z0) * k / bars
            points += [(x, height, z), (x, 0.0, z), (x, height, z)]
        width = self.camera.pixels(0.035, (z0 + z1) / 2)
        self.pen.line(self.camera.outline(points), fill=ink, width=max(1, round(width)))

    @staticmethod
    def _line(pen: ImageDraw.ImageDraw, ends: list[float], width: float, fill: Ink | int) -> None:
        across, along = ends[2] - ends[0], ends[3] - ends[1]
        length = max((across * across + along * along) ** 0.5, 1e-6)
        dx, dy = -along / length * width / 2, across / length * width / 2
        x0, y0, x1, y1 = ends
        if width < 2:
            pen.line(ends, fill=fill, width=max(1, round(width)))
        else:
            pen.polygon([x0 - dx, y0 - dy, x0 + dx, y0 + dy, x1 + dx, y1 + dy, x1 - dx, y1 - dy], fill=fill)

    def disc(self, center: Sequence[float], radius: tuple[float, float], ink: Ink, label: int | None = None) -> None:
        """An upright ellipse that faces the camera; radius across and up in metres."""
        u, v = self.camera.outline((center,))
        across, up = (max(0.5, self.camera.pixels(length, center[2])) for length in radius)
        box = (u - across, v - up, u + across, v + up)
        self.pen.ellipse(box, fill=ink)
        if label is not None:
            self.label_pen.ellipse(box, fill=label)
