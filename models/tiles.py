"""How large images are cut: into tiles, each looked at with a margin that is cut off again, and into strips of such tiles.

Shapes: H x W pixels, h x w cells of some stride.
"""

from collections.abc import Iterator

# Pixels of the coarsest cell of any encoder.
COARSEST = 32
# Pixels of the largest image that a network which is trained as a whole sees in one piece.
WHOLE_PIXELS = 2**21
# Larger images are looked at tile by tile, each with a margin that is cut off again; both in pixels as they are enlarged.
# At every magnification there is they are whole coarsest cells of the encoder and whole pixels of the image, which
# multiples of 96 are (and half a TILE is one too), so that cells lie as in the whole image.
TILE, MARGIN = 768, 288
# Of a strip of tiles, over all of an image's width, so many features are held at a time; wider images have lower strips.
STRIP_NUMBERS = 2**25
# Of an image so many logits, and channels in a head, are held at a time; larger ones are encoded and classified in bands.
BAND_NUMBERS = 2**24
# A strip is never lower than this part of a tile.
_LOWEST = 8


def tiles(height: int, width: int, tile: int, margin: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Rows and columns of each tile, and of it with its margin, in pixels; one tile for an image that is not larger."""
    if max(height, width) <= tile + 2 * margin:
        whole = (slice(0, height), slice(0, width))
        yield whole, whole
        return
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            inner = (slice(top, min(height, top + tile)), slice(left, min(width, left + tile)))
            rows, cols = (widened(each, margin, side) for each, side in zip(inner, (height, width), strict=True))
            yield inner, (rows, cols)


def widened(pixels: slice, margin: int, side: int) -> slice:
    """Some rows or columns with a margin, as far as the image's side goes."""
    return slice(max(0, pixels.start - margin), min(side, pixels.stop + margin))


def seen_around(pixels: slice, reach: int, side: int) -> slice:
    """Some rows or columns, from a whole coarsest cell on, with what is to be seen around them.

    It is up to a coarsest cell longer at the end: what it leaves over is what the whole side leaves over, so that encoders that
    pad by what is left over, before the first pixel too, see the same.
    """
    around = widened(pixels, reach, side)
    return slice(around.start, around.stop + (side - around.stop) % COARSEST)


def cells(pixels: tuple[slice, slice], stride: int, origin: tuple[slice, slice] | None = None) -> tuple[slice, slice]:
    """The cells that pixels are in, counted from the cell of the origin's first pixel."""
    starts = (0, 0) if origin is None else (origin[0].start, origin[1].start)
    rows, cols = (
        slice((each.start - start) // stride, -(-(each.stop - start) // stride))
        for each, start in zip(pixels, starts, strict=True)
    )
    return rows, cols


def strip_height(tile: int, width: int, channels: int, stride: int) -> int:
    """Pixels: a tile's side, halved up to three times until the features of a strip `width` pixels wide are few enough."""
    height = tile
    while height > tile // _LOWEST and channels * (height // stride) * -(-width // stride) > STRIP_NUMBERS:
        height //= 2
    return height
