"""How a street is laid out: the road's width, and what lies along either side of it, lot after lot."""

from dataclasses import dataclass, field

from workers.datasets.streets.buildings import Building
from workers.datasets.streets.canvas import PAVEMENT, ROAD, TREE, Color
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.furniture import Barrier
from workers.datasets.streets.ground import Outline, Patch, Strip
from workers.datasets.streets.housing import plan_building
from workers.datasets.streets.plants import VARIANTS, Plant
from workers.datasets.streets.streetkinds import Road, Street
from workers.datasets.streets.style import Style

GRASS: Color = (78.0, 92.0, 52.0)
# What stands between the pavement and a lot, with weights; "" nothing.
FENCES: dict[str, tuple[tuple[str, float], ...]] = {
    "house": (("wall", 4), ("hedge", 4), ("railing", 2), ("boards", 1), ("", 2)),
    "garden": (("hedge", 3), ("railing", 2.5), ("wall", 2), ("boards", 2), ("", 3)),
    "yard": (("railing", 3), ("hedge", 2), ("wall", 1), ("", 4)),
}


@dataclass(slots=True, kw_only=True)
class Plot:
    """Everything that a street's sides are made of."""

    pieces: list[Strip | Patch] = field(default_factory=list)
    shadows: list[Outline] = field(default_factory=list)
    things: list[Building | Plant | Barrier] = field(default_factory=list)
    openings: list[tuple[int, float, float]] = field(default_factory=list)  # side, from, to: side streets
    yards: list[tuple[int, float, float, float]] = field(default_factory=list)  # side, x from, z from, z to
    walks: dict[int, tuple[float, float]] = field(default_factory=dict)  # side -> x range of the pavement


class Planner:
    """Lays out one street in one style; every draw comes from the scene's dice."""

    def __init__(self, style: Style, street: Street, road: Road, dice: Dice, sun: int) -> None:
        self.style, self.street, self.road, self.dice = style, street, road, dice
        self.shade_side = sun  # houses on the sun's side shade the street
        self.reach = dice.between(0.25, 1.3)  # shadow length for each metre of height
        self.slant = dice.between(-0.8, 0.8)
        self.paving = dice.around(dice.pick(style.paving), 0.12)
        self.kerb = dice.around((118, 118, 116), 0.15)
        self.grass = dice.around(GRASS, 0.2)
        self.plot = Plot()
        # a street's houses resemble each other
        self.town = [dice.around(dice.pick(style.walls), 0.1) for _ in range(4)]

    def lay(self) -> Plot:
        """Both sides, and what closes the view."""
        for side in (-1, 1):
            self._side(side)
        self._closing()
        return self.plot

    def _side(self, side: int) -> None:
        dice, street = self.dice, self.street
        edge = self.road.edge(side)
        pavement = dice.between(*street.pavement)
        verge = dice.between(0.8, 2.5) if dice.chance(street.verge) else 0.0
        inner, outer = edge + verge, edge + verge + pavement
        self.plot.walks[side] = (inner + 0.3, outer)
        setback = dice.between(*street.setback)
        z, last = -6.0 - 6 * dice.random(), ""
        while z < self.road.end:
            kind = dice.weighted(street.lots)
            if kind == "side street" and (last == kind or z < 4 or dice.chance(0.3)):
                kind = "house"
            length = {"side street": (7.0, 13.0), "garden": (8.0, 22.0), "yard": (14.0, 30.0)}.get(kind, (5.5, 15.0))
            far = min(z + dice.between(*length), self.road.end)
            if kind == "side street":
                self.plot.openings.append((side, z, far))
            else:
                self._pave(side, edge, inner, outer, (z, far))
                front = outer + (setback if dice.chance(0.8) else dice.between(*street.setback))
                {"house": self._house, "garden": self._garden, "yard": self._yard}[kind](side, outer, front, z, far)
                self._street_trees(side, inner + 0.7, z, far)
            z, last = far, kind

    def _pave(self, side: int, edge: float, inner: float, outer: float, span: tuple[float, float]) -> None:
        if span[1] < 0.6:
            return
        span = (max(span[0], 0.45), span[1])

        def strip(a: float, b: float, color: Color, label: int | None) -> None:
            self.plot.pieces.append(Strip(left=side * a, right=side * b, span=span, color=color, label=label))

        if inner > edge:
            strip(edge, inner, self.grass, TREE)
        strip(inner, outer, self.paving, PAVEMENT)
        strip(edge, edge + 0.16, self.kerb, PAVEMENT)
        strip(edge - 0.22, edge, (64.0, 64.0, 66.0), None)

    def _house(self, side: int, outer: float, front: float, near: float, far: float) -> None:
        dice = self.dice
        if front - outer > 0.4:
            paved = dice.chance(0.4)
            color, label = (self.paving, PAVEMENT) if paved else (self.grass, TREE)
            span = (max(near, 0.45), max(far, 0.6))
            self.plot.pieces.append(Strip(left=side * outer, right=side * front, span=span, color=color, label=label))
            self._fence(side, outer + 0.1, near, far, dice.weighted(FENCES["house"]))
            for _ in range(dice.whole(0, 2) if front - outer > 2.5 else 0):
                self._tree(side * dice.between(outer + 1.2, front), dice.between(near, far), dice.between(2.5, 8), 0.0)
        house = plan_building(self.style, self.street, dice, self.town, side=side, front=front, near=near, far=far)
        self.plot.things.append(house)
        self._shade(side, front, near, far, house.eaves + house.pitch * 0.5)
        if dice.chance(0.25):
            self._tree(
                side * (front + dice.between(9, 16)), dice.between(near, far) + 6, house.eaves + dice.between(2, 8), 8.0
            )

    def _garden(self, side: int, outer: float, front: float, near: float, far: float) -> None:
        dice = self.dice
        span = (max(near, 0.45), max(far, 0.6))
        wide = Strip(left=side * outer, right=side * (outer + 40), span=span, color=self.grass, label=TREE)
        self.plot.pieces.append(wide)
        self._fence(side, outer + 0.1, near, far, dice.weighted(FENCES["garden"]))
        for _ in range(int((far - near) / 3.6) + 1):
            place = side * (outer + 1.5 + 12 * dice.random() ** 1.5)
            self._tree(place, dice.between(near, far), dice.between(4, 13), dice.between(0.0, 4.0))
        if dice.chance(0.5):
            back = outer + dice.between(14, 28)
            self.plot.things.append(
                plan_building(self.style, self.street, dice, self.town, side=side, front=back, near=near, far=far)
            )

    def _yard(self, side: int, outer: float, front: float, near: float, far: float) -> None:
        """A car park or forecourt with something behind it."""
        back = outer + self.dice.between(16, 30)
        span = (max(near, 0.45), max(far, 0.6))
        tarmac = self.dice.around(self.style.asphalt[0], 0.15)
        self.plot.pieces.append(Strip(left=side * outer, right=side * back, span=span, color=tarmac, label=ROAD))
        self.plot.yards.append((side, outer + 2, max(near, 6.0), far))
        self._fence(side, outer + 0.1, near, far, self.dice.weighted(FENCES["yard"]))
        house = plan_building(self.style, self.street, self.dice, self.town, side=side, front=back, near=near, far=far)
        self.plot.things.append(house)

    def _fence(self, side: int, x: float, near: float, far: float, kind: str) -> None:
        dice = self.dice
        color = {
            "wall": dice.around(dice.pick(self.style.walls), 0.15), "boards": dice.around((96, 78, 60), 0.3),
        }.get(kind, dice.around((58, 60, 60), 0.4))  # fmt: skip
        tall = {"wall": (0.6, 2.0), "boards": (1.2, 2.0)}.get(kind, (0.9, 1.6))
        height = dice.between(*tall)
        z = max(near, 1.2)
        while kind and z < min(far, 70.0):
            step = min(z + (2.5 if kind == "hedge" else 5.0), far)
            if kind == "hedge":
                self._bush(side * (x + 0.4), (z + step) / 2, 0.8 + height * 0.8, (step - z) * 1.7)
            else:
                start, end = (side * x, z), (side * x, step)
                self.plot.things.append(Barrier(kind=kind, start=start, end=end, height=height, color=color))
            z = step

    def _tree(self, x: float, z: float, height: float, behind: float) -> None:
        if z < (6.5 if height > 4 else 4.0):
            return  # a crown this near would hide the street
        dice = self.dice
        kind = dice.weighted(self.style.trees)
        width = height * (dice.between(0.22, 0.5) if kind == "conifer" else dice.between(0.65, 1.05))
        self._plant(kind, x, z, height, width, behind)
        if self.shade_side and x * self.shade_side > 0:
            self._tree_shadow(x, z, height, width)

    def _bush(self, x: float, z: float, height: float, width: float) -> None:
        self._plant("hedge", x, z, height, width, 0.0)

    def _plant(self, kind: str, x: float, z: float, height: float, width: float, behind: float) -> None:
        dice = self.dice
        color = dice.around((88, 82, 76), 0.25) if kind == "bare" else dice.around(dice.pick(self.style.foliage), 0.25)
        if kind == "conifer":
            color = (color[0] * 0.6, color[1] * 0.72, color[2] * 0.62)
        variant, flipped = dice.whole(0, VARIANTS - 1), dice.chance(0.5)
        self.plot.things.append(
            Plant(
                kind=kind,
                variant=variant,
                x=x,
                z=z,
                height=height,
                width=width,
                color=color,
                flipped=flipped,
                behind=behind,
            )
        )

    def _street_trees(self, side: int, x: float, near: float, far: float) -> None:
        for _ in range(max(1, int((far - near) / 10))):
            if self.dice.chance(self.street.trees):
                self._tree(side * x, self.dice.between(near, far), self.dice.between(5, 11), 0.0)

    def _shade(self, side: int, front: float, near: float, far: float, height: float) -> None:
        if self.shade_side != side or far < 0:
            return
        length = height * self.reach
        a, b = max(near, 0.45), max(far, 0.6)
        tips = [(side * (front - length), b + length * self.slant), (side * (front - length), a + length * self.slant)]
        self.plot.shadows.append([(side * front, a), (side * front, b), *((x, max(z, 0.45)) for x, z in tips)])

    def _tree_shadow(self, x: float, z: float, height: float, width: float) -> None:
        dice, towards = self.dice, -self.shade_side
        length = min(height * self.reach, 9.0)
        tip = (x + towards * length, max(0.5, z + length * self.slant))
        self.plot.shadows.append(
            [(x, z - 0.15), (x, z + 0.15), (tip[0], tip[1] + 0.15), (tip[0], max(0.45, tip[1] - 0.15))]
        )
        for _ in range(5):
            cx, cz = tip[0] + dice.between(-0.4, 0.4) * length, max(1.0, tip[1] + dice.between(-0.5, 0.5) * width)
            r = dice.between(0.2, 0.6)
            self.plot.shadows.append([(cx - 2 * r, cz), (cx, cz - min(r, cz - 0.5)), (cx + 2 * r, cz), (cx, cz + r)])

    def _closing(self) -> None:
        """What stands across the end of the street, and a line of trees beyond everything."""
        dice, end = self.dice, self.road.end
        for k in range(14):
            self._plant(
                dice.pick(("leafy", "hedge", "bare", "hedge")),
                -150 + 22.0 * k + dice.between(-8, 8),
                215,
                dice.between(8, 17),
                34,
                0,
            )
        x = -75.0
        while x < 75:
            width = dice.between(8, 20)
            if dice.chance(0.62):
                house = plan_building(
                    self.style, self.street, dice, self.town, side=0, front=end + 7, near=x, far=x + width
                )
                self.plot.things.append(house)
            else:
                self._plant(
                    dice.pick(("leafy", "bare", "hedge")), x + width / 2, end + 7, dice.between(5, 12), width * 1.3, 0
                )
            x += width
        span = (end + 3.5, end + 7)
        self.plot.pieces.append(Strip(left=-75, right=75, span=span, color=self.paving, label=PAVEMENT))
