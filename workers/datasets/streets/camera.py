"""The dash camera: from metres in the world to pixels in the image, and from pixels back to the ground.

World axes: x to the right of the road's centre line, y up from the ground, z ahead of the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEAREST = 0.4  # metres: anything nearer is drawn as if it were this far ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where the camera stands and looks, without a size. Lengths in metres, image lengths in image heights."""

    focal: float
    horizon: float
    pan: float
    roll: float
    eye: float
    x: float
    curve: float  # the road's sideways drift, metres per metre squared


class Camera:
    """A view at a size: a pinhole camera that is turned by `roll` radians about the vanishing point."""

    def __init__(self, view: View, height: int, width: int) -> None:
        self.view = view
        self.height, self.width = height, width
        self.focal = view.focal * height
        self.row = view.horizon * height
        self.col = width / 2 + view.pan * height

    def project(self, points: Floats | Sequence[Sequence[float]]) -> Floats:
        """World points (..., 3) of x, y, z -> image points (..., 2) of column, row."""
        world = np.asarray(points, dtype=np.float64)
        z = np.maximum(world[..., 2], NEAREST)
        scale = self.focal / z
        right = (world[..., 0] - self.view.x + self.view.curve * z * z) * scale
        down = (self.view.eye - world[..., 1]) * scale
        image = np.empty((*world.shape[:-1], 2))
        image[..., 0] = self.col + right - self.view.roll * down
        image[..., 1] = self.row + down + self.view.roll * right
        return image

    def outline(self, points: Sequence[Sequence[float]]) -> list[float]:
        """As `project`, for a handful of points: column, row, column, row ..., without numpy's cost for each call."""
        view, focal = self.view, self.focal
        flat: list[float] = []
        for x, y, z in points:
            z = max(z, NEAREST)
            scale = focal / z
            right, down = (x - view.x + view.curve * z * z) * scale, (view.eye - y) * scale
            flat += (self.col + right - view.roll * down, self.row + down + view.roll * right)
        return flat

    def pixels(self, length: float, z: float) -> float:
        """How many pixels a length across the line of sight takes at depth z."""
        return length * self.focal / max(z, NEAREST)

    def ground_top(self) -> int:
        """The first image row that can show ground."""
        reach = abs(self.view.roll) * max(self.col, self.width - self.col)
        return int(np.clip(self.row - reach, 0, self.height))

    def ground(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """World x and z of the ground under each pixel from row `ground_top()` down; z is at most 400 m."""
        rows = np.arange(self.ground_top(), self.height, dtype=np.float32)[:, None] + 0.5 - self.row
        cols = np.arange(self.width, dtype=np.float32)[None, :] + 0.5 - self.col
        down = rows - self.view.roll * cols
        z = (self.focal * self.view.eye) / np.maximum(down, self.focal * self.view.eye / 400)
        x = (cols + self.view.roll * rows) * (z * (1 / self.focal)) + self.view.x
        if self.view.curve:
            x -= self.view.curve * z * z
        return x.astype(np.float32, copy=False), z.astype(np.float32, copy=False)
