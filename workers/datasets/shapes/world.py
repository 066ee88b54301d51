"""What a world of shapes is: its layout, its classes, how often they are met and what they look like; drawn from its seed.

Shapes: C classes.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet, Color, LabelClass

LAYOUTS = ("plots", "cells", "lines", "layers")
# Classes of a world, at least and at most.
_CLASSES = {"plots": (4, 14), "cells": (3, 20), "lines": (2, 4), "layers": (5, 14)}
# The chance that a class has nearly the colour of another one.
_ALIKE = 0.45
# How far colours of classes that look alike lie apart, and by which factor they differ from series to series: deviations.
_APART, _SHIFT = 14.0, 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a class looks like. color: red, green, blue in 0..255. grain, mottle, stripes: deviations of texture, as shares of
    brightness; coarse: of the mottle, cells across 512 pixels; period, angle: of the stripes, in heights of an image and radians.
    """

    color: tuple[float, float, float]
    grain: float
    mottle: float
    coarse: int
    stripes: float
    period: float
    angle: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """shares_C: how often a class is drawn, of sum 1, beside the ground of cells and lines, class 0, and the bands of layers, all
    of them always there. scale: of shapes, in heights of an image. roundness: 0 (angular) to 1. border: between shapes, which
    nobody labels, in pixels at a height of 360. noise: deviation in 0..255. blur: radius in pixels at a height of 360.
    """

    seed: int
    layout: str
    classes: ClassSet
    shares_C: NDArray[np.float64]
    looks: tuple[Look, ...]
    scale: float
    roundness: float
    border: float
    noise: float
    blur: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """What images that follow each other share. gain_3: of the light in each channel. shares_C: of the classes that are there.
    shifts_C3: factors on the colours of classes, which are not everywhere the same. gamma: above 1 darkens. scale: a factor on
    the world's. turn: of stripes, in radians, and of layers, a slope of 0.4 of it.
    """

    shares_C: NDArray[np.float64]
    gain_3: NDArray[np.float64]
    shifts_C3: NDArray[np.float64]
    gamma: float
    scale: float
    turn: float


def plan_world(seed: int) -> World:
    """The world of a seed; layouts go round with it. Raises ValueError for a negative seed."""
    if seed < 0:
        raise ValueError(f"The seed of a world cannot be negative, got {seed}.")
    rng = np.random.default_rng([seed, 0])
    layout = LAYOUTS[seed % len(LAYOUTS)]
    low, high = _CLASSES[layout]
    count = int(rng.integers(low, high + 1))
    shares_C = np.arange(1, count + 1) ** -rng.uniform(0.2, 1.8)
    looks = _looks(count, rng)
    named = tuple(LabelClass(id=n, name=f"kind {n}", color=_whole(look.color)) for n, look in enumerate(looks))
    return World(
        seed=seed,
        layout=layout,
        classes=ClassSet(classes=named),
        shares_C=shares_C / shares_C.sum(),
        looks=looks,
        scale=float(rng.uniform(0.1, 0.28)),
        roundness=float(rng.uniform(0.0, 1.0)),
        border=float(rng.choice([0.0, 0.0, 1.5, 3.0])),
        noise=float(rng.uniform(1.0, 10.0)),
        blur=float(rng.uniform(0.0, 1.5)),
    )


def plan_series(world: World, number: int) -> Series:
    """The series of this number. Of classes beyond the two most frequent seven in ten are there."""
    rng = np.random.default_rng([world.seed, 1, number])
    there_C = rng.random(len(world.shares_C)) < 0.7
    there_C[:2] = True
    shares_C = world.shares_C * there_C * rng.uniform(0.4, 1.6, len(there_C))
    return Series(
        shares_C=shares_C / shares_C.sum(),
        gain_3=rng.uniform(0.75, 1.2) * rng.uniform(0.92, 1.08, 3),
        shifts_C3=rng.normal(1, _SHIFT, (len(there_C), 3)).clip(0.5, 1.5),
        gamma=float(rng.uniform(0.8, 1.25)),
        scale=float(rng.uniform(0.75, 1.35)),
        turn=float(rng.uniform(-0.3, 0.3)),
    )


def _whole(color: tuple[float, float, float]) -> Color:
    red, green, blue = color
    return int(red), int(green), int(blue)


def _looks(count: int, rng: np.random.Generator) -> tuple[Look, ...]:
    looks: list[Look] = []
    for _ in range(count):
        hue, depth, light = rng.random(), rng.uniform(0.05, 0.75), rng.uniform(0.2, 0.9)
        color = np.array(colorsys.hsv_to_rgb(hue, depth, light)) * 255
        if looks and rng.random() < _ALIKE:
            color = np.clip(np.array(looks[int(rng.integers(len(looks)))].color) + rng.normal(0, _APART, 3), 8, 247)
        red, green, blue = color.tolist()
        looks.append(
            Look(
                color=(red, green, blue),
                grain=float(rng.uniform(0.0, 0.2)),
                mottle=float(rng.uniform(0.0, 0.28)),
                coarse=int(rng.choice([8, 16, 32, 64, 128])),
                stripes=float(rng.uniform(0.05, 0.25)) if rng.random() < 0.3 else 0.0,
                period=float(rng.uniform(0.01, 0.06)),
                angle=float(rng.uniform(0, np.pi)),
            )
        )
    return tuple(looks)
