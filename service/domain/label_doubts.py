"""What is most likely wrong with label maps that can be read.

Shapes: C classes.
"""

from collections.abc import Sequence

from service.domain.classes import ClassSet

SAY_HOW = (
    "If label maps hold other values than class ids, say how they are read (--binary, --map 255=1, --colors); if all is as it "
    "should be, go on with --anyway."
)


def of_classes(classes: ClassSet, images_C: Sequence[int]) -> list[str]:
    """A sentence where classes are in no label map, else none. images_C: how many label maps hold each class."""
    never = [each.name for each, images in zip(classes.classes, images_C, strict=True) if not images]
    return [f"No label map holds {', '.join(never)}."] if never else []


def of_ignored(classes: ClassSet, share: float, most: float) -> list[str]:
    """A sentence where a larger share of pixels is ignored than should be at most, else none."""
    if share <= most:
        return []
    return [
        f"{share:.0%} of the label maps' pixels are ignored, more than {most:.0%}: is {classes.ignore_id} a class there?"
    ]
