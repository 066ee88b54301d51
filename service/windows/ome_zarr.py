"""Windows of the largest level of an OME-Zarr image (0.4 and 0.5), or of a bare Zarr array."""

import math
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.regions import Box
from service.pictures import PictureError

_MOST_PIXELS = 1 << 24  # of a chunk
_COLOURS = (1, 3)


class ZarrWindows:
    """An array at a URL with axes y and x, perhaps c of 1 or 3 channels, and others, of whose planes `page` is one."""

    def __init__(self, zarr: ModuleType, url: str, page: int | None) -> None:
        try:
            node = zarr.open(url, mode="r")
        except Exception as error:  # stores of all kinds fail in their own ways
            raise PictureError(
                "not_an_image", f"It is no Zarr array or group that can be read here: {error}"
            ) from error
        self._array, self._axes = _image_of(node)
        shape = dict(zip(self._axes, self._array.shape, strict=True))
        if shape.get("c", 1) not in _COLOURS:
            raise PictureError(
                "wrong_mode", f"It has {shape['c']} channels; 1 or 3 are expected: save those that are seen."
            )
        self._others = {axis: shape[axis] for axis in self._axes if axis not in "cyx"}
        planes = math.prod(self._others.values())
        if page is None and planes > 1:
            raise PictureError("several_pages", f"It has {planes} planes: say which page, from 0.")
        if page is not None and page >= planes:
            raise PictureError("bad_reading", f"It has no page {page}.")
        if math.prod(self._array.chunks) > _MOST_PIXELS:
            raise PictureError("too_large", f"Its chunks are of {self._array.chunks} pixels: save it in smaller ones.")
        self._plane = dict(
            zip(self._others, np.unravel_index(page or 0, tuple(self._others.values()) or (1,)), strict=False)
        )
        self.size = int(shape["y"]), int(shape["x"])
        self.about = f"{self._array.dtype} {self._array.shape} {self._axes} {self._array.chunks}"

    def read(self, box: Box) -> NDArray[Any]:
        """See WindowReader."""
        rows, cols = box.slices
        where = {"y": rows, "x": cols, "c": slice(None), **{axis: int(at) for axis, at in self._plane.items()}}
        part = np.asarray(self._array[tuple(where[axis] for axis in self._axes)])
        kept = [axis for axis in self._axes if axis in "cyx"]
        if "c" not in kept:
            return np.asarray(np.moveaxis(part, [kept.index("y"), kept.index("x")], [0, 1])[..., None])
        return np.asarray(np.transpose(part, [kept.index(axis) for axis in "yxc"]))


def _image_of(node: Any) -> tuple[Any, list[str]]:
    """The array, and the names of its axes."""
    if hasattr(node, "shape"):
        known = {2: ["y", "x"], 3: ["y", "x", "c"]}
        if node.ndim not in known:
            raise PictureError(
                "wrong_mode", f"It is a bare array of {node.ndim} axes; y and x, or y, x and c are expected."
            )
        return node, known[node.ndim]
    attributes = dict(node.attrs)
    try:
        (scales, *_) = attributes.get("ome", attributes)["multiscales"]
        axes = [str(each["name"] if isinstance(each, dict) else each) for each in scales["axes"]]
        array = node[scales["datasets"][0]["path"]]
        if len(axes) != array.ndim or not {"y", "x"} <= set(axes):
            raise ValueError(axes)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise PictureError("not_an_image", "It is a Zarr group without OME's multiscales of axes y and x.") from error
    return array, axes
