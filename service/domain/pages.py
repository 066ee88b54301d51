"""Pages of image files, asked for without counting them: to count all of a TIFF may take minutes."""

from typing import Literal

from PIL import Image

PagesTaken = Literal["all", "first"]  # of an image file with several
MOST_PAGES = 1001  # of a file of which all are taken


def has_page(image: Image.Image, page: int) -> bool:
    """Whether an image at its first page has this one too; afterwards it is at its first page."""
    try:
        image.seek(page)
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True


def count_pages(image: Image.Image, most: int = MOST_PAGES) -> int:
    """How many pages an image has, counted no further than one beyond `most`; afterwards it is at its first page."""
    count = 1
    while count <= most and has_page(image, count):
        count += 1
    return count
