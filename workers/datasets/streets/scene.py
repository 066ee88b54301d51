"""One street scene: planned from its seed without a size, then drawn at any size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.datasets.streets.buildings import Building, draw_building
from workers.datasets.streets.camera import Camera, View
from workers.datasets.streets.canvas import VOID, Canvas, Color, Light
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.finish import Lens, develop, plan_lens
from workers.datasets.streets.furniture import Barrier, Clutter, Post, draw_barrier, draw_clutter, draw_post
from workers.datasets.streets.ground import Ground, draw_ground
from workers.datasets.streets.layout import Planner, Plot
from workers.datasets.streets.markings import plan_markings
from workers.datasets.streets.people import Cyclist, Person, draw_cyclist, draw_person
from workers.datasets.streets.plants import Plant, draw_plant
from workers.datasets.streets.sky import Sky, draw_sky
from workers.datasets.streets.streetkinds import STREETS, Road
from workers.datasets.streets.style import Style, plan_light
from workers.datasets.streets.textures import TILE
from workers.datasets.streets.traffic import Crowd, populate
from workers.datasets.streets.vehicles import Vehicle, draw_vehicle

Pixels = NDArray[np.uint8]
Thing = Building | Plant | Barrier | Clutter | Post | Person | Cyclist | Vehicle


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything there is to draw, in metres and shares of the image's height."""

    view: View
    light: Light
    sky: Sky
    ground: Ground
    things: tuple[Thing, ...]
    lens: Lens
    bonnet: tuple[float, float, float] | None  # of the car that carries the camera: height left, middle, right
    mirrored: bool


def plan_scene(style: Style, rng: np.random.Generator) -> Scene:
    """Draw a scene's contents from `rng`; how it will be sized plays no part."""
    dice = Dice(rng)
    light, sky = plan_light(style, dice)
    street = STREETS[dice.weighted(style.streets)]
    road = _plan_road(dice)
    view = _plan_view(dice, road)
    plot = Planner(style, street, road, dice, light.sun).lay()
    crowd = populate(style, road, plot, dice, busy=dice.between(0.4, 1.6), lamps=light.lamps)
    ground = _plan_ground(style, road, plot, crowd, dice, light)
    things: list[Thing] = [*plot.things, *crowd.vehicles, *crowd.people, *crowd.furniture]
    things.sort(key=lambda thing: -thing.key)
    bonnet = None
    if dice.chance(0.12):
        bonnet = (dice.between(0.0, 0.05), dice.between(0.02, 0.07), dice.between(0.0, 0.05))
    return Scene(
        view=view, light=light, sky=sky, ground=ground, things=tuple(things), lens=plan_lens(dice), bonnet=bonnet,
        mirrored=dice.chance(style.mirrored),
    )  # fmt: skip


def _plan_road(dice: Dice) -> Road:
    return Road(
        lane=dice.between(3.0, 3.9),
        own_lanes=dice.weighted(((1, 4), (2, 1.2))),
        other_lanes=dice.weighted(((1, 4), (2, 0.8))),
        bays=(2.2 if dice.chance(0.3) else 0.0, 2.2 if dice.chance(0.3) else 0.0),
        end=dice.between(38, 90) if dice.chance(0.4) else dice.between(90, 170),
    )


def _plan_view(dice: Dice, road: Road) -> View:
    return View(
        focal=dice.between(1.0, 1.4),
        horizon=dice.between(0.44, 0.55),
        pan=dice.between(-0.16, 0.16),
        roll=dice.between(-0.018, 0.018),
        eye=dice.between(1.25, 1.75),
        x=-road.lane * (dice.whole(1, road.own_lanes) - 0.5) + dice.between(-0.5, 0.5),
        curve=0.0 if dice.chance(0.45) else dice.between(-0.0028, 0.0028),
    )


def _plan_ground(style: Style, road: Road, plot: Plot, crowd: Crowd, dice: Dice, light: Light) -> Ground:
    wet = dice.chance(style.wet)
    asphalt: Color = dice.around(dice.pick(style.asphalt), 0.14)
    shadows = list(plot.shadows)
    for vehicle in crowd.vehicles:
        if vehicle.z > 3:
            shadows.append(vehicle.footprint(0.12))
            if light.sun:
                shadows.append([(x - light.sun * 0.9, z + 0.2) for x, z in vehicle.footprint(0.1)])
    for person in crowd.people:
        x, z = person.place
        shadows.append(
            [(x - 0.3, z - 0.15), (x + 0.3, z - 0.15), (x + 0.3 - light.sun, z + 0.4), (x - 0.3 - light.sun, z + 0.4)]
        )
    return Ground(
        road=tuple(0.8 * c for c in asphalt) if wet else asphalt,
        pieces=[*plot.pieces, *plan_markings(road, plot, asphalt, dice)],
        shadows=shadows,
        shadow_depth=dice.between(0.4, 0.65) if light.sun else dice.between(0.35, 0.55),
        shadow_blur=0.002 if light.sun else 0.008,
        roughness=dice.between(0.6, 1.5),
        sheen=dice.between(0.4, 1.0) if wet else dice.between(0.0, 0.3),
        offset=(dice.whole(0, TILE - 1), dice.whole(0, TILE - 1)),
    )


def draw_scene(scene: Scene, height: int, width: int) -> tuple[Pixels, Pixels]:
    """The photograph (height, width, 3) and its label map (height, width) of class indices, both uint8."""
    canvas = Canvas(Camera(scene.view, height, width), scene.light)
    draw_sky(canvas, scene.sky)
    draw_ground(canvas, scene.ground)
    for thing in scene.things:
        _draw(canvas, thing)
    if scene.bonnet:
        _draw_bonnet(canvas, scene.bonnet)
    image, labels = develop(canvas, scene.lens), np.array(canvas.labels)
    if scene.mirrored:
        return np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[:, ::-1])
    return image, labels


def _draw(canvas: Canvas, thing: Thing) -> None:
    match thing:
        case Building():
            draw_building(canvas, thing)
        case Plant():
            draw_plant(canvas, thing)
        case Vehicle():
            draw_vehicle(canvas, thing)
        case Person():
            draw_person(canvas, thing)
        case Cyclist():
            draw_cyclist(canvas, thing)
        case Post():
            draw_post(canvas, thing)
        case Barrier():
            draw_barrier(canvas, thing)
        case Clutter():
            draw_clutter(canvas, thing)


def _draw_bonnet(canvas: Canvas, rise: tuple[float, float, float]) -> None:
    height, width = canvas.camera.height, canvas.camera.width
    left, middle, right = (height * (1 - share) for share in rise)
    outline = [
        0.0,
        left,
        width * 0.5,
        height - (height - middle),
        float(width),
        right,
        float(width),
        height + 2.0,
        0.0,
        height + 2.0,
    ]
    canvas.flat(outline, canvas.ink((70, 74, 80), 2.0, 0.5), VOID)
