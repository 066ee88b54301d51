"""Kinds of text and time over the wire that several schemas share."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

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


_STRAY = 20


def at_most(count: int) -> BeforeValidator:
    """Refuses an object of more names before any is looked at: max_length does so when each has been found wrong."""

    def few(values: Any) -> Any:
        if isinstance(values, dict) and len(values) > count:
            raise ValueError(f"There are {len(values)} names; {count} is the limit")
        return values

    return BeforeValidator(few)


class Bounded(BaseModel):
    """What has no more names than it may have, and some: each that is not known is an error of its own."""

    @model_validator(mode="before")
    @classmethod
    def _is_about_as_long_as_it_may_be(cls, values: Any) -> Any:
        if isinstance(values, dict) and len(values) > len(cls.model_fields) + _STRAY:
            raise ValueError(f"There are {len(values)} names; known are {', '.join(cls.model_fields)}")
        return values


class Input(Bounded):
    """What a caller sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
