"""Files of features of large images: written tile by tile, and mapped, so that they never lie in memory as a whole.

Shapes: F features, h x w cells.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

Shape = tuple[int, int, int]
Part = tuple[tuple[slice, slice], Tensor]
"""Rows and columns of cells, and their features, (F, rows, columns) float16."""

_BYTES = 2


def write_parts(file: BinaryIO, shape: Shape, parts: Iterable[Part]) -> int:
    """Write an array (F, h, w) float16 as NPY, from parts that come in rows from the top; returns the file's bytes."""
    npy.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": shape})
    begin = file.tell()
    _, height, width = shape
    for rows, strip_Fhw in _strips(parts, shape):
        for feature, strip_hw in enumerate(strip_Fhw):
            file.seek(begin + _BYTES * width * (feature * height + rows.start))
            file.write(strip_hw.tobytes())
    return begin + _BYTES * math.prod(shape)


def _strips(
    parts: Iterable[Part], shape: Shape
) -> Iterator[tuple[slice, np.ndarray[tuple[int, ...], np.dtype[np.float16]]]]:
    """Parts side by side, over the whole width."""
    held, rows = np.zeros(0, np.float16), slice(0, 0)
    for (own, cols), part_Fhw in parts:
        if own != rows:
            if rows.stop:
                yield rows, held
            held, rows = np.empty((shape[0], own.stop - own.start, shape[2]), np.float16), own
        held[..., cols] = part_Fhw.numpy()
    yield rows, held


def mapped(path: Path, shape: Shape) -> Tensor | None:
    """The array of a file, not to be written to, none of it in memory yet; None where there is none of this shape."""
    try:
        with path.open("rb") as file:
            if npy.read_magic(file) != (1, 0) or npy.read_array_header_1_0(file) != (shape, False, np.dtype("<f2")):
                return None
            begin = file.tell()
    except (FileNotFoundError, ValueError, EOFError):  # a file may be cut off
        return None
    size = begin + _BYTES * math.prod(shape)
    if path.stat().st_size != size or begin % _BYTES:
        return None
    return _numbers(path, size // _BYTES)[begin // _BYTES :].view(shape)


def _numbers(path: Path, count: int) -> Tensor:
    """Shared, where the file may be written to: torch tells of no other mapping that it is one, so that pages can be let go."""
    try:
        return torch.from_file(str(path), shared=True, size=count, dtype=torch.float16)
    except RuntimeError:
        pass
    try:
        return torch.from_file(str(path), shared=False, size=count, dtype=torch.float16)
    except RuntimeError as error:  # of mappings a process may have so many
        raise OSError(f"{path} cannot be mapped. {error}") from error
