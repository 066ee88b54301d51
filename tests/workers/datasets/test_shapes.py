"""The worlds of shapes: domains that are no streets, the same whenever they are drawn, each with classes of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from service.domain.classes import IGNORE
from workers.datasets.base import ImageSource
from workers.datasets.shapes import LAYOUTS, plan_world, shapes_dataset
from workers.datasets.shapes.layouts import GROUND, _two_nearest
from workers.datasets.shapes.source import SERIES
from workers.datasets.shapes.world import plan_series

SIZE = (90, 120)


def world(seed: int, count: int = 24) -> ImageSource:
    """Images of D_T of a world."""
    return shapes_dataset(seed, *SIZE, counts={"train": count}).splits["train"]


@given(seed=st.integers(0, 10**9 - 1), height=st.integers(1, 70), width=st.integers(1, 70))
def test_a_world_can_be_drawn_at_any_size_with_its_own_classes_alone(seed: int, height: int, width: int) -> None:
    dataset = shapes_dataset(seed, height, width)
    source = dataset.splits["reward"]
    image, labels = source.image(3), source.label_map(3)
    assert source.size(3) == labels.shape == (height, width)
    assert image.shape == (height, width, 3)
    assert image.dtype == labels.dtype == np.uint8
    assert set(np.unique(labels).tolist()) <= {*range(len(dataset.classes)), IGNORE}


@pytest.mark.parametrize("seed", range(4))
def test_an_image_is_the_same_whatever_was_drawn_before_it(seed: int) -> None:
    straight, shuffled = world(seed), world(seed)
    first = [(straight.image(n), straight.label_map(n)) for n in range(10)]
    for n in (9, 0, 9, 4, 1):
        assert np.array_equal(shuffled.image(n), first[n][0])
        assert np.array_equal(shuffled.label_map(n), first[n][1])
        assert shuffled.digest(n) == straight.digest(n)


def test_splits_and_worlds_share_no_image() -> None:
    digests = [
        source.digest(n)
        for seed in range(4)
        for source in shapes_dataset(seed, *SIZE).splits.values()
        for n in range(3)
    ]
    assert len(set(digests)) == len(digests) == 60


@pytest.mark.parametrize("seed", range(8))
def test_another_size_shows_the_same_label_map(seed: int) -> None:
    small, large = (shapes_dataset(seed, size, size * 4 // 3).splits["train"] for size in (180, 360))
    for n in range(0, 12, 2):
        one, other = small.label_map(n), large.label_map(n)[1::2, 1::2]
        # What is no ground: most of an image of lines is ground, whatever lies on it.
        shown = [(each != GROUND) & (each != IGNORE) for each in (one, other)]
        both, either = (shown[0] & shown[1] & (one == other)).sum(), (shown[0] | shown[1]).sum()
        assert both > 0.6 * either


def test_layouts_go_round_and_differ_in_what_they_hold() -> None:
    assert [plan_world(seed).layout for seed in range(8)] == [*LAYOUTS, *LAYOUTS]
    counts = [len(plan_world(seed).classes) for seed in range(200)]
    assert (min(counts), max(counts)) == (2, 20)


@pytest.mark.parametrize("seed", range(100, 116))
def test_classes_are_met_unevenly_and_most_of_them_at_all(seed: int) -> None:
    source, classes = world(seed, 48), len(plan_world(seed).classes)
    counts = np.bincount(np.concatenate([source.label_map(n).ravel() for n in range(48)]), minlength=256)
    shares = counts[:classes] / counts.sum()
    assert counts[IGNORE] / counts.sum() < 0.25
    assert (counts[:classes] > 0).sum() >= max(2, 0.6 * classes)
    if plan_world(seed).layout == "plots":
        assert spearmanr(shares, plan_world(seed).shares_C).statistic > 0.5
    if plan_world(seed).layout in ("cells", "lines"):
        assert shares[GROUND] > 0.5


@pytest.mark.parametrize("seed", range(8))
def test_label_maps_lie_on_what_the_image_shows(seed: int) -> None:
    """Colours vary less within a class where the label map is than under the label map of another image."""
    source, own, other = world(seed), 0.0, 0.0
    for n in range(0, 24, 2):
        image = source.image(n).astype(float)
        own, other = own + within(image, source.label_map(n)), other + within(image, source.label_map((n + 9) % 24))
    assert own < 0.97 * other


def within(image: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance of pixels from the mean colour of their class."""
    known = labels != IGNORE
    return float(
        np.sum([image[labels == k].var(axis=0).sum() * (labels == k).sum() for k in np.unique(labels[known])])
        / known.sum()
    )


@pytest.mark.parametrize("seed", [0, 4, 8, 12])
def test_images_of_a_series_hold_its_classes_alone_and_the_next_series_has_others(seed: int) -> None:
    drawn, source, met = plan_world(seed), shapes_dataset(seed, *SIZE).splits["state"], list[set[int]]()
    for series in range(6):
        there = set(np.flatnonzero(plan_series(drawn, series).shares_C).tolist())
        for n in range(series * SERIES, (series + 1) * SERIES):
            if n < len(source):
                assert set(np.unique(source.label_map(n)).tolist()) <= there | {IGNORE}
        met.append(there)
    assert any(each != met[0] for each in met)


def test_the_two_nearest_sites_are_those_of_a_sort() -> None:
    rng = np.random.default_rng(0)
    points, sites = rng.random((7, 9, 2)).astype(np.float32), rng.random((12, 2))
    far = np.hypot(*np.moveaxis(points[:, :, None] - sites.astype(np.float32), -1, 0))
    order = np.argsort(far, axis=-1)
    for place, (who, distance) in enumerate(_two_nearest(points, sites)):
        np.testing.assert_array_equal(who, order[..., place])
        np.testing.assert_allclose(distance, np.take_along_axis(far, order[..., place : place + 1], -1)[..., 0])


def test_what_cannot_be_drawn_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="The seed of a world cannot be negative, got -1"):
        shapes_dataset(-1)
    with pytest.raises(ValueError, match="Shapes have no split pol; there are state, train"):
        shapes_dataset(0, counts={"pol": 3})
    with pytest.raises(ValueError, match="at least one pixel, got 0 x 5"):
        shapes_dataset(0, 0, 5)
