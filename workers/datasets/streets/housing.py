"""One building for one lot: its size, materials, windows and ground floor, as the street and the city have them."""

from workers.datasets.streets.buildings import Building
from workers.datasets.streets.canvas import Color
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.streetkinds import Street
from workers.datasets.streets.style import Style

GLASS: tuple[Color, ...] = ((34, 36, 40), (46, 50, 56), (28, 28, 30), (58, 64, 72))


def plan_building(
    style: Style,
    street: Street,
    dice: Dice,
    town: list[tuple[float, float, float]],
    *,
    side: int,
    front: float,
    near: float,
    far: float,
) -> Building:
    """One building of the street's kind on its lot."""
    modern = dice.chance(0.22)
    floors = max(1, round(dice.whole(*street.floors) * style.height + dice.between(-0.3, 0.4)))
    pitched = not modern and dice.chance(0.75)
    wall = dice.around(dice.pick(town), 0.08) if dice.chance(0.6) else dice.around(dice.pick(style.walls), 0.15)
    curtain = modern and dice.chance(0.35)  # a wall that is nearly all glass
    base = dice.around(dice.pick((*style.accents, (210, 208, 202), (70, 70, 72))), 0.2) if dice.chance(0.25) else None
    if dice.chance(0.1):
        wall = dice.around((212, 210, 204), 0.08)
    pale = dice.around((205, 203, 196), 0.12) if dice.chance(0.65) else dice.around((70, 62, 56), 0.3)
    return Building(
        side=side, front=front, near=near, far=far, depth=dice.between(7, 11), floors=floors,
        floor_height=dice.between(2.7, 3.6), wall=wall, trim=pale, accent=dice.around(dice.pick(style.accents), 0.2),
        roof=dice.around(dice.pick(style.roofs), 0.15), pitch=dice.between(1.8, 4.5) if pitched else 0.0,
        gabled=dice.chance(0.25), ground=dice.weighted(street.ground),
        base=base, window=_window(dice, modern, curtain),
        bay=dice.between(2.6, 4.5) if modern else dice.between(1.9, 3.6),
        glass=dice.around((92, 106, 118) if curtain else dice.pick(GLASS), 0.3),
        chimneys=dice.whole(0, 2) if pitched else 0, seed=dice.whole(0, 1023),
    )  # fmt: skip


def _window(dice: Dice, modern: bool, curtain: bool) -> tuple[float, float]:
    """Width and height of the windows as shares of bay and floor."""
    if curtain:
        return dice.between(0.86, 0.95), dice.between(0.7, 0.85)
    if modern:
        return dice.between(0.55, 0.92), dice.between(0.4, 0.6)
    return dice.between(0.28, 0.5), dice.between(0.42, 0.62)
