"""Files of weights: what they say of themselves, and one kind of error for all that they are not."""

import json
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load

from service.domain.weights import MAX_HEADER_BYTES, WeightsError, check_format, check_kind, read_weights

DESCRIPTION = {"format": 1, "kind": "policy", "returns": [1.5, -2, 1e-3], "nested": {"names": ["Straße", "\x00"]}}
TENSORS = {
    "weights.b": {"dtype": "F32", "shape": [2, 1], "data_offsets": [8, 16]},
    "weights.a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
    "extra.none": {"dtype": "BF16", "shape": [3, 0], "data_offsets": [16, 16]},
}
NUMBERS = bytes(range(16))


def packed(header: Any, numbers: bytes = NUMBERS) -> bytes:
    """A file of this header, which is JSON already if it is text."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + numbers


def file_of(tensors: Any = TENSORS, description: Any = DESCRIPTION, numbers: bytes = NUMBERS) -> bytes:
    """A file of these tensors; the description is JSON already if it is text."""
    text = description if isinstance(description, str) else json.dumps(description)
    return packed({"__metadata__": {"regionwise": text}, **tensors}, numbers)


def test_a_file_says_what_it_holds_and_where() -> None:
    file = read_weights(file_of())
    assert file.description == DESCRIPTION
    a, b = file.tensors["weights.a"], file.tensors["weights.b"]
    assert ((a.dtype, a.shape), (b.dtype, b.shape)) == (("I64", ()), ("F32", (2, 1)))
    assert bytes(file.numbers[b.begin : b.end]) == bytes(range(8, 16))
    assert file.tensors["extra.none"].shape == (3, 0)


def one(**changes: Any) -> bytes:
    """A file of one tensor of eight bytes, changed."""
    return file_of(
        {"weights.a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}, numbers=NUMBERS[:8]
    )


def two(*offsets: tuple[int, int], size: int = 16) -> bytes:
    """A file of tensors at these offsets."""
    tensors = {
        f"weights.{place}": {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for place, (begin, end) in enumerate(offsets)
    }
    return file_of(tensors, numbers=bytes(size))


BROKEN = {
    "nothing": (b"", "ends before its header"),
    "a short length": (b"\x01\x00", "ends before its header"),
    "text": (b"not a checkpoint at all", "ends before its header"),
    "a length beyond the file": (b"\xff" * 64, "ends before its header"),
    "a length of one more": (struct.pack("<Q", 3) + b"{}", "ends before its header"),
    "a long header": (packed("{" + " " * MAX_HEADER_BYTES + "}"), "262,144 is the limit"),
    "zeros": (b"\x00" * 64, "its header is not a JSON object"),
    "a list": (packed("[1]"), "its header is not a JSON object"),
    "a space first": (packed(" {}"), "its header is not a JSON object"),
    "half an object": (packed('{"a": '), "its header is not JSON"),
    "no UTF-8": (struct.pack("<Q", 3) + b'{"\xff', "holds what is no text"),
    "half a character": (packed('{"__metadata__": {"\\ud800": ""}}'), "holds what is no text"),
    "many brackets": (packed('{"a":' + "[" * 100_000), "nested too deeply"),
    "some brackets": (packed('{"a":' + "[" * 17 + "]" * 17 + "}"), "nested too deeply"),
    "a key twice": (packed('{"a": 1, "a": 2}'), "twice"),
    "no metadata": (packed(TENSORS), "no texts under __metadata__"),
    "metadata of numbers": (packed({"__metadata__": {"regionwise": 1}}, b""), "no texts under __metadata__"),
    "others' metadata": (packed({"__metadata__": {"format": "pt"}}, b""), "does not describe it"),
    "no description": (file_of(description="{"), "its description is not JSON"),
    "a description that is none": (file_of(description="[]"), "its description is not a JSON object"),
    "a deep description": (file_of(description='{"a":' * 17 + "1" + "}" * 17), "nested too deeply"),
    "NaN": (file_of(description='{"a": NaN}'), "not finite"),
    "Infinity": (file_of(description='{"a": -Infinity}'), "not finite"),
    "a number too large": (file_of(description='{"a": 1e999}'), "not finite"),
    "a whole number too large": (file_of(description='{"a": 9223372036854775808}'), "not one of 64 bits"),
    "no whole number": (one(data_offsets=[0, 8]).replace(b"[0, 8]", b"[-0,8]"), "not one of 64 bits"),
    "many digits": (file_of(description='{"a": ' + "9" * 5000 + "}"), "not one of 64 bits"),
    "half a character described": (file_of(description='{"a": "\\udfff"}'), "holds what is no text"),
    "a tensor that is none": (file_of({"weights.a": 3}), "just dtype, shape and data_offsets"),
    "a tensor with more": (one(stride=[1]), "just dtype, shape and data_offsets"),
    "an unknown type": (one(dtype="F31"), "unknown type F31"),
    "a type that is none": (one(dtype=["F32"]), "unknown type"),
    "a shape that is none": (one(shape=2), "is not 8 counts"),
    "a negative side": (one(shape=[-2]), "is not 8 counts"),
    "a true side": (one(shape=[2, True]), "is not 8 counts"),
    "a broken side": (one(shape=[2.0]), "is not 8 counts"),
    "nine sides": (one(shape=[2] + [1] * 8), "is not 8 counts"),
    "a huge side": (one(shape=[2**62, 2**62]), "bytes that its shape needs"),
    "three offsets": (one(data_offsets=[0, 4, 8]), "between two offsets"),
    "negative offsets": (one(data_offsets=[-8, 0]), "between two offsets"),
    "offsets that fall": (one(data_offsets=[8, 0]), "bytes that its shape needs"),
    "fewer bytes": (one(data_offsets=[0, 4]), "bytes that its shape needs"),
    "a hole before": (two((4, 16)), "hole or an overlap before the tensor weights.0"),
    "a hole between": (two((0, 4), (8, 16)), "hole or an overlap before the tensor weights.1"),
    "an overlap": (two((0, 8), (4, 16)), "hole or an overlap before the tensor weights.1"),
    "the same twice": (two((0, 16), (0, 16)), "hole or an overlap"),
    "bytes left over": (two((0, 8)), "take 8 bytes, and it has 16"),
    "bytes beyond the file": (two((0, 16), size=12), "take 16 bytes, and it has 12"),
}


@pytest.mark.parametrize(("data", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_file_of_weights_is_refused_with_a_sentence(data: bytes, why: str) -> None:
    with pytest.raises(
        WeightsError, match=r"^This is not a checkpoint of regionwise: .*\. Upload a file as"
    ) as refused:
        read_weights(data)
    assert refused.value.code == "not_a_checkpoint"
    assert why in refused.value.message
    assert len(refused.value.message) < 300


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(WeightsError):
        read_weights(data)


TEXT = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
ENTRY = st.fixed_dictionaries(
    {}, optional={"regionwise": JSON, "dtype": st.just("U8") | JSON, "shape": JSON, "data_offsets": JSON}
)


@given(st.fixed_dictionaries({"__metadata__": ENTRY | JSON}, optional={"weights.a": ENTRY | JSON}))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_random_headers_raise_nothing_else(header: Any) -> None:
    with pytest.raises(WeightsError):
        read_weights(packed(header))


@given(st.data())
def test_of_files_with_changed_bytes_those_that_are_read_are_read_by_safetensors_too(data: st.DataObject) -> None:
    mutated = bytearray(file_of())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        mutated[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"0", b"9", b'"'])
        )
    try:
        file = read_weights(bytes(mutated))
    except WeightsError:
        return
    loaded = load(bytes(mutated))
    assert {name: tuple(tensor.shape) for name, tensor in loaded.items()} == {
        name: tensor.shape for name, tensor in file.tensors.items()
    }


def test_another_version_and_another_kind_are_refused_by_what_they_are() -> None:
    check_format({"format": 1})
    check_kind({"kind": "policy"}, "policy")
    for description, shown in (({}, "None"), ({"format": 2}, "2"), ({"format": "x" * 100}, "x" * 60 + "...")):
        with pytest.raises(WeightsError, match=f"has format {shown}; this version reads 1") as refused:
            check_format(description)
        assert refused.value.code == "wrong_format"
    with pytest.raises(WeightsError, match="A policy was expected; the checkpoint holds a segmenter") as refused:
        check_kind({"kind": "segmenter"}, "policy")
    assert refused.value.code == "wrong_kind"
