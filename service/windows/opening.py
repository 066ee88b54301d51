"""Opens an image of which windows are read, by what its URL ends with; the libraries are the extra `large`."""

import importlib
from pathlib import PurePosixPath

from service.pictures import PictureError
from service.windows import WindowReader
from service.windows.ome_zarr import ZarrWindows
from service.windows.tiled_tiff import TiffWindows

HOW_TO_INSTALL = "Images that are read in windows need the extra large: pip install 'regionwise[large]'."
_TIFF = (".tif", ".tiff", ".btf", ".tf8", ".svs")


def is_zarr(url: str) -> bool:
    """Whether a URL is of an array's, or a group's, folder."""
    return any(part.endswith(".zarr") for part in PurePosixPath(url).parts)


def is_tiff(url: str) -> bool:
    """Whether a URL is of a TIFF, by its name."""
    return url.lower().endswith(_TIFF)


def opened(url: str, page: int | None) -> WindowReader:
    """Raises PictureError for what cannot be read in windows, and what its file system does."""
    try:
        if is_zarr(url):
            return ZarrWindows(importlib.import_module("zarr"), url, page)
        return TiffWindows(importlib.import_module("tifffile"), url, page)
    except ImportError as error:
        raise PictureError("not_an_image", HOW_TO_INSTALL) from error
