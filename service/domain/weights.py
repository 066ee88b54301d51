"""Reads what a file of network weights says of itself, distrusting it and without torch: a safetensors file's header.

Such a file is 8 bytes of little-endian length, a JSON header of that length, {name: {dtype, shape, data_offsets}}, with
{"regionwise": a JSON text, the description} under "__metadata__", and then the numbers, without holes.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = 1
"""Of descriptions; what another version means by its own is not guessed."""

MAX_HEADER_BYTES = 1 << 18
"""The longest header that is read; that of a policy takes 5,000 bytes and 20 for each episode of its training."""

_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
_MAX_DEPTH = 16
_MAX_RANK = 8
_BEYOND = 2**63


class WeightsError(ValueError):
    """Weights that cannot be taken: `code` for programs, `message`, which says what to do, for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor of a file: what its numbers are, and which of the file's `numbers` from `begin` to before `end`."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """A file's description, its tensors by name, and the bytes of all of them."""

    description: dict[str, Any]
    tensors: dict[str, StoredTensor]
    numbers: memoryview


def read_weights(data: bytes) -> WeightsFile:
    """What the bytes of a file hold; its numbers are not looked at.

    Raises WeightsError `not_a_checkpoint` where they are no safetensors file or one without a description.
    """
    try:
        header, numbers = _header(data)
        metadata = header.pop("__metadata__", None)
        tensors = {name: _tensor(name, entry) for name, entry in header.items()}
        _check_layout(tensors, len(numbers))
        description = _description(metadata)
    except (ValueError, RecursionError) as error:
        sentence = f"This is not a checkpoint of regionwise: {_why(error)}. Upload a file as regionwise has saved it."
        raise WeightsError("not_a_checkpoint", sentence) from error
    return WeightsFile(description=description, tensors=tensors, numbers=numbers)


def check_format(description: Mapping[str, Any]) -> None:
    """Raises WeightsError `wrong_format` for a description of another version."""
    if description.get("format") != FORMAT:
        sentence = f"The checkpoint has format {_shown(description.get('format'))}; this version reads {FORMAT}."
        raise WeightsError("wrong_format", f"{sentence} Train a new one, or take one that this version has saved.")


def check_kind(description: Mapping[str, Any], kind: str) -> None:
    """Raises WeightsError `wrong_kind` where the weights are those of something else."""
    if description.get("kind") != kind:
        sentence = f"A {kind} was expected; the checkpoint holds a {_shown(description.get('kind'))}."
        raise WeightsError("wrong_kind", f"{sentence} Take the file of a {kind} instead.")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its JSON is nested too deeply"
    return "its JSON holds what is no text" if isinstance(error, UnicodeError) else str(error)


def _header(data: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ValueError("it ends before its header does")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header holds {length:,} bytes, and {MAX_HEADER_BYTES:,} is the limit")
    header = _object(data[8 : 8 + length].decode("utf-8"), "its header")
    return header, memoryview(data)[8 + length :]


def _description(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its header has no texts under __metadata__")
    if "regionwise" not in metadata:
        raise ValueError("its header does not describe it")
    return _object(metadata["regionwise"], "its description")


def _object(text: str, what: str) -> dict[str, Any]:
    """The JSON object that a text is, in finite numbers, without duplicate keys, and such that it can be stored and shown."""
    if not text.startswith("{"):
        raise ValueError(f"{what} is not a JSON object")
    try:
        value: dict[str, Any] = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} is not JSON ({error})") from error
    _check_depth(value, _MAX_DEPTH)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # escapes of half a character have no place in a text
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice in one JSON object")
    return made


def _integer(text: str) -> int:
    if len(text) > 20 or text == "-0" or not -_BEYOND <= int(text) < _BEYOND:
        raise ValueError("a whole number of its JSON is not one of 64 bits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number of its JSON is not finite")
    return number


def _check_depth(value: Any, left: int) -> None:
    if isinstance(value, dict | list):
        if left == 0:
            raise RecursionError
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, left - 1)


def _tensor(name: str, entry: Any) -> StoredTensor:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the tensor {_shown(name)} does not have just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise ValueError(f"the tensor {_shown(name)} is of the unknown type {_shown(dtype)}")
    if not _are_counts(shape) or len(shape) > _MAX_RANK:
        raise ValueError(f"the shape of the tensor {_shown(name)} is not {_MAX_RANK} counts at most")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"the tensor {_shown(name)} does not lie between two offsets")
    if offsets[1] - offsets[0] != math.prod(shape) * _BYTES[dtype]:
        raise ValueError(f"the tensor {_shown(name)} does not have the bytes that its shape needs")
    return StoredTensor(dtype=dtype, shape=tuple(shape), begin=offsets[0], end=offsets[1])


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_layout(tensors: Mapping[str, StoredTensor], size: int) -> None:
    """One tensor begins where the one before ends, and the last ends with the file."""
    at = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != at:
            raise ValueError(f"there is a hole or an overlap before the tensor {_shown(name)}")
        at = tensor.end
    if at != size:
        raise ValueError(f"its tensors take {at:,} bytes, and it has {size:,}")


def _shown(value: Any) -> str:
    """A value of a file as a sentence may repeat it."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
