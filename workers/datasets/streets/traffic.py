"""What moves and what stands about: vehicles, people, posts and railings, placed along a street that is laid out."""

import math
from dataclasses import dataclass, field, replace

from workers.datasets.streets.canvas import Color
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.furniture import STEEL, Barrier, Clutter, Post
from workers.datasets.streets.layout import Plot
from workers.datasets.streets.people import SKIN, Cyclist, Person
from workers.datasets.streets.streetkinds import Road
from workers.datasets.streets.style import Style
from workers.datasets.streets.vehicles import Vehicle

PAINTS: tuple[Color, ...] = (
    (150, 154, 158), (168, 172, 176), (184, 186, 188), (40, 42, 46), (26, 27, 30), (30, 40, 66), (46, 64, 98),
    (96, 28, 32), (122, 36, 36), (60, 66, 70), (92, 96, 100), (40, 58, 50), (160, 140, 80), (122, 100, 72),
    (84, 106, 126), (196, 194, 188), (112, 118, 122), (20, 22, 26),
)  # fmt: skip
CLOTHES: tuple[Color, ...] = (
    (18, 18, 20), (22, 23, 30), (28, 27, 26), (38, 36, 38), (26, 32, 48), (52, 48, 42), (40, 26, 25), (30, 30, 34),
    (70, 30, 32), (90, 88, 86), (30, 40, 34), (128, 124, 118), (44, 60, 92), (150, 60, 40),
)  # fmt: skip
HAIR: tuple[Color, ...] = ((30, 26, 24), (58, 44, 34), (92, 74, 56), (120, 112, 104), (22, 22, 24))
MODEL_WEIGHTS = (("hatch", 6), ("saloon", 4), ("estate", 3), ("van", 2), ("lorry", 0.4), ("bus", 0.5), ("decker", 0.4))
PARKED_WEIGHTS = (("hatch", 6), ("saloon", 4), ("estate", 3), ("van", 1.3))
FACES: tuple[Color, ...] = ((230, 230, 226), (30, 70, 160), (226, 226, 220), (24, 96, 70), (210, 180, 50))


@dataclass(slots=True, kw_only=True)
class Crowd:
    """Everything upright that is not part of the street's sides."""

    vehicles: list[Vehicle] = field(default_factory=list)
    people: list[Person | Cyclist] = field(default_factory=list)
    furniture: list[Post | Barrier | Clutter] = field(default_factory=list)


def populate(style: Style, road: Road, plot: Plot, dice: Dice, *, busy: float, lamps: bool) -> Crowd:
    """Draw all of it. `busy` is a factor on the number of vehicles and people, `lamps` whether lamps are lit."""
    crowd = Crowd()
    _driving(crowd, style, road, dice, busy, lamps)
    _parked(crowd, road, plot, dice, busy * style.traffic)
    _crossing(crowd, road, plot, dice, lamps)
    _walking(crowd, style, road, plot, dice, busy)
    _cycling(crowd, style, road, dice)
    crowd.people = [person for person in crowd.people if not any(v.covers(*person.place) for v in crowd.vehicles)]
    _posts(crowd, style, road, plot, dice)
    _railings(crowd, road, plot, dice)
    return crowd


def _vehicle(
    dice: Dice, x: float, z: float, heading: float, lamps: bool, weights: tuple[tuple[str, float], ...] = MODEL_WEIGHTS
) -> Vehicle:
    model = dice.weighted(weights)
    paint = dice.around(dice.pick(PAINTS), 0.15)
    if model in ("bus", "decker") and dice.chance(0.6):
        paint = dice.around(dice.pick(((150, 24, 28), (40, 80, 150), (200, 190, 150), (30, 110, 90))), 0.15)
    if model in ("van", "lorry") and dice.chance(0.6):
        paint = dice.around((205, 206, 205), 0.08)
    turn = dice.between(-0.03, 0.03)
    glass = dice.around((38, 42, 47), 0.4) if dice.chance(0.75) else dice.around((110, 120, 128), 0.2)
    return Vehicle(
        model=model, x=x, z=z, heading=heading + turn, paint=paint, glass=glass, size=dice.between(0.93, 1.08),
        braking=dice.chance(0.3), lamps=lamps or dice.chance(0.06),
    )  # fmt: skip


def _driving(crowd: Crowd, style: Style, road: Road, dice: Dice, busy: float, lamps: bool) -> None:
    for lane in range(road.own_lanes + road.other_lanes):
        own = lane < road.own_lanes
        x = -(lane + 0.5) * road.lane if own else (lane - road.own_lanes + 0.5) * road.lane
        z = dice.between(7.5, 34) if own else dice.between(6.5, 40)
        jam = dice.chance(0.22 * busy)
        while z < road.end - 5:
            if jam or dice.chance(0.42 * busy * style.traffic):
                wander = dice.between(-0.3, 0.3)
                vehicle = _vehicle(dice, x + wander, z, 0.0 if own else math.pi, lamps)
                z += max(0.0, vehicle.length / 2 - 2.0)  # long ones keep their rear end where a car's would be
                crowd.vehicles.append(replace(vehicle, z=z))
                z += vehicle.length / 2 - 2.0
            z += dice.between(7, 13) if jam else dice.between(12, 40)


def _parked(crowd: Crowd, road: Road, plot: Plot, dice: Dice, busy: float) -> None:
    for side, bay in zip((-1, 1), road.bays, strict=True):
        if not bay:
            continue
        x, z = side * (road.edge(side) - 1.05), dice.between(3.0, 9.0)
        fill = dice.between(0.35, 1.0) * min(1.2, busy)
        while z < min(road.end, 95):
            if dice.chance(fill):
                heading = 0.0 if (side < 0) == dice.chance(0.85) else math.pi
                crowd.vehicles.append(_vehicle(dice, x + dice.between(-0.12, 0.12), z, heading, False, PARKED_WEIGHTS))
            z += dice.between(5.2, 7.0)
    for side, start, near, far in plot.yards:
        z = near
        while z < min(far, 60):
            for row in (start + 2.5, start + 9.5):
                if dice.chance(0.55):
                    heading = math.pi / 2 * dice.pick((-1, 1))
                    crowd.vehicles.append(_vehicle(dice, side * row, z, heading, False, PARKED_WEIGHTS))
            z += 2.7


def _crossing(crowd: Crowd, road: Road, plot: Plot, dice: Dice, lamps: bool) -> None:
    """Vehicles in side streets and on the street that ends the view."""
    for side, near, far in plot.openings:
        if near > 6 and dice.chance(0.4):
            x = side * (road.edge(side) + dice.between(1.5, 9))
            crowd.vehicles.append(_vehicle(dice, x, (near + far) / 2 + dice.between(-2, 2), side * math.pi / 2, lamps))
    for _ in range(dice.whole(0, 3)):
        x = dice.between(-18, 18)
        crowd.vehicles.append(_vehicle(dice, x, road.end + 1, dice.pick((-1, 1)) * math.pi / 2, lamps))


def _person(dice: Dice, x: float, z: float) -> Person:
    child = dice.chance(0.08)
    return Person(
        x=x, z=z, height=dice.between(1.1, 1.4) if child else dice.between(1.58, 1.88),
        coat=dice.around(dice.pick(CLOTHES), 0.3), legs=dice.around(dice.pick(CLOTHES[:8]), 0.3), hair=dice.pick(HAIR),
        skin=dice.pick(SKIN), stride=dice.between(0.1, 1.0), side_on=dice.random() ** 1.5, bag=dice.chance(0.3),
    )  # fmt: skip


def _walking(crowd: Crowd, style: Style, road: Road, plot: Plot, dice: Dice, busy: float) -> None:
    for side in (-1, 1):
        inner, outer = plot.walks[side]
        for _ in range(round(dice.between(0, 4.6) * style.people * busy)):
            z = 6 + 55 * dice.random() ** 1.3
            x = dice.between(inner, outer)
            for k in range(dice.weighted(((1, 6), (2, 3), (3, 1)))):
                crowd.people.append(_person(dice, side * (x + 0.55 * k), z + dice.between(-0.4, 0.4)))
    if dice.chance(0.16 * style.people):  # somebody crosses
        z = dice.between(8, 30)
        for _ in range(dice.whole(1, 3)):
            person_x = dice.between(-road.edge(-1), road.edge(1))
            crowd.people.append(_person(dice, person_x, z + dice.between(-0.7, 0.7)))


def _cycling(crowd: Crowd, style: Style, road: Road, dice: Dice) -> None:
    for _ in range(dice.weighted(((0, 3), (1, 4), (2, 2.5), (3, 1.5)))):
        if not dice.chance(min(1.0, 0.8 * style.cyclists)):
            continue
        own = dice.chance(0.65)
        z = 7 + 28 * dice.random() ** 1.3
        x = (
            -(road.own_lanes * road.lane - dice.between(0.4, 1.3))
            if own
            else road.other_lanes * road.lane - dice.between(0.4, 1.3)
        )
        heading = dice.between(-0.2, 0.2) + (0.0 if own else math.pi)
        if dice.chance(0.15):
            heading = dice.pick((-1, 1)) * math.pi / 2
        crowd.people.append(
            Cyclist(rider=_person(dice, x, z), heading=heading, frame=dice.around(dice.pick(PAINTS), 0.3))
        )


def _posts(crowd: Crowd, style: Style, road: Road, plot: Plot, dice: Dice) -> None:
    steel = dice.around(STEEL if dice.chance(0.6) else (46, 48, 48), 0.3)
    tall, gap = dice.between(5.5, 9), dice.between(24, 40)
    for side in (-1, 1):
        x = side * (plot.walks[side][0] + 0.1)
        z = dice.between(3, gap)
        while z < 110 and dice.chance(0.75):
            reach = -side * dice.between(0.8, 2.2)
            crowd.furniture.append(Post(kind="lamp", x=x, z=z, height=tall, thickness=0.13, color=steel, reach=reach))
            z += gap * dice.between(0.9, 1.15)
        for _ in range(dice.weighted(((1, 4), (2, 4), (3, 2)))):
            crowd.furniture.append(_sign(dice, x + side * dice.between(0, 0.4), 6 + 44 * dice.random() ** 1.4, steel))
        if dice.chance(0.22):
            _bollards(crowd, dice, x, steel)
        for _ in range(dice.weighted(((0, 5), (1, 3), (2, 1)))):
            _clutter(crowd, dice, side * plot.walks[side][1], 5 + 40 * dice.random())
    if dice.chance(0.42):
        z = dice.between(7, 26)
        lit = dice.pick(("red", "green", "green", "amber"))
        for side, deeper in ((-1, 0.0), (1, 0.0), (-1, 11.0), (1, 11.0)):
            if dice.chance(0.8):
                at = side * (plot.walks[side][0] + 0.2)
                post = Post(
                    kind="signal",
                    x=at,
                    z=z + deeper,
                    height=dice.between(2.9, 3.8),
                    thickness=0.13,
                    color=steel,
                    shape=lit,
                )
                crowd.furniture.append(post)


def _sign(dice: Dice, x: float, z: float, steel: Color) -> Post:
    if dice.chance(0.38):
        face = dice.around(dice.pick(FACES + PAINTS), 0.15)
        low = dice.chance(0.4)
        return Post(
            kind="board", x=x, z=max(z, 9.0),
            height=dice.between(1.3, 2.4) if low else dice.between(2.8, 4.2), thickness=0.1,
            color=steel, face=face, shape="low" if low else "high", size=dice.between(0.4, 0.95),
        )  # fmt: skip
    if dice.chance(0.15):
        return Post(kind="post", x=x, z=z, height=dice.between(2.5, 9), thickness=dice.between(0.08, 0.2), color=steel)
    return Post(
        kind="sign", x=x, z=z, height=dice.between(2.3, 3.4), thickness=0.07, color=steel, face=dice.pick(FACES),
        shape=dice.pick(("disc", "disc", "triangle", "plate", "wide")), size=dice.between(0.26, 0.42),
    )  # fmt: skip


def _bollards(crowd: Crowd, dice: Dice, x: float, steel: Color) -> None:
    z, step = dice.between(4, 15), dice.between(1.5, 2.6)
    color = dice.around((30, 30, 32), 0.4) if dice.chance(0.7) else steel
    for k in range(dice.whole(3, 9)):
        post = Post(
            kind="bollard", x=x, z=z + step * k, height=1.0, thickness=0.16, color=color, face=(215.0, 210.0, 190.0)
        )
        crowd.furniture.append(post)


def _clutter(crowd: Crowd, dice: Dice, x: float, z: float) -> None:
    shelter = dice.chance(0.2)
    color = dice.around(dice.pick(((36, 38, 38), (150, 28, 30), (60, 80, 66), (90, 92, 94))), 0.2)
    width, height = (2.6, 2.3) if shelter else (dice.between(0.45, 0.9), dice.between(0.9, 1.6))
    crowd.furniture.append(
        Clutter(x=x - math.copysign(0.5, x), z=z, width=width, height=height, color=color, glazed=shelter)
    )


def _railings(crowd: Crowd, road: Road, plot: Plot, dice: Dice) -> None:
    """Railings at the kerb."""
    for side in (-1, 1):
        if not dice.chance(0.25):
            continue
        x, start = side * (plot.walks[side][0] - 0.05), dice.between(4, 18)
        color = dice.around((104, 108, 108) if dice.chance(0.6) else (40, 44, 44), 0.25)
        for k in range(dice.whole(4, 10)):
            near, far = start + 2.0 * k, start + 2.0 * k + 1.95
            if any(s == side and near < b and far > a for s, a, b in plot.openings):
                continue
            crowd.furniture.append(Barrier(kind="railing", start=(x, near), end=(x, far), height=1.05, color=color))
