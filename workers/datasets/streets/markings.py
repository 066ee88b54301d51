"""Paint on the road: lane lines, crossings, arrows, yellow lines, coloured lanes, and repairs of the surface."""

from workers.datasets.streets.canvas import Color
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.ground import Patch, Strip, arrow, bar, box_junction, dashes, line, zigzag
from workers.datasets.streets.layout import Plot
from workers.datasets.streets.streetkinds import Road

WHITE: Color = (205.0, 205.0, 200.0)
YELLOW: Color = (176.0, 156.0, 88.0)


def plan_markings(road: Road, plot: Plot, asphalt: Color, dice: Dice) -> list[Strip | Patch]:
    """Everything painted or patched, in the order it was laid."""
    pieces: list[Strip | Patch] = []
    _repairs(pieces, road, asphalt, dice)
    white, yellow = dice.around(WHITE, 0.2), dice.around(YELLOW, 0.2)  # more or less worn
    if dice.chance(0.15):
        shade = dice.pick(((108, 76, 70), (80, 96, 82)))
        edge = -road.own_lanes * road.lane
        pieces.append(
            Strip(left=edge, right=edge + 1.5, span=(0.45, dice.between(15, 90)), color=dice.around(shade, 0.15))
        )
    _lanes(pieces, road, white, yellow, dice)
    if dice.chance(0.45):
        _crossing(pieces, road, white, yellow, dice)
    if dice.chance(0.3):
        x = -road.lane * (dice.whole(1, road.own_lanes) - 0.5)
        pieces += arrow(x, dice.between(4, 14), white)
    for side, near, far in plot.openings:
        if near > 0.5:  # give-way line at the mouth of a side street
            step = side * road.edge(side)
            for k in range(int((far - near) / 0.9)):
                z = near + 0.9 * k
                pieces.append(Strip(left=step, right=step + side * 0.2, span=(z, z + 0.55), color=white))
    return pieces


def _lanes(pieces: list[Strip | Patch], road: Road, white: Color, yellow: Color, dice: Dice) -> None:
    length, gap = dice.pick(((2.0, 4.0), (4.0, 2.0), (3.0, 3.0), (1.0, 5.0)))
    wide, start = dice.between(0.09, 0.16), dice.between(-3, 3)
    style = dice.weighted((("dashes", 6), ("line", 1), ("double", 1), ("none", 1)))
    if style == "dashes":
        pieces += dashes(0.0, wide, length, gap, start, white)
    elif style == "line":
        pieces.append(line(0.0, wide, (0.45, 90), white))
    elif style == "double":
        pieces += [line(-0.13, wide, (0.45, 90), white), line(0.13, wide, (0.45, 90), white)]
    for lane in range(1, road.own_lanes):
        pieces += dashes(-lane * road.lane, wide, 2.0, 4.0, start, white)
    for lane in range(1, road.other_lanes):
        pieces += dashes(lane * road.lane, wide, 2.0, 4.0, start, white)
    for side in (-1, 1):
        bay = road.bays[0 if side < 0 else 1]
        kind = dice.weighted((("yellow", 3), ("white", 1), ("", 4))) if not bay else "bay"
        edge = side * (road.edge(side) - 0.35)
        if kind == "yellow":
            pieces += [line(edge, 0.08, (0.45, 70), yellow), line(edge - side * 0.2, 0.08, (0.45, 70), yellow)]
        elif kind == "white":
            pieces.append(line(edge, 0.12, (0.45, 90), white))
        elif kind == "bay":
            pieces += dashes(side * (road.edge(side) - bay), 0.09, 1.0, 0.8, 0.5, white)


def _crossing(pieces: list[Strip | Patch], road: Road, white: Color, yellow: Color, dice: Dice) -> None:
    left, right, z = -road.edge(-1), road.edge(1), dice.between(6, 28)
    kind = dice.weighted((("signals", 4), ("zebra", 2), ("box", 1)))
    if kind == "box":
        pieces += box_junction(left + 0.5, right - 0.5, z, z + 9, yellow)
        return
    pieces.append(bar(left, 0.0, z - 2.0, 0.3, white))
    pieces.append(bar(0.0, right, z + 5.0, 0.3, white))
    if kind == "zebra":
        x = left + 0.3
        while x < right - 0.6:
            pieces.append(Strip(left=x, right=x + 0.6, span=(z, z + 2.8), color=white))
            x += 1.2
    else:
        for row in (z, z + 2.8):
            for k in range(int((right - left) / 0.6)):
                pieces.append(bar(left + 0.6 * k, left + 0.6 * k + 0.3, row, 0.12, white))
    if dice.chance(0.2):
        for x in (left + 0.3, -0.25, right - 0.8):
            pieces += zigzag(x, z + 5.5, white)
            pieces += zigzag(x, max(0.6, z - 15.5), white)


def _repairs(pieces: list[Strip | Patch], road: Road, asphalt: Color, dice: Dice) -> None:
    for _ in range(dice.whole(0, 4)):
        x, z = dice.between(-road.edge(-1), road.edge(1) - 1), dice.between(2.5, 30)
        tone = dice.between(0.78, 1.1)
        color = tuple(tone * channel for channel in asphalt)
        pieces.append(Strip(left=x, right=x + dice.between(0.5, 2.5), span=(z, z + dice.between(1, 14)), color=color))
    for _ in range(dice.whole(0, 3)):
        x, z = dice.between(-road.edge(-1), road.edge(1)), dice.between(3, 20)
        ring = [
            (x - 0.35, z),
            (x - 0.2, z - 0.25),
            (x + 0.2, z - 0.25),
            (x + 0.35, z),
            (x + 0.2, z + 0.25),
            (x - 0.2, z + 0.25),
        ]
        pieces.append(Patch(outline=ring, color=tuple(0.6 * channel for channel in asphalt)))
