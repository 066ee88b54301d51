"""Images of threads, two pixels wide, and of blocks: what coarse features tell apart, and what they do not."""

import hashlib

import numpy as np
from numpy.typing import NDArray

SIZE = (96, 96)


class Threads:
    """An ImageSource of class 0, noise, with slanted threads of class 1 in it."""

    width, apart = 2, 12

    def __init__(self, count: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        rows, cols = np.indices(SIZE)
        self._pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        for _ in range(count):
            angle, first = rng.uniform(0, np.pi), rng.uniform(0, self.apart)
            across = rows * np.cos(angle) + cols * np.sin(angle) + first
            labels = (across % self.apart < self.width).astype(np.uint8)
            grey = 120 - 70 * labels + rng.integers(-15, 15, SIZE)
            self._pairs.append((np.repeat(grey[..., None], 3, 2).astype(np.uint8), labels))

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, number: int) -> str:
        return f"{number:03}"

    def size(self, number: int) -> tuple[int, int]:
        return SIZE

    def digest(self, number: int) -> str:
        return hashlib.sha256(self.image(number).tobytes()).hexdigest()

    def image(self, number: int) -> NDArray[np.uint8]:
        return self._pairs[number][0]

    def label_map(self, number: int) -> NDArray[np.uint8]:
        return self._pairs[number][1]


class Blocks(Threads):
    """As threads, so wide that coarse features see them as well as fine ones."""

    width, apart = 48, 96


class Cords(Threads):
    """As threads, four pixels wide."""

    width, apart = 4, 20
