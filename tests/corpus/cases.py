"""What a case of the corpus is: files that come in together, and what must become of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import ClassSet, LabelClass

CLASSES = ClassSet(
    classes=(
        LabelClass(id=0, name="Ground", color=(0, 0, 0)),
        LabelClass(id=1, name="Cell", color=(255, 0, 0)),
    ),
    ignore_id=255,
)
HEIGHT, WIDTH = 12, 17  # nothing that bytes, tiles or blocks divide
_CHANCE = np.random.default_rng(0)
NOISE: NDArray[np.uint8] = _CHANCE.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY_NOISE = NOISE[..., 0].copy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What is seen of each image by the name it is kept under, uint8, height x width (x 3), and the ids of label maps.

    within: by how much a value may differ. reading: what is said to have been done to each. in_folder: whether an import of a
    folder takes it too; hidden files it leaves out.
    """

    pixels: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    within: int = 0
    reading: Mapping[str, Any] = field(default_factory=dict)
    in_folder: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The code, and what the sentence holds. folder: what an import says where it is not that sentence, but one of the folder;
    None where no folder can hold such files."""

    code: str
    sentence: str
    folder: str | None = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Files by their names, how they are said to be read (the form of an upload), and the outcome."""

    title: str
    images: Mapping[str, bytes]
    outcome: Taken | Refused
    labels: Mapping[str, bytes] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)


def picture(
    title: str, data: bytes, outcome: NDArray[Any] | Refused, *, name: str = "a.png", within: int = 0, **form: str
) -> Case:
    """Of one image: the pixels that are seen of it, or how it is refused."""
    if isinstance(outcome, Refused):
        return Case(title=title, images={name: data}, outcome=outcome, form=form)
    reading = {key: value for key, value in form.items() if key == "scale"}
    return Case(
        title=title,
        images={name: data},
        outcome=Taken(pixels={name: outcome}, within=within, reading=reading),
        form=form,
    )


def refused(code: str, sentence: str, folder: str | None = "") -> Refused:
    """A short way to say so."""
    return Refused(code=code, sentence=sentence, folder=folder)
