"""Motor vehicles on the road, painted part by part from their models."""

import math
from dataclasses import dataclass

import numpy as np

from workers.datasets.streets.canvas import BLACK, CAR, Canvas, Color, Ink
from workers.datasets.streets.garage import MODELS, solid

LABELLED = frozenset({"wheel", "side", "body", "glass", "dark", "roof"})
FINE = frozenset({"rim", "crease", "gap", "bumper"})
ACROSS = frozenset({"body", "glass", "dark", "roof", "screen"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """One vehicle: the ground point under its middle, and where its front points: 0 ahead, pi towards the camera."""

    model: str
    x: float
    z: float
    heading: float
    paint: Color
    glass: Color
    size: float
    braking: bool
    lamps: bool

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.z

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return MODELS[self.model].length * self.size

    def covers(self, x: float, z: float) -> bool:
        """Whether a ground point lies under the vehicle or within half a metre of it."""
        c, s = math.cos(self.heading), math.sin(self.heading)
        across, along = (x - self.x) * c - (z - self.z) * s, (x - self.x) * s + (z - self.z) * c
        return abs(across) < MODELS[self.model].width * self.size / 2 + 0.5 and abs(along) < self.length / 2 + 0.5

    def footprint(self, grow: float = 0.0) -> list[tuple[float, float]]:
        """The ground (x, z) below it, `grow` metres larger all round."""
        model = MODELS[self.model]
        half, end = model.width * self.size / 2 + grow, model.length * self.size / 2 + grow
        corners = [(-half, -end), (half, -end), (half, end), (-half, end)]
        c, s = math.cos(self.heading), math.sin(self.heading)
        return [(self.x + a * c + b * s, self.z - a * s + b * c) for a, b in corners]


def draw_vehicle(canvas: Canvas, vehicle: Vehicle) -> None:
    """Paint a vehicle: far wheels, the side that shows, the faces across that face the camera, then lights."""
    camera, view = canvas.camera, canvas.camera.view
    c, s = math.cos(vehicle.heading), math.sin(vehicle.heading)
    if vehicle.z - vehicle.length / 2 * abs(c) < 1.2:
        return
    aside = view.x - view.curve * vehicle.z**2 - vehicle.x
    close = camera.pixels(1.0, vehicle.z) > 6
    end = "none" if not close or abs(c) < 0.3 else ("rear" if c > 0 else "front")
    shape = solid(vehicle.model, 1 if aside * c + vehicle.z * s > 0 else -1, end)
    local = shape.points * vehicle.size
    world = np.empty_like(local)
    world[:, 0] = vehicle.x + local[:, 0] * c + local[:, 2] * s
    world[:, 1] = local[:, 1]
    world[:, 2] = vehicle.z - local[:, 0] * s + local[:, 2] * c
    outline = camera.project(world).ravel().tolist()
    inks = _inks(canvas, vehicle, rear=end == "rear", turned=abs(s) > 0.5)
    level = canvas.ink(vehicle.paint, vehicle.z, 1.2)
    for role, start, stop, lies_flat in shape.parts:
        if role in FINE and not close:
            continue
        corners = outline[2 * start : 2 * stop]
        if role in ACROSS and not _faces_camera(corners):
            continue
        ink = level if lies_flat and role == "body" else inks[role]
        canvas.flat(corners, ink, CAR if role in LABELLED else None)


def _faces_camera(corners: list[float]) -> bool:
    ax, ay, bx, by, cx, cy = corners[:6]
    return (bx - ax) * (cy - by) - (by - ay) * (cx - bx) < 0


def _inks(canvas: Canvas, vehicle: Vehicle, *, rear: bool, turned: bool) -> dict[str, Ink]:
    """What each part is painted with."""
    z, paint = vehicle.z, vehicle.paint
    lamp = _lamp(vehicle, rear)
    dark = canvas.ink([0.3 * channel + 8 for channel in paint], z)
    body, glass = canvas.ink(paint, z), canvas.ink(vehicle.glass, z)
    lit = (
        (int(lamp[0]), int(lamp[1]), int(lamp[2]))
        if vehicle.lamps or (rear and vehicle.braking)
        else canvas.ink(lamp, z)
    )
    return {
        "body": body, "glass": body, "roof": canvas.ink(paint, z, 1.25), "screen": glass, "dark": dark, "lamp": lit,
        "side": canvas.ink(paint, z, 1.0 if turned else 0.8), "pane": glass, "sill": canvas.ink(BLACK, z, 1.5),
        "wheel": canvas.ink((20, 20, 21), z), "rim": canvas.ink((105, 107, 110), z, 0.8),
        "crease": canvas.ink(paint, z, 1.35), "gap": canvas.ink(paint, z, 0.45), "bumper": canvas.ink(paint, z, 0.6),
        "plate": canvas.ink((176, 158, 82) if rear else (190, 190, 186), z),
        "grille": canvas.ink(paint, z, 0.85) if rear else canvas.ink((30, 30, 32), z),
    }  # fmt: skip


def _lamp(vehicle: Vehicle, rear: bool) -> Color:
    if rear:
        return (235.0, 60.0, 45.0) if vehicle.braking else (112.0, 26.0, 24.0)
    return (255.0, 250.0, 225.0) if vehicle.lamps else (190.0, 192.0, 195.0)
