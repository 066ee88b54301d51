"""State and action rows against a region-by-region computation with numpy and torch's own adaptive pooling."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from models import cutting
from models.features import STATISTICS, RegionRows, action_rows, region_rows, state_rows
from models.similarity import kl_histogram

CLASSES = 5


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_maps(images: int, height: int, width: int, *, classes: int = CLASSES, seed: int = 0) -> dict[str, Tensor]:
    generator = seeded(seed)
    maps = {name: torch.rand(images, height, width, generator=generator) for name in ("entropy", "margin", "bvsb")}
    drawn = torch.randint(0, classes, (images, height, width), generator=generator).to(torch.uint8)
    return {**maps, "bald": torch.rand(images, height, width, generator=generator), "classes": drawn}


def grid(height: int, width: int, cell_height: int, cell_width: int) -> Tensor:
    tops, lefts = range(0, height, cell_height), range(0, width, cell_width)
    return torch.tensor(
        [(top, left, min(cell_height, height - top), min(cell_width, width - left)) for top in tops for left in lefts]
    )


def plain_rows(maps: dict[str, Tensor], boxes: list[Tensor], classes: int = CLASSES) -> Tensor:
    rows = []
    for image, of_image in enumerate(boxes):
        for top, left, height, width in of_image.tolist():
            area = (image, slice(top, top + height), slice(left, left + width))
            present, counts = np.unique(maps["classes"][area].numpy(), return_counts=True)
            histogram = torch.zeros(classes)
            histogram[torch.from_numpy(present).long()] = torch.from_numpy(counts / (height * width)).float()
            entropy = maps["entropy"][area][None, None]
            pools = (-F.adaptive_max_pool2d(-entropy, 8), F.adaptive_avg_pool2d(entropy, 8))
            rows.append(
                torch.cat([histogram, *(p.flatten() for p in pools), F.adaptive_max_pool2d(entropy, 8).flatten()])
            )
    return torch.stack(rows) if rows else torch.zeros(0, classes + 192)


def assert_rows_are_plain(maps: dict[str, Tensor], boxes: list[Tensor], classes: int = CLASSES) -> None:
    rows = region_rows(maps, boxes, class_count=classes)
    torch.testing.assert_close(state_rows(rows), plain_rows(maps, boxes, classes), rtol=0, atol=2e-6)


class TestRegionRows:
    @pytest.mark.parametrize("cell", [(90, 80), (8, 8), (7, 9), (3, 5), (1, 1), (17, 64), (128, 4)])
    def test_they_are_those_of_unique_and_adaptive_pooling_region_by_region(self, cell: tuple[int, int]) -> None:
        maps = some_maps(2, 130, 170)
        corner = torch.tensor([[130 - cell[0], 170 - cell[1], *cell], [0, 0, *cell], [1, 2, *cell]])
        assert_rows_are_plain(maps, [corner, corner.flip(0)[:2]])

    def test_edge_cells_cut_short_keep_their_places_among_the_others(self) -> None:
        boxes = grid(100, 110, 30, 40)
        assert len({tuple(size) for size in boxes[:, 2:].tolist()}) == 4
        order = torch.randperm(len(boxes), generator=seeded(0))
        assert_rows_are_plain(some_maps(3, 100, 110), [boxes, boxes[order], boxes[order][:5]])

    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.integers(0, 10**6), st.data())
    @settings(max_examples=60, deadline=None)
    def test_any_boxes_in_any_images_will_do(
        self, height: int, width: int, images: int, seed: int, data: st.DataObject
    ) -> None:
        boxes = []
        for _ in range(images):
            drawn = []
            for _ in range(data.draw(st.integers(0, 4))):
                box_height, box_width = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
                top = data.draw(st.integers(0, height - box_height))
                left = data.draw(st.integers(0, width - box_width))
                drawn.append((top, left, box_height, box_width))
            boxes.append(torch.tensor(drawn, dtype=torch.int64).view(-1, 4))
        assert_rows_are_plain(some_maps(images, height, width, seed=seed), boxes)

    def test_the_class_part_is_the_share_of_each_class(self) -> None:
        maps = {"entropy": torch.zeros(1, 2, 4), "classes": torch.tensor([[[0, 0, 2, 2], [1, 0, 2, 2]]]).byte()}
        boxes = torch.tensor([[0, 0, 2, 2], [0, 2, 2, 2]])
        rows = region_rows(maps, [boxes], class_count=4)
        assert rows.class_part_RC.tolist() == [[0.75, 0.25, 0, 0], [0, 0, 1, 0]]

    def test_the_uncertainty_part_is_minima_then_means_then_maxima_row_by_row(self) -> None:
        entropy = torch.arange(256.0).view(1, 16, 16) / 256  # each bin is 2 x 2: v, v + 1, v + 16, v + 17
        maps = {"entropy": entropy, "classes": torch.zeros(1, 16, 16, dtype=torch.uint8)}
        rows = region_rows(maps, [torch.tensor([[0, 0, 16, 16]])], class_count=2)
        low, mean, high = rows.uncertainty_RU[0].mul(256).view(3, 8, 8)
        assert (low[0, 1], mean[0, 1], high[0, 1]) == (2, 2 + 34 / 4, 2 + 17)
        assert (low[7, 0], mean[7, 0], high[7, 0]) == (224, 224 + 34 / 4, 224 + 17)

    @pytest.mark.parametrize("pixels", [1, 100, 1000])
    def test_how_regions_are_cut_into_pieces_changes_nothing(
        self, pixels: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(cutting._REGION_PIXELS, "cpu", pixels)
        assert_rows_are_plain(some_maps(2, 50, 60), [grid(50, 60, 12, 13)] * 2)

    def test_more_regions_than_short_integers_can_number_are_counted_right(self) -> None:
        assert_rows_are_plain(some_maps(1, 60, 60, classes=11), [grid(60, 60, 1, 1)], classes=11)

    def test_statistics_are_sums_and_means_over_the_region(self) -> None:
        maps, box = some_maps(2, 20, 30), torch.tensor([[3, 4, 5, 6], [0, 0, 20, 30]])
        rows = region_rows(maps, [box[:1], box], class_count=CLASSES, statistics=tuple(STATISTICS))
        crop = {name: map_[1, 3:8, 4:10].double() for name, map_ in maps.items()}
        expected = {
            "entropy_sum": crop["entropy"].sum(),
            "entropy_mean": crop["entropy"].mean(),
            "margin_mean": crop["margin"].mean(),
            "bvsb_mean": crop["bvsb"].mean(),
            "bald_sum": crop["bald"].sum(),
        }
        assert set(rows.statistics) == set(expected)
        for name, value in expected.items():
            assert rows.statistics[name][1].item() == pytest.approx(value.item(), rel=1e-5)

    def test_only_statistics_asked_for_are_computed(self) -> None:
        rows = region_rows(some_maps(1, 8, 8), [torch.tensor([[0, 0, 8, 8]])], class_count=CLASSES)
        assert rows.statistics == {}

    def test_images_without_regions_have_no_rows(self) -> None:
        none = torch.zeros(0, 4, dtype=torch.int64)
        rows = region_rows(some_maps(2, 8, 8), [none, none], class_count=CLASSES, statistics=("entropy_sum",))
        assert (rows.class_part_RC.shape, rows.uncertainty_RU.shape) == ((0, CLASSES), (0, 192))
        assert rows.statistics["entropy_sum"].shape == (0,)

    @pytest.mark.parametrize("box", [(-1, 0, 4, 4), (0, -1, 4, 4), (5, 0, 4, 4), (0, 7, 4, 4), (0, 0, 0, 4)])
    def test_a_box_that_leaves_its_image_is_refused(self, box: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"is not within 8 x 10 pixels"):
            region_rows(some_maps(2, 8, 10), [torch.tensor([[0, 0, 8, 10], box])] * 2, class_count=CLASSES)

    def test_entropies_that_are_not_numbers_are_refused(self) -> None:
        maps = some_maps(1, 8, 8)
        maps["entropy"][0, 3, 3] = math.nan
        with pytest.raises(ValueError, match="predictions are not finite"):
            region_rows(maps, [torch.tensor([[0, 0, 8, 8]])], class_count=CLASSES)

    def test_a_class_that_there_is_not_is_refused_rather_than_counted_for_another_region(self) -> None:
        maps = some_maps(1, 8, 8)
        maps["classes"][0, 3, 3] = CLASSES
        with pytest.raises(ValueError, match="not among 0 to 4"):
            region_rows(maps, [torch.tensor([[0, 0, 8, 8]])], class_count=CLASSES)

    def test_an_unknown_statistic_is_refused_and_the_known_ones_named(self) -> None:
        with pytest.raises(ValueError, match="no statistic entropy; there are entropy_sum, entropy_mean"):
            region_rows(some_maps(1, 8, 8), [grid(8, 8, 8, 8)], class_count=CLASSES, statistics=("entropy",))

    def test_rows_taken_apart_and_put_together_are_the_same(self) -> None:
        rows = region_rows(some_maps(1, 30, 30), [grid(30, 30, 10, 10)], class_count=CLASSES, statistics=("bald_sum",))
        again = RegionRows.cat([rows[:4], rows[torch.tensor([4, 5])], rows[6:]])
        assert len(again) == 9
        assert torch.equal(state_rows(again), state_rows(rows))
        assert torch.equal(again.statistics["bald_sum"], rows.statistics["bald_sum"])

    def test_vectors_are_taken_apart_and_put_together_with_their_rows(self) -> None:
        rows = region_rows(some_maps(1, 30, 30), [grid(30, 30, 10, 10)], class_count=CLASSES)
        rows = replace(rows, vectors={"embedding": torch.rand(9, 4, generator=seeded(0))})
        again = RegionRows.cat([rows[torch.tensor([8, 0])], rows[1:8]])
        assert torch.equal(again.vectors["embedding"], rows.vectors["embedding"][[8, 0, *range(1, 8)]])


class TestStateAndActionRows:
    @pytest.fixture
    def rows(self) -> RegionRows:
        return region_rows(some_maps(2, 40, 40), [grid(40, 40, 10, 10)] * 2, class_count=CLASSES)

    def test_a_state_row_is_the_class_part_then_the_uncertainty_part(self, rows: RegionRows) -> None:
        assert torch.equal(state_rows(rows), torch.cat([rows.class_part_RC, rows.uncertainty_RU], 1))

    def test_an_action_row_ends_with_similarity_to_the_labelled_and_to_the_other_candidates(
        self, rows: RegionRows
    ) -> None:
        labelled = torch.rand(7, CLASSES, generator=seeded(0))
        labelled /= labelled.sum(1, keepdim=True)
        actions = action_rows(rows, labelled)
        own, to_labelled, to_others = actions.split([CLASSES + 192, 32, 32], 1)
        assert torch.equal(own, state_rows(rows))
        assert torch.equal(to_labelled, kl_histogram(rows.class_part_RC, labelled))
        assert torch.equal(to_others, kl_histogram(rows.class_part_RC, rows.class_part_RC, leave_self_out=True))

    def test_nothing_labelled_and_no_other_candidates_are_zeros(self, rows: RegionRows) -> None:
        actions = action_rows(rows[:1], torch.zeros(0, CLASSES))
        assert torch.equal(actions[:, CLASSES + 192 :], torch.zeros(1, 64))
