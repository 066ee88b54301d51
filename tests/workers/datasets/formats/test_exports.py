"""Each format is read as its own tool's files are, from what an export has written, equal to the pixel."""

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.domain.classes import IGNORE
from tests.maker import Maker
from tests.service.labelled import AWKWARD, NOTHING, Labelled, make_labelled, names, unpacked
from workers.datasets import open_dataset
from workers.datasets.base import behind
from workers.datasets.formats import Annotated


@pytest.fixture
def world(make: Maker, admin: TestClient) -> Labelled:
    return make_labelled(make, admin, classes=AWKWARD)


@pytest.mark.parametrize("format", ["coco", "voc", "labelstudio", "cvat"])
def test_what_was_exported_is_read_to_the_pixel(
    world: Labelled, admin: TestClient, tmp_path: Path, format: str
) -> None:
    folder = unpacked(admin, world.project, tmp_path, format=format, images=True)
    dataset = open_dataset(format, folder)
    ids = {name: id for id, name in names(folder).items()}
    assert set(world.classes.names) <= set(dataset.classes.names)
    pool = dataset.splits["pool"]
    assert len(pool) == 3
    for number in range(3):
        source, own = behind(pool, number)
        assert isinstance(source, Annotated)
        drawn, labels = source.drawn(own), world.labels[ids[source.name(own)]]
        np.testing.assert_array_equal(drawn.labelled_HW, labels != NOTHING)
        for each in world.classes.classes:
            index = dataset.classes.names.index(each.name)
            np.testing.assert_array_equal(drawn.indices_HW == index, labels == each.id)
        void = np.isin(labels, [world.classes.ignore_id, NOTHING])
        np.testing.assert_array_equal(drawn.indices_HW == IGNORE, void)
        assert source.image(own).shape == (*labels.shape, 3)
