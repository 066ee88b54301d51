"""CVAT for images 1.1: an XML file of masks."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap, own_ids
from service.domain.segments import row_runs, segments
from service.export.archive import Spool
from service.export.drawn import Drawn, Layer
from service.export.layouts.contract import File, Layout, image_file


class Cvat(Layout):
    """`annotations.xml`: a mask for all pixels of a class in an image; predictions are masks of the source `auto`."""

    unlabelled = "Ignored pixels and those without a label are in no mask; labelled/ is 255 where there is a label."

    def __init__(self, project: str, classes: ClassSet) -> None:
        super().__init__(project, classes)
        self._images, self._count = Spool(), 0

    @staticmethod
    def id_map(classes: ClassSet) -> IdMap:
        """The project's own, of which CVAT takes the names."""
        return own_ids(classes)

    def predictions(self, drawn: Drawn) -> Iterator[File]:
        """None of their own: they are with the image's labels."""
        yield from ()

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """Nothing yet: all images are in one file."""
        size = f'width="{drawn.image.width}" height="{drawn.image.height}"'
        lines = [f'  <image id="{self._count}" name={quoteattr(image_file(drawn))} {size}>']
        lines += self._masks(drawn.labels, "manual")
        lines += self._masks(drawn.predictions, "auto")
        lines.append("  </image>\n")
        self._images.write("\n".join(lines).encode())
        self._count += 1
        yield from ()

    def ending(self) -> Iterator[File]:
        """The XML file."""
        whole = Spool()
        whole.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n')
        whole.write(f"    <task>\n      <name>{escape(self.project)}</name>\n      <labels>\n".encode())
        for each in self.classes.classes:
            color = "#{:02x}{:02x}{:02x}".format(*each.color)
            described = f"<name>{escape(each.name)}</name><color>{color}</color><type>any</type><attributes/>"
            whole.write(f"        <label>{described}</label>\n".encode())
        whole.write(b"      </labels>\n    </task>\n  </meta>\n")
        for piece in self._images.pieces():
            whole.write(piece)
        whole.write(b"</annotations>\n")
        yield File(what="annotations", path="annotations.xml", data=whole)

    def _masks(self, layer: Layer, source: str) -> Iterator[str]:
        for segment in segments(layer.label_map_HW, self.classes.ids):
            box = segment.box
            runs = ", ".join(map(str, row_runs(segment.mask_HW[box.slices])))
            place = f'left="{box.col}" top="{box.row}" width="{box.width}" height="{box.height}"'
            label = quoteattr(self.ids.names[segment.class_id])
            yield f'    <mask label={label} source="{source}" occluded="0" rle="{runs}" {place} z_order="0"></mask>'
