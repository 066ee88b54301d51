"""Label Studio: tasks with brush labels, and the labelling interface that they fit."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap, own_ids
from service.domain.segments import brush_rle, segments
from service.export.archive import JsonList, Spool, write_list
from service.export.drawn import Drawn, Layer
from service.export.layouts.contract import File, Layout


class LabelStudio(Layout):
    """`tasks.json`, which Label Studio imports, and `label_config.xml`.

    Images are named as its local storage does, below the folder that the archive was unpacked to.
    """

    unlabelled = "Ignored pixels and those without a label have no brush; labelled/ is 255 where there is a label."

    def __init__(self, project: str, classes: ClassSet) -> None:
        super().__init__(project, classes)
        self._tasks = JsonList()

    @staticmethod
    def id_map(classes: ClassSet) -> IdMap:
        """The project's own, of which Label Studio takes the names."""
        return own_ids(classes)

    def predictions(self, drawn: Drawn) -> Iterator[File]:
        """None of their own: they are in the image's task."""
        yield from ()

    def labels(self, drawn: Drawn) -> Iterator[File]:
        """Nothing yet: all tasks are in one file."""
        url = f"/data/local-files/?d={quote(self.image_path(drawn))}"
        labelled, predicted = self._result(drawn, drawn.labels, "l"), self._result(drawn, drawn.predictions, "p")
        newest = max((each.checkpoint_id or 0 for each in drawn.predicted), default=0) or "unknown"
        self._tasks.append(
            {
                "data": {"image": url, "name": drawn.image.name, "image_id": drawn.image.id},
                "annotations": [{"result": labelled}] if drawn.regions else [],
                "predictions": [{"model_version": f"checkpoint {newest}", "result": predicted}] if predicted else [],
            }
        )
        yield from ()

    def ending(self) -> Iterator[File]:
        """The tasks and the interface."""
        tasks, config = Spool(), Spool()
        write_list(self._tasks, tasks)
        yield File(what="tasks", path="tasks.json", data=tasks)
        config.write(b'<View>\n  <Image name="image" value="$image"/>\n  <BrushLabels name="label" toName="image">\n')
        for each in self.classes.classes:
            color = "#{:02x}{:02x}{:02x}".format(*each.color)
            config.write(f'    <Label value={quoteattr(each.name)} background="{color}"/>\n'.encode())
        config.write(b"  </BrushLabels>\n</View>\n")
        yield File(what="config", path="label_config.xml", data=config)

    def _result(self, drawn: Drawn, layer: Layer, kind: str) -> list[dict[str, Any]]:
        image, names = drawn.image, self.ids.names
        return [
            {
                "id": f"{kind}{image.id}-{segment.class_id}",
                "type": "brushlabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": image.width,
                "original_height": image.height,
                "image_rotation": 0,
                "value": {
                    "format": "rle",
                    "rle": brush_rle(segment.mask_HW),
                    "brushlabels": [names[segment.class_id]],
                },
            }
            for segment in segments(layer.label_map_HW, self.classes.ids)
        ]
