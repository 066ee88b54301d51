"""The synthetic streets: the same scene whenever and however large it is drawn, with CamVid's classes in its shares."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.classes import CAMVID, IGNORE
from workers.datasets.streets import STYLES, Streets, source, streets_dataset
from workers.datasets.streets.camera import Camera, View
from workers.datasets.streets.dice import Dice
from workers.datasets.streets.scene import draw_scene

# Shares of all pixels in the 367 images of CamVid's folder train, in the order of CAMVID.
CAMVID_SHARES = (0.169, 0.233, 0.010, 0.317, 0.045, 0.097, 0.012, 0.011, 0.059, 0.006, 0.003)


@pytest.fixture(scope="module", params=sorted(STYLES))
def small_label_maps(request: pytest.FixtureRequest) -> np.ndarray:
    """150 label maps of 90 x 120 in one style."""
    scenes = Streets(150, 3, 90, 120, request.param)
    return np.stack([scenes.label_map(number) for number in range(len(scenes))])


class TestDeterminism:
    def test_a_scene_is_the_same_whatever_was_drawn_before_it(self) -> None:
        straight, shuffled = Streets(8, 5, 60, 80), Streets(8, 5, 60, 80)
        first = [(straight.image(n), straight.label_map(n)) for n in range(8)]
        for n in (7, 0, 7, 3, 5, 1, 2, 4, 6, 0):
            assert np.array_equal(shuffled.image(n), first[n][0])
            assert np.array_equal(shuffled.label_map(n), first[n][1])

    def test_numbers_seeds_and_styles_give_different_scenes(self) -> None:
        scenes = [Streets(2, 5, 60, 80), Streets(2, 6, 60, 80), Streets(2, 5, 60, 80, "dusk")]
        images = [each.image(n) for each in scenes for n in range(2)]
        assert all(np.abs(a.astype(int) - b).mean() > 5 for i, a in enumerate(images) for b in images[:i])

    def test_a_source_can_start_at_a_later_scene(self) -> None:
        assert np.array_equal(Streets(1, 5, 60, 80, first=4).image(0), Streets(5, 5, 60, 80).image(4))
        assert Streets(1, 5, first=4).name(0) == Streets(5, 5).name(4)

    def test_image_and_label_map_draw_the_scene_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn: list[tuple[Any, ...]] = []

        def drawing(*scene: Any) -> Any:
            drawn.append(scene)
            return draw_scene(*scene)

        monkeypatch.setattr(source, "draw_scene", drawing)
        scenes = Streets(3, 0, 32, 48)
        for number in (0, 1, 2):
            scenes.image(number)
        for number in (0, 1, 2):
            scenes.label_map(number)
        assert len(drawn) == 3

    def test_what_it_keeps_cannot_be_changed_by_a_caller(self) -> None:
        scenes = Streets(1, 0, 32, 48)
        with pytest.raises(ValueError, match="read-only"):
            scenes.image(0)[:] = 0
        with pytest.raises(ValueError, match="read-only"):
            scenes.label_map(0)[:] = 0


class TestSizes:
    @pytest.mark.parametrize("size", [(32, 48), (33, 47), (360, 480), (7, 200), (300, 9), (1, 1), (600, 1300)])
    def test_any_size_can_be_drawn(self, size: tuple[int, int]) -> None:
        scenes = Streets(3, 1, *size)
        for number in range(3):
            image, labels = scenes.image(number), scenes.label_map(number)
            assert scenes.size(number) == labels.shape == size
            assert image.shape == (*size, 3)
            assert image.dtype == labels.dtype == np.uint8
            assert set(np.unique(labels).tolist()) <= {*range(len(CAMVID)), IGNORE}

    @pytest.mark.parametrize("style", sorted(STYLES))
    def test_another_size_shows_the_same_scene(self, style: str) -> None:
        small, large = Streets(6, 2, 90, 120, style), Streets(6, 2, 360, 480, style)
        for number in range(6):
            blocks = large.image(number).reshape(90, 4, 120, 4, 3).mean(axis=(1, 3))
            off = [np.abs(blocks - small.image(other)).mean() for other in range(6)]
            assert off[number] < 0.6 * min(off[:number] + off[number + 1 :])
            assert (large.label_map(number)[2::4, 2::4] == small.label_map(number)).mean() > 0.88

    def test_a_wider_image_shows_more_at_the_sides(self) -> None:
        narrow, wide = Streets(4, 2, 90, 120), Streets(4, 2, 90, 200)
        for number in range(4):
            middle = wide.label_map(number)[:, 40:160]
            assert (middle == narrow.label_map(number)).mean() > 0.95


class TestContents:
    def test_class_shares_are_within_a_factor_of_two_of_camvids(self, small_label_maps: np.ndarray) -> None:
        counts = np.bincount(small_label_maps.ravel(), minlength=256)
        ratios = counts[: len(CAMVID)] / counts.sum() / CAMVID_SHARES
        assert dict(zip(CAMVID.names, np.maximum(ratios, 1 / ratios) < 2, strict=True)) == dict.fromkeys(
            CAMVID.names, True
        )

    def test_few_pixels_are_in_no_class(self, small_label_maps: np.ndarray) -> None:
        assert 0 < (small_label_maps == IGNORE).mean() < 0.03

    def test_every_class_is_in_many_scenes(self, small_label_maps: np.ndarray) -> None:
        present = [(small_label_maps == index).any(axis=(1, 2)).mean() for index in range(len(CAMVID))]
        assert min(present) > 0.3
        assert present[CAMVID.names.index("Road")] == 1

    def test_sky_is_above_and_road_below(self, small_label_maps: np.ndarray) -> None:
        rows = np.broadcast_to(np.arange(90)[:, None], small_label_maps.shape[1:])
        mean_row = {name: rows[np.nonzero(small_label_maps == k)[1:]].mean() for k, name in enumerate(CAMVID.names)}
        assert mean_row["Sky"] < mean_row["Building"] < mean_row["Car"] < mean_row["Road"]
        assert not (small_label_maps[:, :5] == CAMVID.names.index("Road")).any()

    def test_label_maps_lie_on_what_the_image_shows(self) -> None:
        """Colours vary least within a class where the label map is, and more under a label map moved by 8 pixels."""
        scenes = Streets(12, 9, 180, 240)
        core = (slice(8, -8), slice(8, -8))
        better = 0
        for number in range(12):
            image, labels = scenes.image(number)[core].astype(float), scenes.label_map(number)
            shifts = [(0, 0), (0, 8), (0, -8), (8, 0), (-8, 0)]
            spreads = [_spread(image, np.roll(labels, shift, axis=(0, 1))[core]) for shift in shifts]
            better += spreads[0] == min(spreads)
        assert better >= 11

    def test_scenes_differ_in_light_and_layout(self) -> None:
        scenes = Streets(20, 4, 60, 80)
        brightness = [scenes.image(n).mean() for n in range(20)]
        road = [(scenes.label_map(n) == CAMVID.names.index("Road")).mean() for n in range(20)]
        assert np.std(brightness) > 12
        assert np.std(road) > 0.03

    def test_the_styles_are_two_domains(self) -> None:
        day, dusk = (Streets(12, 4, 60, 80, style) for style in ("day", "dusk"))
        levels = [np.mean([each.image(n).mean() for n in range(12)]) for each in (day, dusk)]
        assert levels[0] > levels[1] + 15


def _spread(image: np.ndarray, labels: np.ndarray) -> float:
    return sum(float(((image[labels == k] - image[labels == k].mean(axis=0)) ** 2).sum()) for k in np.unique(labels))


class TestDataset:
    def test_splits_have_the_counts_asked_for_and_share_no_scene(self) -> None:
        counts = {"source": 4, "state": 2, "train": 3, "reward": 2, "pool": 5, "test": 2}
        dataset = streets_dataset(7, 32, 48, counts)
        assert {split: len(images) for split, images in dataset.splits.items()} == counts
        names = [images.name(n) for images in dataset.splits.values() for n in range(len(images))]
        assert len(set(names)) == sum(counts.values())
        pictures = [images.image(n).tobytes() for images in dataset.splits.values() for n in range(len(images))]
        assert len(set(pictures)) == sum(counts.values())
        assert dataset.classes is CAMVID

    def test_the_target_is_another_city_than_the_source(self) -> None:
        dataset = streets_dataset(7, 32, 48, {"source": 1})
        styles = {split: images.name(0).split("_")[0] for split, images in dataset.splits.items()}
        assert styles.pop("source") == "day"
        assert set(styles.values()) == {"dusk"}

    def test_an_unknown_split_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no split holdout; there are source"):
            streets_dataset(7, counts={"holdout": 3})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style": "noon"}, "no street style 'noon'; there are day, dusk"),
        ({"count": -1}, "cannot be negative"),
        ({"seed": -1}, "cannot be negative"),
        ({"height": 0}, "at least one pixel"),
    ],
)
def test_senseless_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Streets(**{"count": 1, "seed": 0, **arguments})


@pytest.mark.parametrize("number", [-1, 2])
def test_a_scene_beyond_the_count_is_an_index_error(number: int) -> None:
    scenes = Streets(2, 0, 32, 48)
    for ask in (scenes.image, scenes.label_map, scenes.name, scenes.size):
        with pytest.raises(IndexError):
            ask(number)


class TestCamera:
    def test_a_level_camera_projects_by_similar_triangles(self) -> None:
        view = View(focal=1.2, horizon=0.5, pan=0.0, roll=0.0, eye=1.5, x=-1.0, curve=0.0)
        camera = Camera(view, 100, 200)
        # 120 pixels of focal length; a point 3 m right of the camera, 1 m below its eye, 6 m ahead
        assert camera.outline([(2.0, 0.5, 6.0)]) == pytest.approx([100 + 120 * 3 / 6, 50 + 120 * 1 / 6])
        assert camera.pixels(0.5, 6.0) == pytest.approx(10)

    @given(
        st.floats(-0.02, 0.02), st.floats(-0.003, 0.003), st.floats(-0.2, 0.2), st.integers(0, 39), st.integers(0, 59)
    )
    def test_ground_gives_back_the_pixel_that_a_ground_point_projects_to(
        self, roll: float, curve: float, pan: float, row: int, col: int
    ) -> None:
        view = View(focal=1.2, horizon=0.5, pan=pan, roll=roll, eye=1.5, x=-1.0, curve=curve)
        camera = Camera(view, 40, 60)
        top = camera.ground_top()
        x, z = camera.ground()
        if row < top or z[row - top, col] > 60:
            return
        point = (float(x[row - top, col]), 0.0, float(z[row - top, col]))
        assert camera.outline([point]) == pytest.approx([col + 0.5, row + 0.5], abs=0.05)
        assert camera.project([point])[0] == pytest.approx(camera.outline([point]))


class TestDice:
    def test_weights_are_kept_to(self) -> None:
        dice = Dice(np.random.default_rng(0))
        draws = [dice.weighted((("a", 3), ("b", 1))) for _ in range(4000)]
        assert draws.count("a") / 4000 == pytest.approx(0.75, abs=0.03)

    def test_whole_numbers_include_both_ends(self) -> None:
        dice = Dice(np.random.default_rng(0))
        assert {dice.whole(2, 4) for _ in range(200)} == {2, 3, 4}
