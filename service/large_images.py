"""Images that stay where they are and are too large to be decoded: they come as windows, each an image of its own."""

from pathlib import PurePosixPath

from fsspec.core import url_to_fs
from PIL import Image

from service.domain.image_names import image_name
from service.domain.readings import Reading
from service.domain.regions import Box
from service.domain.usable import require_usable
from service.domain.windowed import windows_of
from service.errors import Invalid
from service.pictures import PictureError
from service.settings import Settings
from service.store.images import NewImage
from service.windows import require_readable
from service.windows.keyed import READERS, Window
from service.windows.opening import is_tiff, is_zarr


def is_large(url: str, settings: Settings) -> bool:
    """Whether an image is to be read in windows: a Zarr, or a TIFF of more bytes or pixels than are decoded.

    Raises Invalid where it cannot be read.
    """
    if is_zarr(url):
        return True
    if not is_tiff(url):
        return False
    try:
        files, path = url_to_fs(url)
        if (files.info(path).get("size") or 0) > settings.max_image_bytes:
            return True
        with files.open(path, "rb") as file, Image.open(file, formats=["TIFF"]) as image:
            return image.width * image.height > settings.max_image_pixels
    except Exception:  # what is no file, or no TIFF, is refused as any other
        return False


def window_images(name: str, url: str, split: str, reading: Reading, cell: tuple[int, int]) -> list[NewImage]:
    """The windows of an image as rows to be; regions are of (height, width) `cell`.

    Raises PictureError and UselessImage for what cannot be taken, Invalid where it cannot be read.
    """
    try:
        reader, print_ = READERS.get(url, reading.page)
        require_readable(reader, reading)
        deep = reader.read(Box(row=0, col=0, height=1, width=1)).dtype != "uint8"
    except PictureError:
        raise
    except Exception as error:  # file systems of all kinds fail in their own ways
        sentence = f"{url} cannot be read: {str(error).rstrip('.') or type(error).__name__}."
        raise Invalid(sentence, code="reference_unreadable", detail={"url": url}) from error
    scale = reading.scale if deep else None
    said = {"page": reading.page} if reading.page is not None else {}
    found = []
    for box in windows_of(*reader.size, cell):
        window = Window(url=url, box=box, page=reading.page, scale=scale)
        require_usable(box.height, box.width, split, labelled=False)
        found.append(
            NewImage(
                name=image_name(f"{PurePosixPath(name).with_suffix('')}/{box.row:06}-{box.col:06}.png"),
                split=split,
                height=box.height,
                width=box.width,
                media_type="image/png",
                digest=window.digest(print_),
                blob_key=window.key(print_),
                reading={
                    **said,
                    **({"scale": scale} if scale else {}),
                    "window": [box.row, box.col, box.height, box.width],
                },
            )
        )
    return found
