"""Label maps of the project's own ids, with masks of what was labelled or, as without a format, without."""

from collections.abc import Iterator

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap, own_ids
from service.export.drawn import Drawn
from service.export.layouts.contract import File, Layout


class LabelMaps(Layout):
    """`label_maps/NAME.png`: 8-bit PNGs of class ids, with a palette."""

    unlabelled = "The ignore id is for ignored pixels; labelled/ is 255 where there is a label, 0 where there is none."

    @staticmethod
    def id_map(classes: ClassSet) -> IdMap:
        """The project's own."""
        return own_ids(classes)

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """The label map."""
        yield File(what="label_map", path=f"label_maps/{self.name(drawn)}.png", data=self.label_png(drawn.labels))


class PlainLabelMaps(LabelMaps):
    """The same without masks."""

    unlabelled = "The ignore id is for ignored pixels and for those without a label; regions are what is labelled."
    labelled_masks = False
