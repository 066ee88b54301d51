"""What an export is asked for over the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ExportFormat = Literal["png", "coco", "coco-panoptic", "voc", "cityscapes", "labelstudio", "cvat"]
Only = Literal["labelled", "complete"]


class ExportQuery(BaseModel):
    """The query of an export; nothing unknown is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: ExportFormat | None = Field(
        None, description="The layout of the zip; without one label maps of the project's own ids, and no other mask."
    )
    images: bool = Field(False, description="The images' files too.")
    only: Only | None = Field(
        None,
        description="`labelled`: images with a labelled region; `complete`: those whose every pixel has a label. Without it "
        "those with a labelled region and, with `predictions`, those of which something is predicted.",
    )
    predictions: bool = Field(False, description="What the newest segmenter predicts of regions that wait for labels.")
