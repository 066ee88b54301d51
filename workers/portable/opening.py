"""Opens what predicts: a folder that an export wrote, or a checkpoint's file, on a device."""

from dataclasses import dataclass
from pathlib import Path

from models.segmenter import Segmenter
from service.domain.classes import ClassSet
from workers.datasets.folder import read_classes
from workers.portable.exporting import DESCRIPTION, WEIGHTS
from workers.portable.graph import FORMS
from workers.training.checkpoints import CheckpointError, classes_of, from_bytes, load_segmenter

_GRAPHS = tuple(form.file for form in FORMS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A segmenter in evaluation mode, and the classes that its indices stand for."""

    segmenter: Segmenter
    classes: ClassSet


def open_model(path: Path, *, classes: Path | None = None, device: str = "cpu") -> Model:
    """What `path` holds. `classes` is a file of classes with their ids, for checkpoints of earlier versions.

    Raises ValueError (a CheckpointError or DatasetError, too) for what is no model, and for one whose class ids nobody knows.
    """
    data = _weights(path).read_bytes()
    try:
        checkpoint = from_bytes(data)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    known = classes_of(checkpoint) if classes is None else read_classes(classes)
    if known is None:
        raise CheckpointError(
            f"{path} names its classes and not their ids: give --classes FILE, or what `regionwise export-model` writes of it."
        )
    segmenter, _ = load_segmenter(data, known, device)
    return Model(segmenter=segmenter, classes=known)


def _weights(path: Path) -> Path:
    """The file of weights that is meant. Raises ValueError where there is none."""
    if path.name in (*_GRAPHS, DESCRIPTION):
        raise ValueError(f"{path} is for other programs; give its folder, {path.parent}, to --model.")
    if not path.exists():
        raise ValueError(f"There is no model {path}: `regionwise export-model` writes one.")
    if not path.is_dir():
        return path
    if not (path / WEIGHTS).is_file():
        raise ValueError(f"The folder {path} holds no {WEIGHTS}: `regionwise export-model` writes one.")
    return path / WEIGHTS
