"""Grey images of thin structures: walls between cells, a few pixels wide, among specks and shades that are no walls."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from service.domain.classes import ClassSet, LabelClass

CLASSES = ClassSet(
    classes=(
        LabelClass(id=0, name="inside", color=(200, 200, 200)),
        LabelClass(id=1, name="membrane", color=(40, 40, 40)),
    ),
    ignore_id=255,
)


class Membranes:
    """An ImageSource of walls between the cells of drawn points, as an electron microscope shows them."""

    def __init__(self, count: int, seed: int, size: int = 512) -> None:
        self._size = size
        drawn = [_drawn(np.random.default_rng((seed, number)), size) for number in range(count)]
        self._images, self._labels = [image for image, _ in drawn], [labels for _, labels in drawn]

    def __len__(self) -> int:
        return len(self._images)

    def name(self, number: int) -> str:
        return f"{number:03}"

    def size(self, number: int) -> tuple[int, int]:
        return self._size, self._size

    def digest(self, number: int) -> str:
        return hashlib.sha256(self._images[number].tobytes()).hexdigest()

    def image(self, number: int) -> NDArray[np.uint8]:
        return self._images[number]

    def label_map(self, number: int) -> NDArray[np.uint8]:
        return self._labels[number]


def _drawn(rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    points = rng.uniform(-20, size + 20, (int((size / 40) ** 2), 2))
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1).reshape(-1, 2)
    bent = grid + np.stack([_cloud(rng, size, 16, 6).ravel() for _ in range(2)], -1)
    near, which = cKDTree(points).query(bent, k=2)
    walls = ((near[:, 1] - near[:, 0]) < 3.5).reshape(size, size)
    shade = rng.uniform(120, 190, len(points))[which[:, 0]].reshape(size, size) + _cloud(rng, size, 24, 14)
    specks = gaussian_filter((rng.random((size, size)) < 0.0008).astype(float), 2.5) * 25 * 60
    # Threads inside the cells are as dark as walls, and none.
    threads = (np.abs(_cloud(rng, size, 9, 1)) < 0.06) & (_cloud(rng, size, 12, 1) > 0.8)
    grey = np.where(walls | threads, rng.uniform(70, 100) + _cloud(rng, size, 6, 18), shade) - specks
    grey = gaussian_filter(grey, 1.0) + rng.normal(0, 22, (size, size))
    image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)
    return image, walls.astype(np.uint8)


def _cloud(rng: np.random.Generator, size: int, width: float, height: float) -> NDArray[np.float64]:
    smooth = gaussian_filter(rng.normal(size=(size, size)), width)
    return np.asarray(height * smooth / smooth.std())
