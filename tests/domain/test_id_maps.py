"""Which ids formats write for a project's classes."""

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label

from service.domain.classes import CAMVID, CITYSCAPES, ClassSet, LabelClass
from service.domain.id_maps import CITYSCAPES_NAMES, cityscapes_ids, coco_ids, own_ids, voc_ids


def class_set(*names: str, color: tuple[int, int, int] = (0, 0, 0)) -> ClassSet:
    return ClassSet(classes=tuple(LabelClass(id=id, name=name, color=color) for id, name in enumerate(names, start=5)))


def test_the_ids_of_cityscapes_are_those_of_its_scripts() -> None:
    assert {name: name2label[name].id for name in CITYSCAPES_NAMES[:-1]} == {
        name: place for place, name in enumerate(CITYSCAPES_NAMES[:-1])
    }
    ids = cityscapes_ids(CITYSCAPES)
    assert {each.name: ids.of(each.id) for each in CITYSCAPES.classes} == {
        name: name2label[name].id for name in CITYSCAPES.names
    }


def test_classes_that_cityscapes_does_not_know_come_after_its_own() -> None:
    ids = cityscapes_ids(class_set("Traffic-Light", "trafficlight", "hedge", "out of roi"))
    assert [ids.of(id) for id in (5, 6, 7, 8)] == [name2label["traffic light"].id, 35, 36, 37]


def test_what_has_no_label_and_what_is_ignored_have_different_ids_in_cityscapes() -> None:
    written = cityscapes_ids(CAMVID).written(np.array([[3, 11, 11]], np.uint8), np.array([[True, True, False]]))
    assert written.tolist() == [[name2label["road"].id, name2label["out of roi"].id, name2label["unlabeled"].id]]


def test_coco_counts_classes_from_1_for_0_is_none() -> None:
    ids = coco_ids(class_set("a", "b"))
    written = ids.written(np.array([[5, 6, 255, 6]], np.uint8), np.array([[True, True, True, False]]))
    assert written.tolist() == [[1, 2, 0, 0]]
    assert ids.names == {1: "a", 2: "b"}


def test_voc_has_no_pixel_of_background_and_a_color_for_each_class() -> None:
    ids = voc_ids(class_set("background", "a:b", "c"))
    assert [ids.of(id) for id in (5, 6, 7, 255)] == [1, 2, 3, 255]
    assert ids.names == {0: "_background_", 255: "void", 1: "background", 2: "a;b", 3: "c"}
    assert len(set(ids.colors.values())) == 5
    assert ids.written(np.array([[5]], np.uint8), np.array([[False]])).tolist() == [[255]]


def test_more_classes_than_a_format_has_ids_are_refused() -> None:
    many = ClassSet(
        classes=tuple(LabelClass(id=id, name=f"class {id}", color=(0, 0, 0)) for id in range(255)), ignore_id=255
    )
    with pytest.raises(ValueError, match="254 classes; the project has 255"):
        voc_ids(many)
    with pytest.raises(ValueError, match="no room for 255 classes"):
        cityscapes_ids(many)


def test_own_ids_are_left_as_they_are() -> None:
    ids = own_ids(CAMVID)
    written = ids.written(np.array([[0, 10, 11]], np.uint8), np.array([[True, True, True]]))
    assert written.tolist() == [[0, 10, 11]]
    assert ids.palette() == CAMVID.palette()
