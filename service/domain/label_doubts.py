"""What is most likely wrong with label maps that can be read.

Shapes: C classes.
"""

from collections.abc import Sequence

from service.domain.classes import ClassSet

SAY_HOW = (
    "If label maps hold other values than class ids, say how they are read (--binary, --map 255=1, --colors); if all is as it "
    "should be, go on with --anyway."
)


def of_label_maps(classes: ClassSet, images_C: Sequence[int], *, ignored: float, most_ignored: float) -> list[str]:
    """Sentences; none where nothing looks wrong. images_C: how many label maps hold each class; ignored: share of pixels."""
    found = []
    if never := [each.name for each, images in zip(classes.classes, images_C, strict=True) if not images]:
        found.append(f"No label map holds {', '.join(never)}.")
    if ignored > most_ignored:
        found.append(
            f"{ignored:.0%} of the label maps' pixels are ignored, more than {most_ignored:.0%}: is {classes.ignore_id} a class "
            "there?"
        )
    return found
