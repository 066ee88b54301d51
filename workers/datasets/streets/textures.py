"""Tiles of noise that every scene shares: made once a process from fixed seeds, laid where each scene draws."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TILE = 512
Tile = NDArray[np.float32]


def smooth_noise(size: int, cells: int, rng: np.random.Generator) -> Tile:
    """Noise that repeats seamlessly: `cells` random values a side, blended between; mean 0, deviation 1."""
    grid = rng.standard_normal((cells, cells)).astype(np.float32)
    at = np.arange(size, dtype=np.float32) * cells / size
    low = at.astype(np.int64)
    share = at - low
    share = share * share * (3 - 2 * share)
    rows = grid[low] * (1 - share[:, None]) + grid[(low + 1) % cells] * share[:, None]
    field = rows[:, low] * (1 - share) + rows[:, (low + 1) % cells] * share
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _octaves(seed: int, weights: dict[int, float]) -> Tile:
    rng = np.random.default_rng(seed)
    total = sum((smooth_noise(TILE, cells, rng) * weight for cells, weight in weights.items()), np.float32(0))
    field = np.asarray(total, dtype=np.float32)
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


@lru_cache(maxsize=1)
def grain() -> Tile:
    """White noise: the sensor's, and the finest texture."""
    return np.random.default_rng(11).standard_normal((TILE, TILE)).astype(np.float32)


@lru_cache(maxsize=1)
def color_grain() -> Tile:
    """The sensor's noise, mostly alike in the three channels, which lie side by side in a row: TILE x 3 TILE."""
    alike = np.repeat(grain(), 3, axis=1)
    return alike + 0.4 * np.random.default_rng(17).standard_normal(alike.shape).astype(np.float32)


@lru_cache(maxsize=1)
def bricks() -> Tile:
    """Texture of a pixel or two, longer than high: bricks, leaves, cloth."""
    field = grain() + np.roll(grain(), 1, axis=1) + 0.5 * _octaves(18, {256: 1.0, 128: 0.8, 32: 0.5})
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


@lru_cache(maxsize=1)
def mottle() -> Tile:
    """Texture of a few pixels: bricks, leaves, dirt."""
    return _octaves(12, {256: 0.8, 128: 0.7, 64: 0.5, 24: 0.4, 8: 0.3})


@lru_cache(maxsize=1)
def asphalt() -> Tile:
    """Texture of the road, looked up by metres on the ground: stones, patches, long worn tracks and cracks."""
    field = _octaves(13, {512: 0.7, 256: 0.5, 64: 0.35, 16: 0.4, 6: 0.4})
    cracks = np.abs(_octaves(14, {8: 1.0, 24: 0.6, 64: 0.3})) < 0.02
    return np.asarray(field - 1.6 * cracks, dtype=np.float32)


@lru_cache(maxsize=1)
def slabs() -> Tile:
    """Texture of a pavement: rows of slabs, each of its own tone, with dark joints."""
    rng = np.random.default_rng(15)
    tones = rng.standard_normal((16, 16)).astype(np.float32) * 0.7
    field = np.kron(tones, np.ones((TILE // 16, TILE // 16), dtype=np.float32))
    step = np.arange(TILE) % (TILE // 16)
    field[step < 2] -= 1.8
    field[:, step < 2] -= 1.8
    return np.asarray(field + 0.6 * grain(), dtype=np.float32)


@lru_cache(maxsize=1)
def clouds() -> Tile:
    """Cloud cover: large soft shapes with torn edges."""
    return _octaves(16, {4: 1.0, 8: 0.7, 16: 0.45, 32: 0.28, 64: 0.16, 128: 0.08})


def laid(tile: Tile, height: int, width: int, at: tuple[int, int]) -> Tile:
    """A height x width piece of a tile, or of its endless repetition where that is larger; `at` moves it about."""
    rows, cols = tile.shape
    repeats = -(-height // rows), -(-width // cols)
    if repeats != (1, 1):
        tile = np.tile(tile, repeats)
    row, col = at[0] % (tile.shape[0] - height + 1), at[1] % (tile.shape[1] - width + 1)
    return tile[row : row + height, col : col + width]
