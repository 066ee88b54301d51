"""Classes: ids in files and indices inside, palettes, and what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from service.domain.classes import CAMVID, CITYSCAPES, IGNORE, ClassSet, LabelClass, UnknownClassIds

LEAF_SOIL = ClassSet(
    classes=(LabelClass(id=7, name="leaf", color=(0, 255, 1)), LabelClass(id=3, name="soil", color=(90, 60, 30))),
    ignore_id=0,
)


@st.composite
def class_sets(draw: st.DrawFn) -> ClassSet:
    ids = draw(st.lists(st.integers(0, 255), min_size=3, max_size=256, unique=True))
    classes = tuple(LabelClass(id=each, name=f"class {each}", color=(each, 0, 255 - each)) for each in ids[1:])
    return ClassSet(classes=classes, ignore_id=ids[0])


def test_ids_become_places_in_the_list_and_the_ignore_id_becomes_ignore() -> None:
    indices = LEAF_SOIL.to_indices(np.array([[7, 3, 0], [3, 3, 7]], dtype=np.uint8))
    assert indices.dtype == np.uint8
    assert indices.tolist() == [[0, 1, IGNORE], [1, 1, 0]]


def test_indices_become_ids_and_ignore_becomes_the_ignore_id() -> None:
    ids = LEAF_SOIL.to_ids(np.array([[0, IGNORE], [1, 1]], dtype=np.uint8))
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[7, 0], [3, 3]]


def test_unknown_ids_are_named_in_the_error_once_each_and_in_order() -> None:
    with pytest.raises(UnknownClassIds, match="unknown class ids 5, 9;") as raised:
        LEAF_SOIL.to_indices(np.array([[9, 5, 9, 7]], dtype=np.uint8))
    assert raised.value.ids == (5, 9)


def test_255_is_an_unknown_id_unless_it_is_declared() -> None:
    with pytest.raises(UnknownClassIds) as raised:
        LEAF_SOIL.to_indices(np.array([[255]], dtype=np.uint8))
    assert raised.value.ids == (255,)


def test_an_index_beyond_the_classes_has_no_id() -> None:
    with pytest.raises(ValueError, match="index 2 is outside the 2 classes"):
        LEAF_SOIL.to_ids(np.array([[0, 2]], dtype=np.uint8))


@pytest.mark.parametrize("convert", [LEAF_SOIL.to_indices, LEAF_SOIL.to_ids])
def test_label_maps_of_another_type_are_refused_rather_than_wrapped(convert: Any) -> None:
    with pytest.raises(ValueError, match="uint8, not int64"):
        convert(np.array([[256 + 7]], dtype=np.int64))


@given(class_sets(), st.data())
def test_indices_to_ids_and_back_is_the_identity_for_every_class_set(classes: ClassSet, data: st.DataObject) -> None:
    index = st.one_of(st.integers(0, len(classes) - 1), st.just(IGNORE))
    indices = data.draw(arrays(np.uint8, (3, 4), elements=index))
    np.testing.assert_array_equal(classes.to_indices(classes.to_ids(indices)), indices)


@given(class_sets())
def test_json_round_trip_is_the_identity(classes: ClassSet) -> None:
    assert ClassSet.from_json(classes.to_json()) == classes


def test_label_maps_need_not_be_contiguous_and_results_can_be_written_to() -> None:
    whole = np.array([[7, 0, 3], [0, 0, 0], [3, 0, 7]], dtype=np.uint8)
    indices = LEAF_SOIL.to_indices(whole[::2, ::2].T)
    assert indices.tolist() == [[0, 1], [1, 0]]
    indices[0, 0] = IGNORE
    assert LEAF_SOIL.to_ids(indices).tolist() == [[0, 3], [3, 7]]


def test_json_holds_only_plain_values_in_order() -> None:
    assert LEAF_SOIL.to_json() == {
        "classes": [
            {"id": 7, "name": "leaf", "color": [0, 255, 1]},
            {"id": 3, "name": "soil", "color": [90, 60, 30]},
        ],
        "ignore_id": 0,
    }


def test_the_palette_holds_each_color_at_its_id_and_black_elsewhere() -> None:
    palette = LEAF_SOIL.palette()
    assert len(palette) == 768
    assert palette[21:24] == [0, 255, 1]
    assert palette[9:12] == [90, 60, 30]
    assert sum(palette) == 256 + 180


def _json(**changes: Any) -> dict[str, Any]:
    return LEAF_SOIL.to_json() | changes


def _with_class(**changes: Any) -> dict[str, Any]:
    data = LEAF_SOIL.to_json()
    data["classes"][1] |= changes
    return data


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (_with_class(id=7), "ids must differ; given more than once: 7"),
        (_with_class(name="leaf"), "names must differ; given more than once: leaf"),
        (_with_class(id=256), "from 0 to 255, not 256"),
        (_with_class(id=-1), "from 0 to 255, not -1"),
        (_with_class(id="3"), "from 0 to 255, not '3'"),
        (_with_class(id=True), "from 0 to 255, not True"),
        (_with_class(name=" "), "Class 3 needs a name"),
        (_with_class(name=4), "Class 3 needs a name"),
        (_with_class(color=[1, 2]), "three whole numbers"),
        (_with_class(color=[1, 2, 256]), "three whole numbers"),
        (_with_class(color="red"), "three whole numbers"),
        (_json(ignore_id=3), "ignore id 3 is also the id of a class"),
        (_json(ignore_id=256), "from 0 to 255, not 256"),
        (_json(classes=LEAF_SOIL.to_json()["classes"][:1]), "at least two classes; 1 given"),
        (_json(classes=[{"id": 0, "name": "a"}, {}]), "Class 0 of the list lacks color"),
        (_json(classes=["leaf", "soil"]), "Class 0 of the list is an object"),
        (_json(classes={"leaf": 7}), 'a list "classes"'),
        ([], 'a list "classes"'),
    ],
)
def test_json_that_makes_no_class_set_is_refused_with_a_sentence(data: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ClassSet.from_json(data)


def test_the_ignore_id_is_255_where_json_does_not_say() -> None:
    assert ClassSet.from_json({"classes": LEAF_SOIL.to_json()["classes"]}).ignore_id == 255


def test_camvid_has_segnets_eleven_classes_and_void_at_11() -> None:
    names = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist"
    assert CAMVID.names == tuple(names.split())
    assert CAMVID.ids == tuple(range(11))
    assert CAMVID.to_indices(np.array([[10, 11]], dtype=np.uint8)).tolist() == [[10, IGNORE]]
    assert CAMVID.palette()[9:12] == [128, 64, 128]


def test_cityscapes_has_the_nineteen_train_ids_and_ignores_255() -> None:
    assert len(CITYSCAPES) == 19
    assert CITYSCAPES.names[0] == "road"
    assert CITYSCAPES.names[13] == "car"
    assert CITYSCAPES.names[18] == "bicycle"
    assert CITYSCAPES.classes[13].color == (0, 0, 142)
    assert CITYSCAPES.to_indices(np.array([[18, 255]], dtype=np.uint8)).tolist() == [[18, IGNORE]]
