"""Kinds of motor vehicle: their side profiles, windows and wheels, in metres, and the polygons that these make."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from workers.datasets.streets.camera import Floats

# A profile is the outline of one side, from the rear bumper's foot over the roof to the front's: metres ahead of the
# rear end and above the ground, with the material of the face that starts at the point: body, glass, dark or roof.
Profile = tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A kind of vehicle. `panes` are side windows and `axles` the wheels' places, in profile coordinates."""

    profile: Profile
    panes: tuple[tuple[tuple[float, float], ...], ...]
    axles: tuple[float, ...]
    wheel: float
    width: float
    lean: float = 0.24  # how much narrower it gets for each metre above the waist

    @property
    def length(self) -> float:
        """Metres from end to end."""
        return max(point[0] for point in self.profile)


MODELS: dict[str, Model] = {
    "hatch": Model(
        profile=(
            (0.0, 0.30, "dark"), (0.0, 0.62, "body"), (0.12, 0.95, "glass"), (0.55, 1.40, "roof"),
            (2.25, 1.44, "glass"), (3.05, 0.98, "body"), (3.85, 0.80, "body"), (4.0, 0.55, "dark"), (4.0, 0.30, "dark"),
        ),
        panes=(
            ((0.45, 0.98), (0.75, 1.32), (1.5, 1.36), (1.5, 0.96)),
            ((1.6, 0.96), (1.6, 1.36), (2.2, 1.36), (2.9, 0.98)),
        ),
        axles=(0.75, 3.2), wheel=0.31, width=1.72,
    ),
    "saloon": Model(
        profile=(
            (0.0, 0.32, "dark"), (0.0, 0.65, "body"), (0.08, 0.98, "body"), (0.75, 1.02, "glass"), (1.4, 1.40, "roof"),
            (2.7, 1.42, "glass"), (3.5, 0.98, "body"), (4.4, 0.78, "body"), (4.55, 0.55, "dark"), (4.55, 0.32, "dark"),
        ),
        panes=(
            ((1.0, 1.0), (1.5, 1.33), (2.0, 1.35), (2.0, 0.98)),
            ((2.1, 0.98), (2.1, 1.35), (2.65, 1.34), (3.3, 0.98)),
        ),
        axles=(0.95, 3.65), wheel=0.32, width=1.76,
    ),
    "estate": Model(
        profile=(
            (0.0, 0.34, "dark"), (0.0, 0.70, "body"), (0.08, 1.05, "glass"), (0.4, 1.58, "roof"), (2.8, 1.64, "glass"),
            (3.5, 1.08, "body"), (4.4, 0.88, "body"), (4.55, 0.6, "dark"), (4.55, 0.34, "dark"),
        ),
        panes=(
            ((0.3, 1.1), (0.5, 1.48), (1.3, 1.52), (1.3, 1.08)), ((1.4, 1.08), (1.4, 1.52), (2.1, 1.54), (2.1, 1.08)),
            ((2.2, 1.08), (2.2, 1.54), (2.75, 1.54), (3.3, 1.1)),
        ),
        axles=(0.9, 3.6), wheel=0.35, width=1.82,
    ),
    "van": Model(
        profile=(
            (0.0, 0.38, "dark"), (0.0, 0.65, "body"), (0.02, 1.25, "glass"), (0.06, 1.85, "body"), (0.1, 2.15, "roof"),
            (3.6, 2.15, "glass"), (4.35, 1.35, "body"), (4.85, 1.05, "body"), (5.0, 0.6, "dark"), (5.0, 0.38, "dark"),
        ),
        panes=(((3.1, 1.3), (3.1, 1.85), (3.65, 1.85), (4.15, 1.32)),),
        axles=(1.0, 4.1), wheel=0.35, width=1.95, lean=0.07,
    ),
    "lorry": Model(
        profile=(
            (0.0, 0.7, "dark"), (0.0, 1.0, "body"), (0.0, 3.4, "roof"), (6.0, 3.4, "body"), (6.05, 2.5, "roof"),
            (7.5, 2.45, "glass"), (7.7, 1.6, "body"), (7.75, 0.6, "dark"), (7.75, 0.45, "dark"),
        ),
        panes=(((6.5, 1.55), (6.5, 2.2), (7.45, 2.2), (7.55, 1.55)),),
        axles=(1.3, 6.8), wheel=0.48, width=2.4, lean=0.0,
    ),
    "bus": Model(
        profile=(
            (0.0, 0.45, "dark"), (0.0, 0.9, "body"), (0.0, 1.5, "glass"), (0.02, 2.4, "body"), (0.05, 3.05, "roof"),
            (9.9, 3.05, "body"), (9.95, 2.75, "glass"), (10.0, 1.1, "body"), (10.0, 0.45, "dark"),
        ),
        panes=tuple(
            ((k + 0.1, 1.4), (k + 0.1, 2.35), (k + 1.2, 2.35), (k + 1.2, 1.4))
            for k in np.arange(0.5, 9.0, 1.3).tolist()
        ),
        axles=(2.4, 7.9), wheel=0.5, width=2.5, lean=0.01,
    ),
    "decker": Model(
        profile=(
            (0.0, 0.45, "dark"), (0.0, 0.9, "body"), (0.0, 2.7, "glass"), (0.02, 3.5, "body"), (0.1, 4.3, "roof"),
            (9.8, 4.3, "body"), (9.9, 3.7, "glass"), (9.95, 2.8, "body"), (9.97, 2.3, "glass"), (10.0, 1.1, "body"),
            (10.0, 0.45, "dark"),
        ),
        panes=tuple(
            ((k + 0.1, low), (k + 0.1, low + 0.85), (k + 1.2, low + 0.85), (k + 1.2, low))
            for k in np.arange(0.5, 9.0, 1.3).tolist() for low in (1.4, 2.85)
        ),
        axles=(2.4, 7.9), wheel=0.5, width=2.5, lean=0.01,
    ),
}  # fmt: skip

RING = [(float(np.sin(turn)), float(np.cos(turn))) for turn in np.arange(0, 2 * np.pi, np.pi / 5)]
Points = list[tuple[float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """A vehicle's polygons as one array of points (count, 3) across, up, ahead of its middle, in painting order.

    Each part is (role, first point, end, whether the face lies flat). Roles: wheel, rim, side, sill, crease, gap,
    pane; a profile's materials and screen, for the faces across; lamp, bumper, grille and plate, for an end.
    """

    points: Floats
    parts: tuple[tuple[str, int, int, bool], ...]


def narrowing(model: Model, along: float, up: float) -> float:
    """The share of its full width that a vehicle has at a place: less at the cabin's top and at its rounded ends."""
    to_end = min(along, model.length - along)
    return 1 - model.lean * max(0.0, up - 0.95) - (0.07 * (1 - to_end / 0.5) if to_end < 0.5 else 0.0)


@lru_cache(maxsize=64)
def solid(name: str, shown: int, end: str) -> Solid:
    """The polygons of a model seen from side `shown` (-1 left, 1 right) and from its `end`: rear, front or none."""
    model = MODELS[name]
    half, middle = model.width / 2 * shown, model.length / 2
    groups: list[tuple[str, Points, bool]] = []

    def wall(outline: tuple[tuple[float, float], ...]) -> Points:
        return [(half * narrowing(model, b, y), y, b - middle) for b, y in outline]

    def wheels(role: str, across: float, share: float) -> None:
        for axle in model.axles:
            r = model.wheel * share
            groups.append((role, [(across, model.wheel + r * s, axle - middle + r * c) for s, c in RING], False))

    wheels("wheel", -half * 0.9, 1.0)
    groups.append(("side", wall(tuple((b, y) for b, y, _ in model.profile)), False))
    groups.append(
        ("sill", wall(((0.1, 0.3), (0.1, 0.45), (model.length - 0.1, 0.45), (model.length - 0.1, 0.3))), False)
    )
    waist = max(0.62, model.profile[1][1]) + 0.1
    groups.append(
        (
            "crease",
            wall(
                (
                    (0.15, waist),
                    (0.15, waist + 0.05),
                    (model.length - 0.3, waist - 0.02),
                    (model.length - 0.3, waist - 0.07),
                )
            ),
            False,
        )
    )
    for door in (0.36, 0.60):
        b = model.length * door
        groups.append(("gap", wall(((b, 0.4), (b + 0.04, 0.4), (b + 0.04, waist + 0.2), (b, waist + 0.2))), False))
    groups += [("pane", wall(pane), False) for pane in model.panes]
    wheels("wheel", half * 1.01, 1.0)
    wheels("rim", half * 1.02, 0.58)
    groups += _across(model)
    if end != "none":
        groups += _end(model, end)
    parts: list[tuple[str, int, int, bool]] = []
    points: Points = []
    for role, outline, flat in groups:
        parts.append((role, len(points), len(points) + len(outline), flat))
        points += outline
    return Solid(points=np.array(points), parts=tuple(parts))


def _across(model: Model) -> list[tuple[str, Points, bool]]:
    """The faces from side to side, from the rear bumper over the roof to the nose; glass has its pane after it."""
    groups: list[tuple[str, Points, bool]] = []
    middle = model.length / 2
    for (b0, y0, material), (b1, y1, _) in zip(model.profile[:-1], model.profile[1:], strict=True):
        a0, a1 = (model.width / 2 * narrowing(model, b, y) for b, y in ((b0, y0), (b1, y1)))
        face = [(-a0, y0, b0 - middle), (a0, y0, b0 - middle), (a1, y1, b1 - middle), (-a1, y1, b1 - middle)]
        groups.append((material, face, abs(y1 - y0) < 0.3))
        if material == "glass":
            center = np.mean(face, axis=0)
            groups.append(
                ("screen", [tuple((0.88 * np.array(corner) + 0.12 * center).tolist()) for corner in face], False)
            )
    return groups


def _end(model: Model, end: str) -> list[tuple[str, Points, bool]]:
    """Lamps, bumper, grille and plate."""
    rear = end == "rear"
    half, waist = model.width / 2, max(0.62, model.profile[1][1])
    low, inner = (waist, 0.80) if rear else (0.58, 0.62)
    lamp = min(0.30, model.profile[2][1] - waist) if rear else 0.17
    z = -model.length / 2 - 0.01 if rear else model.length / 2 + 0.01
    boxes = (
        ("lamp", -half * 0.92, -half * inner, low, low + lamp), ("lamp", half * inner, half * 0.92, low, low + lamp),
        ("bumper", -half * 0.93, half * 0.93, 0.40, 0.56), ("grille", -half * 0.5, half * 0.5, 0.62, 0.74),
        ("plate", -0.26, 0.26, 0.45, 0.57),
    )  # fmt: skip
    return [(role, [(a, low, z), (b, low, z), (b, top, z), (a, top, z)], False) for role, a, b, low, top in boxes]
