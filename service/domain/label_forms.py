"""The form in which a region's label map is kept."""

import hashlib

from service.domain.classes import ClassSet, LabelMap
from service.domain.masks import decode_label_png, encode_label_png
from service.domain.metrics import class_counts


def stored_form(label_map_HW: LabelMap, indices_HW: LabelMap, classes: ClassSet) -> tuple[bytes, str, list[int]]:
    """A region's label map (ids, and as indices) as it is kept: an 8-bit PNG, the digest of its pixels, those by class.

    Pixels of retired classes are kept as what became of those.
    """
    counts = classes.kept_counts(class_counts(indices_HW, len(classes)).tolist())
    if classes.retired:
        label_map_HW = classes.to_ids(indices_HW)
    return (
        encode_label_png(label_map_HW, classes.palette()),
        hashlib.sha256(label_map_HW.tobytes()).hexdigest(),
        counts,
    )


def in_todays_ids(png: bytes, classes: ClassSet, *, height: int, width: int) -> bytes:
    """A label map that is kept, with what became of retired classes in their place; the same bytes where it has none of them."""
    if not classes.retired:
        return png
    kept_HW = decode_label_png(png, height=height, width=width)
    now_HW = classes.in_todays_ids(kept_HW)
    return png if (now_HW == kept_HW).all() else encode_label_png(now_HW, classes.palette())
