"""Cityscapes: gtFine and leftImg8bit by split and city, under names that its scripts take apart."""

from collections.abc import Iterator

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap, cityscapes_ids
from service.domain.masks import encode_label_png
from service.domain.regions import Box
from service.export.drawn import Drawn, Layer
from service.export.layouts.contract import File, Layout
from service.pixels import crop_png

# What is held back to measure with is `val`; whatever is learned from is `train`.
_SPLITS = {"reward": "val", "test": "test"}


class Cityscapes(Layout):
    """`gtFine/SPLIT/CITY/CITY_000000_ID_gtFine_labelIds.png`; the city is the project, the frame the image's id.

    `instanceIds` is the same file: a pixel of no instance has its class there.
    """

    unlabelled = (
        "0 (unlabeled) is for pixels without a label, 3 (out of roi) for ignored ones; "
        "labelled/ is 255 where there is a label."
    )

    def __init__(self, project: str, classes: ClassSet) -> None:
        super().__init__(project, classes)
        letters = "".join(character for character in project.lower() if character.isascii() and character.isalnum())
        self._city = letters[:50] or "project"

    @staticmethod
    def id_map(classes: ClassSet) -> IdMap:
        """Those of Cityscapes, and others after them."""
        return cityscapes_ids(classes)

    def label_png(self, layer: Layer) -> bytes:
        """Grey, as theirs are: some readers take a palette for colors."""
        return encode_label_png(self.ids.written(layer.label_map_HW, layer.covered_HW))

    def name(self, drawn: Drawn) -> str:
        """City, sequence and frame."""
        return f"{self._city}_000000_{drawn.image.id:06}"

    def image_path(self, drawn: Drawn) -> str:
        """Always a PNG."""
        return f"leftImg8bit/{self._place(drawn)}_leftImg8bit.png"

    def picture(self, drawn: Drawn, data: bytes) -> bytes:
        """The file if it is a PNG, and else one of its pixels."""
        image = drawn.image
        if image.media_type == "image/png":
            return data
        return crop_png(data, Box(row=0, col=0, height=image.height, width=image.width))

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """The label map, twice."""
        png, start = self.label_png(drawn.labels), f"gtFine/{self._place(drawn)}_gtFine"
        yield File(what="label_map", path=f"{start}_labelIds.png", data=png)
        yield File(what="instances", path=f"{start}_instanceIds.png", data=png)

    def _place(self, drawn: Drawn) -> str:
        return f"{_SPLITS.get(drawn.image.split, 'train')}/{self._city}/{self.name(drawn)}"
