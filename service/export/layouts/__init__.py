"""The layouts of exports by the names of their formats."""

from service.domain.classes import ClassSet
from service.errors import Invalid
from service.export.layouts.cityscapes import Cityscapes
from service.export.layouts.coco import Coco, CocoPanoptic
from service.export.layouts.contract import File, Layout
from service.export.layouts.cvat import Cvat
from service.export.layouts.label_maps import LabelMaps, PlainLabelMaps
from service.export.layouts.labelstudio import LabelStudio
from service.export.layouts.voc import Voc
from service.schemas.export import ExportFormat

__all__ = ["LAYOUTS", "File", "Layout", "layout_of"]

LAYOUTS: dict[ExportFormat | None, type[Layout]] = {
    None: PlainLabelMaps,
    "png": LabelMaps,
    "coco": Coco,
    "coco-panoptic": CocoPanoptic,
    "voc": Voc,
    "cityscapes": Cityscapes,
    "labelstudio": LabelStudio,
    "cvat": Cvat,
}


def layout_of(format: ExportFormat | None, *, project: str, classes: ClassSet) -> Layout:
    """A new layout of the format. Raises Invalid for classes that it cannot write."""
    try:
        return LAYOUTS[format](project, classes)
    except ValueError as error:
        raise Invalid(str(error), code="classes_do_not_fit", detail={"format": format}) from error
