"""Pascal VOC: a folder of segmentations with a palette, lists of names by split, and the names of colors."""

from collections.abc import Iterator

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap, voc_ids
from service.export.archive import Spool
from service.export.drawn import Drawn
from service.export.layouts.contract import File, Layout, image_file


class Voc(Layout):
    """`SegmentationClass/NAME.png`, `ImageSets/Segmentation/SPLIT.txt`, `labelmap.txt`; images in `JPEGImages`."""

    unlabelled = "255 is for ignored pixels and for those without a label; labelled/ is 255 where there is a label."

    def __init__(self, project: str, classes: ClassSet) -> None:
        super().__init__(project, classes)
        self._lists: dict[str, Spool] = {}

    @staticmethod
    def id_map(classes: ClassSet) -> IdMap:
        """1, 2, ... in the order of the classes."""
        return voc_ids(classes)

    def image_path(self, drawn: Drawn) -> str:
        """Its name, whatever the folder is called."""
        return f"JPEGImages/{image_file(drawn)}"

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """The segmentation."""
        self._lists.setdefault(drawn.image.split, Spool()).write(f"{self.name(drawn)}\n".encode())
        path = f"SegmentationClass/{self.name(drawn)}.png"
        yield File(what="label_map", path=path, data=self.label_png(drawn.labels))

    def ending(self) -> Iterator[File]:
        """The lists and the colors."""
        for split, names in sorted(self._lists.items()):
            yield File(what="list", path=f"ImageSets/Segmentation/{split}.txt", data=names)
        colors = Spool()
        colors.write(b"# label:color_rgb:parts:actions\n")
        # Readers number labels by their lines; one for 255, where they stop at colors that are not there, is the last.
        for written, name in sorted(self.ids.names.items()):
            color = ",".join(map(str, self.ids.colors[written]))
            colors.write(f"{name}:{color}::\n".encode())
        yield File(what="label_map", path="labelmap.txt", data=colors)
