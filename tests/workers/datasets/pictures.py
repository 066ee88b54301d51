"""Pictures and label maps of noise, as arrays and as files, for data sets that are made up."""

from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 6, 8


def picture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ids(seed: int, among: list[int], height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(among, dtype=np.uint8), (height, width))


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=path.suffix == ".webp")
    return path
