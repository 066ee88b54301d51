"""Pages of image files, asked for without counting them: to count all of a TIFF may take minutes."""

from PIL import Image


def has_page(image: Image.Image, page: int) -> bool:
    """Whether an image at its first page has this one too; afterwards it is at its first page."""
    try:
        image.seek(page)
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True
