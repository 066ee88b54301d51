"""What an image and its label map must be for a network to learn from them or to be measured on them."""

from service.domain.classes import IGNORE, LabelMap

LEAST_SIDE = 8
"""Pixels: no encoder takes an image that is lower or narrower."""
LONGEST_RATIO = 100
"""The longer side by the shorter: what is held of an image while it is worked on follows its longer side too."""
LABELLED_SPLITS = ("reward",)
"""Splits whose images alone say how good a network is: one without a label map says nothing, for good."""


class UselessImage(ValueError):
    """Nothing could ever be learned from an image, or measured on it. `code` is for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def require_usable(height: int, width: int, split: str, *, labelled: bool) -> None:
    """Raises UselessImage for an image of this size, with or without a label map, that is of no use in its split."""
    if min(height, width) < LEAST_SIDE:
        raise UselessImage(
            "too_small",
            f"It is {height} high and {width} wide; networks need images of at least {LEAST_SIDE} x {LEAST_SIDE} pixels.",
        )
    if max(height, width) > LONGEST_RATIO * min(height, width):
        raise UselessImage(
            "too_elongated",
            f"It is {height} high and {width} wide; the longer side may be {LONGEST_RATIO} times the shorter one at most: "
            "cut it into parts.",
        )
    if split in LABELLED_SPLITS and not labelled:
        raise UselessImage(
            "no_label_map",
            f"It has no label map, and networks are measured on images of the split {split}: send one with it.",
        )


def require_labelled_pixels(indices_HW: LabelMap) -> None:
    """Raises UselessImage for a label map of class indices, H x W, of which every pixel is ignored."""
    if (indices_HW == IGNORE).all():
        raise UselessImage(
            "void_label_map",
            "It has no labelled pixel: every value is the one to be ignored. Say how it is read, or send none.",
        )
