"""Cities to draw: the light, the materials and how busy the streets are; plus the light of one scene in one of them."""

from dataclasses import dataclass

from workers.datasets.streets.canvas import Color, Light
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.sky import Sky, plan_sky

Weights = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One city at one time of day. Weights are relative; densities are factors on the usual number."""

    name: str
    skies: Weights
    exposure: tuple[float, float]  # of the middle half of the scenes, as a factor
    warmth: tuple[float, float]  # colour cast: above 0 more red, below 0 more blue
    sunny: float  # probability of direct sun
    lamps: float  # probability of lit lamps and windows
    wet: float  # probability of a wet road
    mirrored: float  # probability of driving on the right
    streets: Weights  # kinds of street, see layout.STREETS
    walls: tuple[Color, ...]
    roofs: tuple[Color, ...]
    accents: tuple[Color, ...]
    foliage: tuple[Color, ...]
    trees: Weights
    asphalt: tuple[Color, ...]
    paving: tuple[Color, ...]
    traffic: float
    people: float
    cyclists: float
    height: float  # factor on the number of floors
    visibility: tuple[float, float]


DAY = Style(
    name="day",
    skies=(("white", 5), ("pale", 4), ("clear", 3), ("overcast", 1.5), ("broken", 0.8), ("leaden", 1)),
    exposure=(0.75, 1.5),
    warmth=(-0.07, 0.06),
    sunny=0.55,
    lamps=0.0,
    wet=0.1,
    mirrored=0.25,
    streets=(("high", 4), ("terrace", 3), ("villas", 2.2), ("park", 2.0), ("retail", 1)),
    walls=(
        (134, 92, 70), (112, 72, 56), (160, 130, 92), (172, 152, 118), (196, 188, 170), (206, 204, 200),
        (140, 134, 124), (108, 104, 100), (86, 74, 66), (150, 112, 88), (124, 112, 92), (70, 64, 60),
        (182, 170, 150), (96, 66, 54),
    ),
    roofs=((72, 72, 78), (92, 66, 56), (58, 58, 62), (110, 80, 66), (84, 84, 86)),
    accents=(
        (150, 30, 36), (30, 60, 130), (30, 86, 56), (200, 170, 40), (24, 24, 28), (190, 190, 186), (110, 40, 90),
        (200, 96, 30),
    ),
    foliage=((82, 84, 62), (96, 92, 74), (66, 78, 44), (74, 88, 50), (108, 96, 76), (52, 64, 42)),
    trees=(("bare", 5), ("leafy", 3), ("conifer", 1.5)),
    asphalt=((80, 83, 88), (88, 90, 93), (72, 75, 81), (96, 97, 99), (84, 82, 82)),
    paving=((88, 89, 90), (96, 92, 88), (80, 80, 80), (104, 100, 92), (92, 80, 76)),
    traffic=1.0,
    people=1.0,
    cyclists=1.0,
    height=1.0,
    visibility=(150, 900),
)  # fmt: skip

DUSK = Style(
    name="dusk",
    skies=(("sunset", 4), ("twilight", 4), ("leaden", 2), ("broken", 1.5)),
    exposure=(0.75, 1.2),
    warmth=(0.0, 0.16),
    sunny=0.25,
    lamps=0.6,
    wet=0.5,
    mirrored=0.85,
    streets=(("high", 4), ("terrace", 2), ("villas", 1), ("park", 2.5), ("retail", 1.5)),
    walls=(
        (208, 176, 130), (214, 190, 160), (190, 140, 100), (150, 160, 166), (120, 132, 142), (186, 110, 84),
        (220, 214, 200), (92, 104, 116), (172, 166, 120), (130, 86, 80),
    ),
    roofs=((150, 82, 58), (126, 70, 52), (76, 84, 92), (100, 104, 108)),
    accents=((220, 60, 60), (60, 130, 200), (40, 150, 110), (230, 200, 80), (180, 60, 140), (235, 235, 230)),
    foliage=((58, 84, 40), (74, 96, 44), (92, 100, 40), (110, 86, 36), (46, 70, 44)),
    trees=(("bare", 1), ("leafy", 5), ("conifer", 2)),
    asphalt=((70, 70, 78), (62, 64, 72), (78, 76, 80)),
    paving=((120, 110, 100), (112, 112, 116), (128, 116, 96)),
    traffic=1.1,
    people=1.1,
    cyclists=1.15,
    height=1.25,
    visibility=(90, 420),
)  # fmt: skip

STYLES = {style.name: style for style in (DAY, DUSK)}


def plan_light(style: Style, dice: Dice) -> tuple[Light, Sky]:
    """The sky of a scene and the light that goes with it."""
    kind = dice.weighted(style.skies)
    sun = dice.pick((-1, 1)) if kind not in ("overcast", "leaden", "twilight") and dice.chance(style.sunny) else 0
    sky = plan_sky(kind, dice, sun)
    level = dice.between(*style.exposure)
    if dice.chance(0.5):  # the other half of the scenes lies further out
        level *= dice.between(0.55, 1.4)
    level *= {"leaden": 0.55, "broken": 0.7, "white": 1.08}.get(kind, 1.0)
    warm = dice.between(*style.warmth)
    exposure = (level * (1 + warm), level, level * (1 - warm))
    ahead = dice.chance(0.55)
    lit, shaded = dice.between(1.15, 1.8), dice.between(0.45, 0.7)
    plain = dice.between(0.78, 0.95)
    veil = dice.between(0.55, 0.9)
    light = Light(
        exposure=exposure,
        left=plain if not sun else (lit if sun < 0 else shaded),
        right=plain if not sun else (lit if sun > 0 else shaded),
        front=plain * 0.95 if not sun else (shaded * 1.05 if ahead else lit * 0.9),
        haze=tuple(min(235.0, c) * veil for c in sky.horizon),  # type: ignore[arg-type]
        visibility=dice.between(*style.visibility),
        sun=sun,
        lamps=dice.chance(style.lamps),
    )
    return light, sky
