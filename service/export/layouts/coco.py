"""COCO: segments of a class as run lengths, or all of an image as a panoptic PNG."""

import io
from collections.abc import Iterator
from typing import Any

from PIL import Image as Picture

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap, coco_ids
from service.domain.masks import rle_encode
from service.domain.segments import Segment, panoptic_rgb, segments
from service.export.archive import JsonList, Spool, json_object, write_list
from service.export.drawn import Drawn, Layer
from service.export.layouts.contract import File, Layout, image_file


class _Coco(Layout):
    """What both share: categories count from 1, for readers take 0 for no category; image ids are those of the service."""

    @staticmethod
    def id_map(classes: ClassSet) -> IdMap:
        """1, 2, ... in the order of the classes."""
        return coco_ids(classes)

    def __init__(self, project: str, classes: ClassSet) -> None:
        super().__init__(project, classes)
        self._images, self._annotations = JsonList(), JsonList()

    def _add_image(self, drawn: Drawn) -> None:
        image = drawn.image
        self._images.append(
            {"id": image.id, "file_name": image_file(drawn), "width": image.width, "height": image.height}
        )

    def _segments(self, layer: Layer) -> Iterator[Segment]:
        return segments(self.ids.written(layer.label_map_HW, layer.covered_HW), self.ids.names)

    def _document(self, **category: Any) -> Spool:
        categories = [{"id": id, "name": name, **category} for id, name in self.ids.names.items()]
        return json_object(
            {
                "info": {"description": self.project},
                "licenses": [],
                "categories": categories,
                "images": self._images,
                "annotations": self._annotations,
            }
        )


class Coco(_Coco):
    """`annotations/instances_default.json`: one annotation for all pixels of a class in an image, as COCO-Stuff has them.

    Predictions are `annotations/results.json`, which pycocotools' `loadRes` reads.
    """

    unlabelled = (
        "Ignored pixels and those without a label are in no annotation; labelled/ is 255 where there is a label."
    )

    def __init__(self, project: str, classes: ClassSet) -> None:
        super().__init__(project, classes)
        self._results, self._count = JsonList(), 0

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """Nothing yet: all annotations are in one file."""
        self._add_image(drawn)
        for segment in self._segments(drawn.labels):
            self._count += 1
            shape = {"area": segment.area, "bbox": _bbox(segment), "iscrowd": 0}
            self._annotations.append({"id": self._count, **_annotation(drawn, segment), **shape})
        yield from ()

    def predictions(self, drawn: Drawn) -> Iterator[File]:
        """Nothing yet, too. No probability is kept with a prediction: each scores 1."""
        for segment in self._segments(drawn.predictions):
            self._results.append({**_annotation(drawn, segment), "score": 1.0})
        yield from ()

    def ending(self) -> Iterator[File]:
        """The annotations, and the results if there are any."""
        yield File(
            what="annotations",
            path="annotations/instances_default.json",
            data=self._document(supercategory=""),
        )
        if self._results.size:
            results = Spool()
            write_list(self._results, results)
            yield File(what="results", path="annotations/results.json", data=results)


class CocoPanoptic(_Coco):
    """`annotations/panoptic_default.json` and a PNG for each image beside it: all classes are stuff, one segment each.

    A segment's id is that of its category.
    """

    unlabelled = (
        "Segment 0 is for ignored pixels and for those without a label; labelled/ is 255 where there is a label."
    )

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """The PNG of segment ids."""
        self._add_image(drawn)
        segment_ids_HW = self.ids.written(drawn.labels.label_map_HW, drawn.labels.covered_HW)
        described = [
            {
                "id": segment.class_id,
                "category_id": segment.class_id,
                "area": segment.area,
                "bbox": _bbox(segment),
                "iscrowd": 0,
            }
            for segment in segments(segment_ids_HW, self.ids.names)
        ]
        file_name = f"{self.name(drawn)}.png"
        self._annotations.append({"image_id": drawn.image.id, "file_name": file_name, "segments_info": described})
        buffer = io.BytesIO()
        Picture.fromarray(panoptic_rgb(segment_ids_HW)).save(buffer, format="PNG")
        yield File(what="panoptic", path=f"annotations/panoptic_default/{file_name}", data=buffer.getvalue())

    def ending(self) -> Iterator[File]:
        """What the segments are."""
        document = self._document(supercategory="", isthing=0)
        yield File(what="annotations", path="annotations/panoptic_default.json", data=document)


def _annotation(drawn: Drawn, segment: Segment) -> dict[str, Any]:
    return {
        "image_id": drawn.image.id,
        "category_id": segment.class_id,
        "segmentation": rle_encode(segment.mask_HW),
    }


def _bbox(segment: Segment) -> list[int]:
    box = segment.box
    return [box.col, box.row, box.width, box.height]
