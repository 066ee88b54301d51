"""Kinds of text and time over the wire that several schemas share."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

Split = Literal["state", "train", "reward", "pool", "test"]
Role = Literal["admin", "reviewer", "annotator"]
Moment = datetime


def _printable(text: str) -> str:
    # Control characters have no place in a name, and PostgreSQL refuses NUL.
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("Control characters are not allowed here")
    return text


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("NUL characters are not allowed here")
    return text


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_printable)
]
Sentence = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), AfterValidator(_without_nul)
]


class Input(BaseModel):
    """What a caller sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
