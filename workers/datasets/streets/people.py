"""People on foot and on bicycles."""

import math
from dataclasses import dataclass

from workers.datasets.streets.canvas import BICYCLIST, PEDESTRIAN, Canvas, Color, Ink

SKIN: tuple[Color, ...] = ((178, 136, 112), (150, 108, 86), (96, 66, 50), (196, 156, 134))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person standing or walking at ground point (x, z); `side_on` 0 is seen from front or back, 1 from the side."""

    x: float
    z: float
    height: float
    coat: Color
    legs: Color
    hair: Color
    skin: Color
    stride: float
    side_on: float
    bag: bool

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.z

    @property
    def place(self) -> tuple[float, float]:
        """Ground point (x, z)."""
        return self.x, self.z


@dataclass(frozen=True, slots=True, kw_only=True)
class Cyclist:
    """A rider; heading 0 rides away, pi towards the camera, +-pi/2 across."""

    rider: Person
    heading: float
    frame: Color

    @property
    def key(self) -> float:
        """Depth by which it is painted."""
        return self.rider.z

    @property
    def place(self) -> tuple[float, float]:
        """Ground point (x, z)."""
        return self.rider.place


def _shape(canvas: Canvas, at: tuple[float, float], points: list[tuple[float, float]], ink: Ink, label: int) -> None:
    x, z = at
    canvas.face([(x + a, y, z) for a, y in points], ink, label)


def draw_person(canvas: Canvas, person: Person) -> None:
    """Paint a pedestrian: legs, coat, arms, head."""
    h, at, z = person.height, (person.x, person.z), person.z
    coat, dark = canvas.ink(person.coat, z), canvas.ink(person.coat, z, 0.75)
    legs = canvas.ink(person.legs, z)
    half = h * (0.145 - 0.045 * person.side_on)
    step = person.stride * h * (0.05 + 0.13 * person.side_on)
    for foot, ink in ((step, legs), (-step, canvas.ink(person.legs, z, 0.8))):
        hip = 0.35 * half * (1 if foot > 0 else -1)
        points = [
            (hip - 0.045 * h, 0.5 * h),
            (hip + 0.045 * h, 0.5 * h),
            (foot + 0.05 * h, 0.0),
            (foot - 0.04 * h, 0.0),
        ]
        _shape(canvas, at, points, ink, PEDESTRIAN)
    for arm in (-1, 1):
        swing = arm * step * 0.6 * person.side_on
        a = arm * half
        points = [
            (a * 0.7, 0.81 * h),
            (a, 0.79 * h),
            (a * 1.12 + swing + 0.02 * h, 0.47 * h),
            (a * 0.85 + swing, 0.47 * h),
        ]
        _shape(canvas, at, points, dark, PEDESTRIAN)
    body = [(-half * 0.55, 0.83 * h), (half * 0.55, 0.83 * h), (half, 0.77 * h), (half * 0.85, 0.42 * h)]
    _shape(canvas, at, [*body, (-half * 0.85, 0.42 * h), (-half, 0.77 * h)], coat, PEDESTRIAN)
    if person.bag:
        points = [(half * 0.7, 0.62 * h), (half * 1.5, 0.62 * h), (half * 1.5, 0.42 * h), (half * 0.7, 0.42 * h)]
        _shape(canvas, at, points, canvas.ink(person.hair, z, 1.4), PEDESTRIAN)
    _head(canvas, person, person.x, 0.91 * h, PEDESTRIAN)


def _head(canvas: Canvas, person: Person, x: float, y: float, label: int) -> None:
    h, z = person.height, person.z
    canvas.disc((x, y + 0.012 * h, z), (0.055 * h, 0.07 * h), canvas.ink(person.hair, z), label)
    if person.skin is not person.hair:
        canvas.disc((x, y - 0.012 * h, z), (0.042 * h, 0.05 * h), canvas.ink(person.skin, z), label)


def draw_cyclist(canvas: Canvas, cyclist: Cyclist) -> None:
    """Paint a bicycle and its rider."""
    person, z = cyclist.rider, cyclist.rider.z
    turned = math.sin(cyclist.heading)
    wide = max(0.09, abs(turned))  # a wheel seen edge-on is a narrow ellipse
    tyre, frame = canvas.ink((24, 24, 25), z), canvas.ink(cyclist.frame, z)
    across, along = 0.55 * turned, 0.55 * math.cos(cyclist.heading)
    hubs = [(person.x - across, z - along * 0.3), (person.x + across, z + along * 0.3)]
    for x, depth in sorted(hubs, key=lambda hub: -hub[1]):
        canvas.disc((x, 0.34, depth), (0.34 * wide, 0.34), tyre, BICYCLIST)
        if wide > 0.3 and canvas.camera.pixels(0.3, z) > 3:
            canvas.disc((x, 0.34, depth), (0.28 * wide, 0.28), canvas.ink((84, 84, 84), z))
    crank, saddle, bars = (person.x, 0.32, z), (person.x - across * 0.35, 0.95, z), (person.x + across * 0.75, 1.05, z)
    for foot, top in (
        (crank, saddle),
        (crank, bars),
        (saddle, bars),
        ((hubs[1][0], 0.34, z), bars),
        ((hubs[0][0], 0.34, z), saddle),
    ):
        canvas.rod(foot, top, 0.05, frame, BICYCLIST, annotated=0.004)
    _rider(canvas, person, across, saddle, bars)


def _rider(
    canvas: Canvas, person: Person, across: float, saddle: tuple[float, float, float], bars: tuple[float, float, float]
) -> None:
    z = person.z
    at = (0.0, z)
    coat, legs = canvas.ink(person.coat, z), canvas.ink(person.legs, z)
    lean = across * 0.55
    neck = (person.x + lean, 1.52)
    half = 0.23 - 0.08 * abs(across) / 0.55
    knee = (person.x + across * 0.35, 0.72)
    for side, foot in ((-1, 0.18), (1, 0.42)):
        x = saddle[0] + side * 0.10
        points = [(x - 0.09, 0.98), (x + 0.09, 0.98), (knee[0] + side * 0.12, knee[1]), (person.x + side * 0.12, foot)]
        _shape(
            canvas,
            at,
            [*points, (person.x + side * 0.12 - 0.1, foot), (knee[0] + side * 0.12 - 0.12, knee[1])],
            legs,
            BICYCLIST,
        )
    torso = [
        (saddle[0] - half * 0.8, 0.92),
        (saddle[0] + half * 0.8, 0.92),
        (neck[0] + half, 1.42),
        (neck[0] + half * 0.5, 1.55),
    ]
    _shape(canvas, at, [*torso, (neck[0] - half * 0.5, 1.55), (neck[0] - half, 1.42)], coat, BICYCLIST)
    for side in (-1, 1):
        shoulder = (neck[0] + side * half * 0.9, 1.42, z)
        canvas.rod((bars[0] + side * 0.2, 1.05, z), shoulder, 0.11, canvas.ink(person.coat, z, 0.8), BICYCLIST)
    _head(canvas, person, neck[0] + 0.1 * across, 1.66, BICYCLIST)
