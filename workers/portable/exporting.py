"""Writes a segmenter into a folder: its weights, a description that other programs can read, and perhaps a graph.

Shapes: C classes, H x W pixels.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from models.frozen import Eye, FrozenSegmenter
from models.inference import evaluating
from models.segmenter import Segmenter
from service.domain.classes import ClassSet
from service.pictures import pixels_of
from service.progress import Progress
from workers.datasets.base import MAX_PIXELS, Pixels
from workers.datasets.on_device import image_tensor
from workers.files import write_atomically
from workers.portable.graph import FORMS, INPUT, OUTPUT, agreement
from workers.portable.one_image import OneImage, predicted
from workers.training.checkpoints import load_segmenter, save_segmenter, segmenter_description
from workers.training.encoders import PUBLISHED

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
SAFETENSORS = "safetensors"
FORMAT = 1
LEAST_SIDE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is to be written into `to`: safetensors alone, or a graph of that form beside it, for images of `size` (H, W)."""

    to: Path
    form: str = SAFETENSORS
    size: tuple[int, int] | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a form that there is not, a size too small, and files that would be overwritten."""
        if self.form != SAFETENSORS and self.form not in FORMS:
            raise ValueError(f"There is no format {self.form!r}; there are {', '.join([SAFETENSORS, *FORMS])}.")
        if self.size is not None and min(self.size) < LEAST_SIDE:
            height, width = self.size
            raise ValueError(
                f"Images of at least {LEAST_SIDE} x {LEAST_SIDE} pixels are needed, not {height} x {width}."
            )
        there = [each for each in self._files() if each.exists()]
        if there and not self.overwrite:
            raise ValueError(f"{there[0]} is there already: name another folder with --to, or give --overwrite.")

    def write(self, data: bytes, classes: ClassSet, *, example: bytes | None, source: Mapping[str, Any]) -> list[Path]:
        """Write the checkpoint `data`; returns the files. `source` is where it came from, and stands in the description.

        A graph is checked on the `example`, the bytes of an image file (without one: on noise), brought to the size wanted,
        else in its own. Raises ValueError (a CheckpointError, for weights) where it cannot be exported: then nothing is
        written.
        """
        with Progress("Exporting", total=None, unit="of 3 steps") as progress:  # which take unlike long
            progress.update(0, "building the network")
            segmenter, checkpoint = load_segmenter(data, classes)
            known = segmenter_description(segmenter, classes).keys() | {"format"}
            measured = {key: value for key, value in checkpoint.description.items() if key not in known}
            weights = save_segmenter(segmenter, classes, **measured)
            described = description(segmenter, classes, weights) | {"source": dict(source)}
            made = {WEIGHTS: weights}
            if self.form != SAFETENSORS:
                progress.update(1, f"making and checking the graph, {self.form}")
                made[FORMS[self.form].file], described["graph"] = self._graph(segmenter, example)
            progress.update(2, "writing")
            made[DESCRIPTION] = json.dumps(described, indent=2, ensure_ascii=False).encode() + b"\n"
            for left in self._files():  # of another export: a graph would not be of these weights
                if left.name not in made:
                    left.unlink(missing_ok=True)
            for name, content in made.items():
                write_atomically(self.to / name, content)
            progress.update(3)
        return [self.to / name for name in made]

    def _files(self) -> list[Path]:
        """All that an export may have left in the folder."""
        return [self.to / name for name in (WEIGHTS, DESCRIPTION, *(form.file for form in FORMS.values()))]

    def _graph(self, segmenter: Segmenter, example: bytes | None) -> tuple[bytes, dict[str, Any]]:
        """A graph's bytes, and what the description says of it."""
        form, pixels_HW3 = FORMS[self.form], _example(example, self.size)
        image_3HW = image_tensor(pixels_HW3)
        made = form.make(segmenter, image_3HW)
        with evaluating(segmenter):
            reference_CHW = segmenter(image_3HW[None])[0].numpy()
        checked = agreement(form.run(made, image_3HW), reference_CHW, predicted(segmenter, OneImage(pixels_HW3)))
        height, width = pixels_HW3.shape[:2]
        return made, {
            "file": form.file,
            "input": {"name": INPUT, "shape": [1, 3, height, width], "type": "uint8"},
            "output": {"name": OUTPUT, "shape": [1, segmenter.classes, height, width], "type": "float32"},
            "checked": asdict(checked) | {"on": "noise" if example is None else "an image of the project"},
        }


def description(segmenter: Segmenter, classes: ClassSet, weights: bytes) -> dict[str, Any]:
    """What another program must know: what goes in, what comes out, which class is which, and what the weights lack."""
    eye = segmenter.eye if isinstance(segmenter, FrozenSegmenter) else None
    normal = segmenter if eye is None else eye.encoder
    mean, std = (np.asarray(each, np.float64).ravel().round(6).tolist() for each in (normal.mean, normal.std))
    return {
        "format": FORMAT,
        "made_by": f"regionwise {version('regionwise')}",
        "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest(), "encoder_included": eye is None},
        "architecture": segmenter_description(segmenter, classes)["architecture"],
        "encoder": None if eye is None else _encoder(eye),
        "input": {
            "channels": "RGB",
            "type": "uint8, 0 to 255, as decoded: neither turned nor scaled",
            "scaling": "(value / 255 - mean) / std, done by the network itself",
            "mean": mean,
            "std": std,
            "sizes": f"any from {LEAST_SIDE} x {LEAST_SIDE} pixels on; a graph takes its own size alone",
        },
        "output": {
            "logits": f"one for each of {len(classes)} classes, in order of their index, at each pixel of the image",
            "label_map": "the index of the largest logit; classes give the id of an index",
            "stride": segmenter.stride,
        },
        "classes": [
            {"index": index, "id": each.id, "name": each.name, "color": list(each.color)}
            for index, each in enumerate(classes.classes)
        ],
        "ignore_id": classes.ignore_id,
    }


def _encoder(eye: Eye) -> dict[str, Any]:
    """Where the weights of a frozen encoder are had, which are in graphs and not in the weights' file."""
    published = PUBLISHED.get(eye.name)
    return {
        "name": eye.name,
        "sha256": eye.sha256,
        "package": published.package if published else None,
        "address": published.address if published else None,
        "enlarged_by": eye.magnification,
    }


def _example(example: bytes | None, size: tuple[int, int] | None) -> Pixels:
    """(H, W, 3) uint8: the image, at the size wanted; noise without one. Raises ValueError where no size is known."""
    if example is None:
        if size is None:
            raise ValueError("There is no image to take the graph's size from: give --size HEIGHTxWIDTH.")
        return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels_HW3 = pixels_of(example, max_pixels=MAX_PIXELS)
    if size is None or size == pixels_HW3.shape[:2]:
        return pixels_HW3
    return np.asarray(Image.fromarray(pixels_HW3).resize((size[1], size[0]), Image.Resampling.BILINEAR))
