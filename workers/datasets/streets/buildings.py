"""Buildings: facades of windows, doors and shops on either side of the street, with gables, roofs and chimneys."""

from dataclasses import dataclass

import numpy as np

from workers.datasets.streets.canvas import BLACK, BUILDING, Canvas, Color, Ink

TABLE = np.random.default_rng(21).random(1024).tolist()  # shared small differences, picked by a building's seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """One house. `side` -1 stands left of the road, +1 right, 0 faces the camera at depth `near`; lengths in metres.

    For side 0, `near`..`far` are x and `front` is its depth.
    """

    side: int
    front: float
    near: float
    far: float
    depth: float
    floors: int
    floor_height: float
    wall: Color
    trim: Color
    accent: Color
    roof: Color
    pitch: float  # metres from eaves to ridge, 0 flat
    gabled: bool  # the ridge runs across the street: the gable is in front
    ground: str  # "shop", "house", "plain"
    base: Color | None  # the ground floor's own colour, where it is painted
    window: tuple[float, float]  # width and height as shares of bay and floor
    bay: float
    glass: Color
    chimneys: int
    seed: int

    @property
    def eaves(self) -> float:
        """Height of the wall in metres."""
        return self.floors * self.floor_height + 0.5

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.front + 0.5 if self.side == 0 else self.far


class Facade:
    """A wall's own coordinates: metres along and metres up, to world points."""

    def __init__(
        self, canvas: Canvas, origin: tuple[float, float], direction: tuple[float, float], level: float
    ) -> None:
        self.canvas = canvas
        self.origin, self.direction, self.level = origin, direction, level

    def depth(self, along: float) -> float:
        """The z of a place on the wall."""
        return self.origin[1] + along * self.direction[1]

    def ink(self, color: Color, along: float, level: float = 1.0) -> Ink:
        """A colour as it looks on this wall."""
        return self.canvas.ink(color, self.depth(along), self.level * level)

    def outline(self, points: list[tuple[float, float]]) -> list[tuple[float, float, float]]:
        """(along, up) pairs -> world points."""
        (x, z), (dx, dz) = self.origin, self.direction
        return [(x + s * dx, y, z + s * dz) for s, y in points]

    def boxes(self, boxes: list[tuple[float, float, float, float]], inks: list[Ink]) -> None:
        """Fill rectangles (along from, along to, up from, up to)."""
        if not boxes:
            return
        a = np.array(boxes)
        along, up = a[:, [0, 1, 1, 0]], a[:, [2, 2, 3, 3]]
        points = np.empty((len(boxes), 4, 3))
        points[..., 0] = self.origin[0] + along * self.direction[0]
        points[..., 1] = up
        points[..., 2] = self.origin[1] + along * self.direction[1]
        self.canvas.faces(points, inks)


def draw_building(canvas: Canvas, house: Building) -> None:
    """Paint one building: roof, gable end, facade."""
    light, length = canvas.light, house.far - house.near
    if house.side == 0:
        front = Facade(canvas, (house.near, house.front), (1.0, 0.0), light.front)
    else:
        level = light.right if house.side < 0 else light.left
        front = Facade(canvas, (house.side * house.front, house.near), (0.0, 1.0), level)
    _roof(canvas, house, front, length)
    if house.side:
        end = Facade(canvas, (house.side * house.front, house.near), (float(house.side), 0.0), light.front)
        _wall(end, house, house.depth, not house.gabled)
        if house.seed % 3 == 0:
            _windows(end, house, house.depth, first=1)
    _wall(front, house, length, house.gabled)
    _courses(front, house, length)
    _windows(front, house, length, first=1 if house.ground == "shop" else 0)
    if house.ground == "shop":
        _shop(front, house, length)
    elif house.ground == "house":
        _doors(front, house, length)


def _wall(face: Facade, house: Building, length: float, gable: bool) -> None:
    top = house.eaves
    points = [(0.0, 0.0), (length, 0.0), (length, top)]
    if gable and house.pitch:
        points.append((length / 2, top + house.pitch))
    points.append((0.0, top))
    face.canvas.face(face.outline(points), face.ink(house.wall, length / 2), BUILDING)


def _roof(canvas: Canvas, house: Building, face: Facade, length: float) -> None:
    top, ridge = house.eaves, house.eaves + house.pitch
    back = house.depth / 2
    away = (0.0, 1.0) if house.side == 0 else (float(house.side), 0.0)

    def at(along: float, up: float, behind: float) -> tuple[float, float, float]:
        x = face.origin[0] + along * face.direction[0] + behind * away[0]
        return x, up, face.origin[1] + along * face.direction[1] + behind * away[1]

    ink = face.ink(house.roof, length / 2, 0.95)
    if house.pitch and not house.gabled:
        slope = [at(0.0, top, 0.0), at(length, top, 0.0), at(length, ridge, back), at(0.0, ridge, back)]
        canvas.face(slope, ink, BUILDING)
    elif house.pitch:
        slope = [at(0.0, top, 0.0), at(length / 2, ridge, 0.0), at(length / 2, ridge, 12.0), at(0.0, top, 12.0)]
        canvas.face(slope, ink, BUILDING)
    for k in range(house.chimneys):
        s = length * (0.15 + 0.7 * TABLE[(house.seed + k) % 1024])
        back_at, base, tall = (3.0, top, ridge + 0.6) if house.gabled else (back, ridge - 0.6, ridge + 1.1)
        stack = [at(s, base, back_at), at(s + 0.9, base, back_at), at(s + 0.9, tall, back_at)]
        canvas.face([*stack, at(s, tall, back_at)], face.ink(house.wall, length / 2, 0.8), BUILDING)
        for pot in (0.15, 0.55):
            foot, tip = at(s + pot + 0.1, tall, back_at), at(s + pot + 0.1, tall + 0.45, back_at)
            canvas.rod(foot, tip, 0.22, face.ink(house.roof, length / 2, 1.1), BUILDING, annotated=0.003)


def _courses(face: Facade, house: Building, length: float) -> None:
    """Bands along the wall: cornice, string courses, plinth."""
    trim = face.ink(house.trim, length / 2, 0.9)
    shade = face.ink(house.wall, length / 2, 0.7)
    if house.base is not None:
        face.boxes([(0.0, length, 0.0, house.floor_height)], [face.ink(house.base, length / 2)])
    boxes = [(0.0, length, house.eaves - 0.35, house.eaves), (0.0, length, 0.0, 0.5), (0.0, 0.15, 0.0, house.eaves)]
    inks = [trim if house.seed % 2 else shade, shade, shade]
    if house.seed % 5 < 2:
        for floor in range(1, house.floors):
            boxes.append((0.0, length, floor * house.floor_height, floor * house.floor_height + 0.18))
            inks.append(trim if house.seed % 3 else shade)
    face.boxes(boxes, inks)


def _windows(face: Facade, house: Building, length: float, first: int) -> None:
    count = max(1, round(length / house.bay))
    bay, (wide, high) = length / count, house.window
    camera, seed = face.canvas.camera, house.seed
    boxes: list[tuple[float, float, float, float]] = []
    inks: list[Ink] = []
    for b in range(count):
        middle = (b + 0.5) * bay
        z = face.depth(middle)
        if z < 1.0 or camera.pixels(bay * wide, z) < 1.5:
            continue
        half = bay * wide / 2
        trim, sill = face.ink(house.trim, middle), face.ink(house.trim, middle, 0.75)
        fine = camera.pixels(high, z) > 7
        for floor in range(first, house.floors):
            low = floor * house.floor_height + house.floor_height * (0.62 - high / 2)
            top = low + house.floor_height * high
            chance = TABLE[(seed + 7 * b + 31 * floor) % 1024]
            glass = house.glass if chance < 0.75 else _other_glass(face.canvas, chance)
            level = 0.6 + 0.8 * TABLE[(seed + 3 * b + 17 * floor) % 1024]
            if fine:
                boxes.append((middle - half - 0.1, middle + half + 0.1, low - 0.15, top + 0.1))
                inks.append(trim if seed % 4 else sill)
            boxes.append((middle - half, middle + half, low, top))
            inks.append(face.ink(glass, middle, level))
            if fine and camera.pixels(high, z) > 14:
                boxes.append((middle - half, middle + half, (low + top) / 2 - 0.04, (low + top) / 2 + 0.04))
                boxes.append((middle - 0.04, middle + 0.04, low, top))
                inks += [trim, trim]
    face.boxes(boxes, inks)


def _other_glass(canvas: Canvas, chance: float) -> Color:
    if canvas.light.lamps and chance > 0.82:
        return (330.0, 270.0, 170.0)  # a lit room
    return (150.0, 155.0, 160.0) if chance > 0.9 else (95.0, 105.0, 118.0)  # curtains; the sky mirrored


def _doors(face: Facade, house: Building, length: float) -> None:
    count = max(1, round(length / (house.bay * 2)))
    boxes, inks = [], []
    for k in range(count):
        s = length * (k + 0.25 + 0.3 * TABLE[(house.seed + k) % 1024]) / count
        boxes += [(s - 0.65, s + 0.65, 0.0, 2.5), (s - 0.48, s + 0.48, 0.0, 2.2)]
        inks += [face.ink(house.trim, s), face.ink(house.accent, s, 0.7)]
    face.boxes(boxes, inks)


def _shop(face: Facade, house: Building, length: float) -> None:
    count = max(1, round(length / 5.5))
    unit = length / count
    boxes: list[tuple[float, float, float, float]] = [(0.0, length, 0.0, house.floor_height)]
    inks = [face.ink(house.trim, length / 2, 0.5)]
    for k in range(count):
        a, chance = k * unit, TABLE[(house.seed + 13 * k) % 1024]
        accent = house.accent if chance < 0.5 else tuple(200 * TABLE[(house.seed + k + j) % 1024] for j in range(3))
        middle = a + unit / 2
        glass = (46.0, 48.0, 50.0) if not face.canvas.light.lamps else (300.0, 250.0, 180.0)
        boxes += [(a + 0.2, a + unit - 0.2, 0.5, 2.5), (a + 0.1, a + unit - 0.1, 2.55, 3.2)]
        inks += [face.ink(glass, middle), face.ink(accent, middle)]
        for j in range(3):  # what stands in the window, and the letters above it
            s = a + unit * (0.2 + 0.22 * j)
            tone = 30 + 150 * TABLE[(house.seed + 5 * k + j) % 1024]
            boxes += [(s, s + unit * 0.15, 0.6, 1.2 + chance), (s, s + unit * 0.17, 2.75, 3.0)]
            inks += [face.ink((tone, tone * 0.9, tone * 0.8), middle), face.ink((215.0, 215.0, 205.0), middle)]
        boxes.append((a + unit * 0.82, a + unit * 0.95, 0.0, 2.4))
        inks.append(face.ink(BLACK, middle, 2.0))
    face.boxes(boxes, inks)
    if house.seed % 4 == 0:
        _awning(face, house, length)


def _awning(face: Facade, house: Building, length: float) -> None:
    (x, z), (dx, dz) = face.origin, face.direction
    away = (0.0, -1.2) if house.side == 0 else (-1.2 * house.side, 0.0)
    corners = [
        (x + 0.3 * dx, 3.0, z + 0.3 * dz),
        (x + (length - 0.3) * dx, 3.0, z + (length - 0.3) * dz),
        (x + (length - 0.3) * dx + away[0], 2.4, z + (length - 0.3) * dz + away[1]),
        (x + 0.3 * dx + away[0], 2.4, z + 0.3 * dz + away[1]),
    ]
    face.canvas.face(corners, face.ink(house.accent, length / 2, 1.1), BUILDING)
