"""Where shapes lie: label maps, and how bright each shape is beside others of its class.

All lengths are shares of an image's height, so that a world looks alike at any size. Points are (column, row), as
Pillow takes them.

Shapes: H x W pixels of an image, S sites, P points of an outline, L layers, C classes.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.domain.classes import IGNORE
from workers.datasets.base import Pixels
from workers.datasets.shapes.world import Series, World
from workers.datasets.streets.textures import smooth_noise

Tones = NDArray[np.float32]
GROUND = 0
_TONE = 0.15  # deviation of a shape's brightness
_WARP = 256  # pixels of a side of the noise that borders are bent by
HEIGHT = 360  # of images that lengths in pixels are given for
_MOST_SITES = 400


class Sheet:
    """A label map and tones, painted shape by shape."""

    def __init__(self, height: int, width: int, ground: int) -> None:
        self.height, self.width = height, width
        self.labels, self.tones = Image.new("L", (width, height), ground), Image.new("F", (width, height), 1.0)
        self._pens = ImageDraw.Draw(self.labels), ImageDraw.Draw(self.tones)

    def polygon(self, points: NDArray[np.float64], label: int, tone: float, border: float = 0.0) -> None:
        """Fill a polygon of (column, row) points in heights; around it `border` pixels that nobody labels."""
        flat = [(float(col), float(row)) for col, row in points * self.height]
        self._pens[0].polygon(flat, fill=label)
        self._pens[1].polygon(flat, fill=tone)
        if border:
            width = max(1, round(border * self.height / HEIGHT))
            self._pens[0].line([*flat, flat[0]], fill=IGNORE, width=width)

    def line(self, points: NDArray[np.float64], label: int, tone: float, breadth: float) -> None:
        """Draw a line through (column, row) points in heights, `breadth` heights wide, a pixel at least."""
        flat = [(float(col), float(row)) for col, row in points * self.height]
        for pen, fill in zip(self._pens, (label, tone), strict=True):
            pen.line(flat, fill=fill, width=max(1, round(breadth * self.height)), joint="curve")

    def done(self) -> tuple[Pixels, Tones]:
        """Label map and tones."""
        return np.array(self.labels), np.array(self.tones, dtype=np.float32)


def arrange(world: World, series: Series, height: int, width: int, rng: np.random.Generator) -> tuple[Pixels, Tones]:
    """The label map of an image, and the brightness of what it shows, around 1."""
    layout = {"plots": _plots, "cells": _cells, "lines": _lines, "layers": _layers}[world.layout]
    return layout(world, series, height, width, rng)


def _plots(world: World, series: Series, height: int, width: int, rng: np.random.Generator) -> tuple[Pixels, Tones]:
    """Fields without gaps, each nearest to its own site; sites of one class often lie side by side."""
    reach, scale = width / height, world.scale * series.scale
    count = min(_MOST_SITES, max(6, round(reach / scale**2)))
    sites_S2 = rng.random((count, 2)) * [reach, 1.0]
    classes_S = rng.choice(len(series.shares_C), count, p=series.shares_C)
    # A third follow their nearest neighbour before them: fields of a kind make up larger ones.
    for site in np.flatnonzero(rng.random(count) < 0.33):
        if site:
            classes_S[site] = classes_S[int(((sites_S2[:site] - sites_S2[site]) ** 2).sum(1).argmin())]
    tones_S = _tones(count, rng)
    points_HW2 = _bent(height, width, 0.25 * world.roundness * scale, rng)
    nearest_HW, second_HW = _two_nearest(points_HW2, sites_S2)
    label_map_HW = classes_S[nearest_HW[0]].astype(np.uint8)
    if world.border:
        between = (second_HW[1] - nearest_HW[1] < world.border / HEIGHT) & (classes_S[second_HW[0]] != label_map_HW)
        label_map_HW[between] = IGNORE
    return label_map_HW, tones_S[nearest_HW[0]]


def _cells(world: World, series: Series, height: int, width: int, rng: np.random.Generator) -> tuple[Pixels, Tones]:
    """Round things on a ground, in clusters, large ones below."""
    sheet, reach, scale = Sheet(height, width, GROUND), width / height, world.scale * series.scale
    count = min(_MOST_SITES, max(4, round(rng.uniform(0.3, 0.8) * reach / scale**2)))
    homes_S2 = rng.random((max(2, count // 6), 2)) * [reach, 1.0]
    kinds_S = rng.choice(len(homes_S2), count)
    places_S2 = homes_S2[kinds_S] + rng.normal(0, 0.2, (count, 2))
    classes_S = 1 + rng.choice(len(series.shares_C) - 1, count, p=_without_ground(series))
    sizes_S = scale * rng.lognormal(-0.5, 0.45, count)
    for site in np.argsort(-sizes_S, kind="stable"):
        outline_P2 = _blob(sizes_S[site] / 2, world.roundness, rng)
        sheet.polygon(places_S2[site] + outline_P2, int(classes_S[site]), _tone(rng), world.border)
    return sheet.done()


def _lines(world: World, series: Series, height: int, width: int, rng: np.random.Generator) -> tuple[Pixels, Tones]:
    """Thin lines that wander over a ground and branch: cracks, vessels, roads from above."""
    sheet, reach = Sheet(height, width, GROUND), width / height
    for _ in range(int(rng.integers(1, 7))):
        label = 1 + int(rng.choice(len(series.shares_C) - 1, p=_without_ground(series)))
        breadth = world.scale * series.scale * rng.uniform(0.06, 0.3)
        start, heading = rng.random(2) * [reach, 1.0], rng.uniform(0, 2 * math.pi)
        _wander(sheet, start, heading, label, breadth, rng.uniform(0.4, 1.6), rng)
    return sheet.done()


def _wander(
    sheet: Sheet,
    start: NDArray[np.float64],
    heading: float,
    label: int,
    breadth: float,
    length: float,
    rng: np.random.Generator,
) -> None:
    step = 0.04
    headings = heading + np.cumsum(rng.normal(0, 0.3, max(2, round(length / step))))
    moves = step * np.stack([np.cos(headings), np.sin(headings)], 1)
    points = np.concatenate([start[None], start + np.cumsum(moves, 0)])
    sheet.line(points, label, _tone(rng), breadth)
    for place in np.flatnonzero(rng.random(len(headings)) < 0.06):
        if breadth > 1.5 / HEIGHT and length > 0.3:
            side = float(headings[place] + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2))
            _wander(sheet, points[place], side, label, 0.6 * breadth, 0.5 * length, rng)


def _layers(world: World, series: Series, height: int, width: int, rng: np.random.Generator) -> tuple[Pixels, Tones]:
    """Layers from top to bottom, always in the same order, and things of the other classes that lie on them."""
    reach, classes = width / height, len(series.shares_C)
    layers = max(2, min(5, classes // 2))
    heights_L = np.cumsum(rng.dirichlet(np.full(layers, 4.0)))
    sheet = Sheet(height, width, 0)
    cols = np.linspace(0, reach, 33)
    for layer in range(1, layers):
        waves = sum(
            rng.normal(0, 0.05 / part) * np.sin(part * cols * math.pi + rng.uniform(0, 2 * math.pi))
            for part in (1, 2, 4)
        )
        top = heights_L[layer - 1] + waves + series.turn * (cols - reach / 2) * 0.4
        edge = np.stack([cols, top], 1)
        sheet.polygon(np.concatenate([edge, [[reach, 2.0], [0.0, 2.0]]]), layer, _tone(rng), world.border)
    things_C = series.shares_C[layers:]
    if things_C.sum() == 0:
        return sheet.done()
    # A class keeps to its own height and stretch: what is around a thing tells of what it is.
    homes_C, stretches_C = (
        [np.random.default_rng([world.seed, of, kind]).uniform(low, high) for kind in range(len(things_C))]
        for of, low, high in ((3, 0.15, 0.9), (4, 0.5, 2.0))
    )
    for _ in range(int(rng.integers(3, 16))):
        kind = int(rng.choice(len(things_C), p=things_C / things_C.sum()))
        at = np.array([rng.random() * reach, homes_C[kind] + rng.normal(0, 0.08)])
        size = world.scale * series.scale * rng.lognormal(-0.3, 0.4) * (0.5 + at[1])
        outline_P2 = _blob(size / 2, world.roundness, rng) * [stretches_C[kind], 1 / stretches_C[kind]]
        sheet.polygon(at + outline_P2, layers + kind, _tone(rng), world.border)
    return sheet.done()


def _without_ground(series: Series) -> NDArray[np.float64]:
    others = series.shares_C[1:]
    return np.asarray(others / others.sum())


def _blob(radius: float, roundness: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(P, 2) points around 0: a rough polygon of a few corners, or nearly a circle."""
    corners = int(rng.integers(3, 8)) if roundness < 0.35 else 24
    angles = np.sort(rng.uniform(0, 2 * math.pi, corners)) if corners < 24 else np.linspace(0, 2 * math.pi, 25)[:-1]
    bumps = sum(rng.normal(0, 0.18 / part) * np.cos(part * angles + rng.uniform(0, 2 * math.pi)) for part in (1, 2, 3))
    reach = radius * np.clip(1 + bumps, 0.4, 1.8)
    return np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1)


def _bent(height: int, width: int, strength: float, rng: np.random.Generator) -> Tones:
    """(H, W, 2) columns and rows in heights, bent by smooth noise."""
    rows, cols = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / height
    points_HW2 = np.stack(np.broadcast_arrays(cols[None, :], rows[:, None]), -1).astype(np.float32)
    at_rows = np.minimum((rows * _WARP).astype(int), _WARP - 1)
    at_cols = np.minimum((cols / cols.max() * _WARP).astype(int), _WARP - 1)
    for axis in (0, 1):
        points_HW2[..., axis] += strength * smooth_noise(_WARP, 6, rng)[np.ix_(at_rows, at_cols)]
    return points_HW2


_Nearest = tuple[NDArray[np.int64], Tones]


def _two_nearest(points_HW2: Tones, sites_S2: NDArray[np.float64]) -> tuple[_Nearest, _Nearest]:
    """Numbers of the nearest and the second nearest site of each point, and how far they are."""
    far_2HW = np.full((2, *points_HW2.shape[:2]), np.inf, np.float32)
    who_2HW = np.zeros((2, *points_HW2.shape[:2]), np.int64)
    for site, (col, row) in enumerate(sites_S2.astype(np.float32)):
        own_HW = np.hypot(points_HW2[..., 0] - col, points_HW2[..., 1] - row)
        first, second = own_HW < far_2HW[0], own_HW < far_2HW[1]
        far_2HW[1], who_2HW[1] = (
            np.where(first, far_2HW[0], np.where(second, own_HW, far_2HW[1])),
            np.where(first, who_2HW[0], np.where(second, site, who_2HW[1])),
        )
        far_2HW[0][first], who_2HW[0][first] = own_HW[first], site
    return (who_2HW[0], far_2HW[0]), (who_2HW[1], far_2HW[1])


def _tones(count: int, rng: np.random.Generator) -> Tones:
    return rng.normal(1, _TONE, count).clip(0.6, 1.4).astype(np.float32)


def _tone(rng: np.random.Generator) -> float:
    return float(_tones(1, rng)[0])
