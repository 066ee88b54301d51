"""What every layout of an export has, and what most of them share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from service.domain.classes import ClassSet
from service.domain.id_maps import IdMap
from service.domain.masks import encode_label_png
from service.export.archive import Spool
from service.export.drawn import Drawn, Layer
from service.pictures import SUFFIXES


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the archive; of those of an image the manifest has the path under `what`."""

    what: str
    path: str
    data: bytes | Spool


class Layout(ABC):
    """A format of exports: images are given to it one after another, and what it knows only then comes at the end."""

    unlabelled: str
    """For people: how pixels without a label, ignored ones and classes are told apart."""
    labelled_masks: bool = True
    """Whether `labelled/NAME.png` comes along."""

    def __init__(self, project: str, classes: ClassSet) -> None:
        """Raises ValueError, with a sentence, for classes that the format cannot write."""
        self.project, self.classes = project, classes
        self.ids = self.id_map(classes)

    @staticmethod
    @abstractmethod
    def id_map(classes: ClassSet) -> IdMap:
        """The ids that the format writes."""

    @abstractmethod
    def labels(self, drawn: Drawn) -> Iterator[File]:
        """The files of an image's labels."""

    def predictions(self, drawn: Drawn) -> Iterator[File]:
        """The files of what is predicted of an image: a label map of the ids that labels have."""
        yield File(
            what="prediction", path=f"predictions/{self.name(drawn)}.png", data=self.label_png(drawn.predictions)
        )

    def ending(self) -> Iterator[File]:
        """The files that speak of all images."""
        yield from ()

    def name(self, drawn: Drawn) -> str:
        """The image's name in the archive, without suffix."""
        return drawn.stem

    def image_path(self, drawn: Drawn) -> str:
        """Where the image's file is, or would be."""
        return f"images/{image_file(drawn)}"

    def picture(self, drawn: Drawn, data: bytes) -> bytes:
        """The image's file, of the one that is stored."""
        return data

    def label_png(self, layer: Layer) -> bytes:
        """A label map as an 8-bit PNG of the ids that the format writes."""
        return encode_label_png(self.ids.written(layer.label_map_HW, layer.covered_HW), self.ids.palette())

    def masks(self, drawn: Drawn) -> Iterator[File]:
        """The mask of what is labelled: 255 there, and 0 elsewhere."""
        if self.labelled_masks:
            mask_HW = np.where(drawn.labels.covered_HW, np.uint8(255), np.uint8(0))
            yield File(what="labelled", path=f"labelled/{self.name(drawn)}.png", data=encode_label_png(mask_HW))


def image_file(drawn: Drawn) -> str:
    """An image's name in the archive, with the suffix of the stored file."""
    return f"{drawn.stem}{'.png' if drawn.image.seen_key else SUFFIXES[drawn.image.media_type]}"
