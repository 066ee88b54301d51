"""Descriptions of whole images: one forward pass, its pixel maps, and rows, statistics and vectors of regions."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from models import features
from models.features import ImageDescription, RegionRows, describe, embeddings, state_rows
from models.influence import Influence
from models.segmenter import Segmenter, build
from models.uncertainty import pixel_maps
from tests.models.test_features import CLASSES, grid, plain_rows, seeded


class Counting(Segmenter):
    """A segmenter that counts the images it encodes and classifies."""

    encoded = classified = 0

    def encode(self, images: Tensor) -> Tensor:
        self.encoded += len(images)
        return super().encode(images)

    def classify(self, features: Tensor, size: tuple[int, int], generator: torch.Generator | None = None) -> Tensor:
        self.classified += len(features)
        return super().classify(features, size, generator)


class TestDescribe:
    size = (40, 48)

    @pytest.fixture
    def segmenter(self) -> Counting:
        segmenter = build("fpn", classes=CLASSES, width=4, dropout=0.5, generator=seeded(3)).train()
        with torch.no_grad():
            segmenter(torch.randint(0, 256, (2, 3, *self.size), dtype=torch.uint8, generator=seeded(9)))
        segmenter.__class__ = Counting
        return cast(Counting, segmenter)

    @pytest.fixture
    def images(self) -> Tensor:
        return torch.randint(0, 256, (5, 3, *self.size), dtype=torch.uint8, generator=seeded(1))

    @pytest.fixture
    def boxes(self) -> list[Tensor]:
        cells = grid(*self.size, 15, 20)
        return [cells, cells[:0], cells[2:5], cells[:1], cells.flip(0)]

    def test_it_is_the_forward_pass_its_pixel_maps_and_their_rows(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        descriptions = describe(segmenter, images, boxes, statistics=("entropy_sum", "bvsb_mean"))
        with torch.no_grad():
            logits = segmenter.eval()(images)
        maps = pixel_maps(logits, ("entropy", "classes", "bvsb"))
        expected = plain_rows(maps, boxes)
        torch.testing.assert_close(state_rows(RegionRows.cat([d.rows for d in descriptions])), expected)
        assert [len(d.rows) for d in descriptions] == [len(of_image) for of_image in boxes]
        assert torch.equal(torch.stack([d.classes_HW for d in descriptions]), maps["classes"])
        top, left, height, width = boxes[2][1].tolist()
        crop = (2, slice(top, top + height), slice(left, left + width))
        assert descriptions[2].rows.statistics["entropy_sum"][1].item() == pytest.approx(
            maps["entropy"][crop].sum().item(), rel=1e-4
        )
        assert descriptions[2].rows.statistics["bvsb_mean"][1].item() == pytest.approx(
            maps["bvsb"][crop].mean().item(), rel=1e-4
        )

    @pytest.mark.parametrize("statistics", [(), ("margin_mean", "entropy_mean"), ("bald_sum",)])
    def test_each_image_is_encoded_once_whatever_is_asked(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor], statistics: tuple[str, ...]
    ) -> None:
        describe(segmenter, images, boxes, statistics=statistics, generator=seeded(0))
        assert segmenter.encoded == 5
        assert segmenter.classified == 5 * (21 if statistics == ("bald_sum",) else 1)

    @pytest.mark.parametrize("at_once", [1, 2, 5, 100])
    def test_how_many_images_are_taken_at_once_changes_nothing(
        self,
        segmenter: Counting,
        images: Tensor,
        boxes: list[Tensor],
        at_once: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def described(count: int) -> list[ImageDescription]:
            monkeypatch.setattr(features, "_images_at_once", lambda size: count)
            return describe(segmenter, images, boxes, statistics=("bald_sum", "entropy_sum"), generator=seeded(4))

        one, some = described(1), described(at_once)
        assert len(one) == len(some) == 5
        for first, other in zip(one, some, strict=True):
            torch.testing.assert_close(state_rows(first.rows), state_rows(other.rows), rtol=0, atol=1e-3)
            for name in ("bald_sum", "entropy_sum"):
                torch.testing.assert_close(first.rows.statistics[name], other.rows.statistics[name], rtol=1e-3, atol=0)

    def test_the_segmenter_is_left_as_it_was_and_nothing_can_be_differentiated(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        segmenter.decoder.eval()
        modes = [module.training for module in segmenter.modules()]
        values = {name: value.clone() for name, value in segmenter.state_dict().items()}
        pixels, random = images.clone(), torch.get_rng_state()
        rows = describe(segmenter, images, boxes, statistics=("bald_sum",), generator=seeded(0))[0].rows
        assert [module.training for module in segmenter.modules()] == modes
        assert all(torch.equal(value, values[name]) for name, value in segmenter.state_dict().items())
        assert torch.equal(images, pixels)
        assert torch.equal(torch.get_rng_state(), random)
        assert not rows.uncertainty_RU.requires_grad

    def test_dropout_and_batch_statistics_do_not_enter_the_rows(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        training = describe(segmenter.train(), images, boxes, statistics=("bald_sum",), generator=seeded(0))
        evaluating = describe(segmenter.eval(), images, boxes)
        for first, other in zip(training, evaluating, strict=True):
            assert torch.equal(state_rows(first.rows), state_rows(other.rows))

    def test_bald_without_a_generator_is_refused(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        with pytest.raises(ValueError, match="it needs a generator"):
            describe(segmenter, images, boxes, statistics=("bald_sum",))

    def test_a_diverged_segmenter_is_refused(self, segmenter: Counting, images: Tensor, boxes: list[Tensor]) -> None:
        assert segmenter.classifier.bias is not None
        with torch.no_grad():
            segmenter.classifier.bias[0] = math.nan
        with pytest.raises(ValueError, match="it has diverged, or its checkpoint is damaged"):
            describe(segmenter, images, boxes)

    def test_boxes_of_fewer_images_are_refused(self, segmenter: Counting, images: Tensor, boxes: list[Tensor]) -> None:
        with pytest.raises(ValueError, match="5 images came with the boxes of 4"):
            describe(segmenter, images, boxes[:4])

    def test_class_mass_is_the_mean_softmax_over_the_region_s_pixels(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        odd = [torch.tensor([[1, 3, 7, 11], [0, 0, 40, 48], [39, 47, 1, 1], [1, 3, 7, 2]]), *boxes[1:]]
        rows = RegionRows.cat([each.rows for each in describe(segmenter, images, odd, vectors={"class_mass"})])
        with torch.no_grad():
            softmax = segmenter.eval()(images).double().softmax(1)
        expected = [
            softmax[image, :, top : top + height, left : left + width].mean((1, 2))
            for image, of_image in enumerate(odd)
            for top, left, height, width in of_image.tolist()
        ]
        assert rows.vectors["class_mass"].dtype == torch.float32
        torch.testing.assert_close(rows.vectors["class_mass"].double(), torch.stack(expected), rtol=0, atol=2e-6)
        torch.testing.assert_close(rows.vectors["class_mass"].sum(1), torch.ones(len(expected)))

    def test_an_embedding_is_the_mean_of_the_features_whose_centres_lie_in_the_region(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        # Centres of features are 2, 6, 10, ... pixels from the edge. Three regions hold none: the feature around them.
        odd = [torch.tensor([[2, 3, 4, 9], [3, 7, 2, 20], [11, 3, 3, 3], [39, 47, 1, 1]]), *boxes[1:]]
        rows = describe(segmenter, images, odd, vectors={"embedding"})[0].rows
        with torch.no_grad():
            features = segmenter.eval().encode(images[:1])[0]
        expected = [features[:, 0:1, 1:3], features[:, 1:2, 2:7], features[:, 3:4, 1:2], features[:, 9:10, 11:12]]
        expected_mean = torch.stack([each.mean((1, 2)) for each in expected])
        torch.testing.assert_close(rows.vectors["embedding"], expected_mean, rtol=1e-5, atol=1e-6)

    def test_embeddings_alone_are_those_of_a_description_without_classifying(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        described = RegionRows.cat([each.rows for each in describe(segmenter, images, boxes, vectors={"embedding"})])
        segmenter.encoded = segmenter.classified = 0
        assert torch.equal(embeddings(segmenter, images, boxes), described.vectors["embedding"])
        assert (segmenter.encoded, segmenter.classified) == (5, 0)
        with pytest.raises(ValueError, match="is not within 40 x 48 pixels"):
            embeddings(segmenter, images[:1], [torch.tensor([[30, 0, 15, 8]])])

    def test_vectors_cost_no_further_pass_and_change_nothing_else(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        plain = RegionRows.cat([each.rows for each in describe(segmenter, images, boxes)])
        segmenter.encoded = segmenter.classified = 0
        both = describe(segmenter, images, boxes, vectors=("embedding", "class_mass"))
        rows = RegionRows.cat([each.rows for each in both])
        assert (segmenter.encoded, segmenter.classified) == (5, 5)
        assert torch.equal(state_rows(rows), state_rows(plain))
        assert (plain.vectors, set(rows.vectors)) == ({}, {"embedding", "class_mass"})

    def test_an_unknown_vector_is_refused_and_the_known_ones_named(
        self, segmenter: Counting, images: Tensor, boxes: list[Tensor]
    ) -> None:
        with pytest.raises(ValueError, match="no vector colour; there are class_mass, embedding, influence"):
            describe(segmenter, images, boxes, vectors={"colour"})

    def test_an_influence_is_the_mean_over_the_cells_whose_centres_lie_in_the_region(
        self, segmenter: Counting, images: Tensor
    ) -> None:
        known = Influence(direction_DC=torch.randn(segmenter.classifier.in_channels + 1, CLASSES, generator=seeded(2)))
        rows = describe(segmenter, images[:1], [torch.tensor([[5, 0, 13, 9]])], vectors={"influence"}, influence=known)
        hidden = segmenter.eval().encode(images[:1])[0, :, 1:4, :2].flatten(1).T
        expected = known.expected(hidden, segmenter.classifier(hidden.T[None, :, None])[0, :, 0].T.softmax(1)).mean(0)
        torch.testing.assert_close(rows[0].rows.vectors["influence"][0], expected, rtol=1e-4, atol=1e-6)
        with pytest.raises(ValueError, match="needs what labels are worth"):
            describe(segmenter, images[:1], [torch.tensor([[5, 0, 13, 9]])], vectors={"influence"})

    def test_no_images_give_no_descriptions(self, segmenter: Counting, images: Tensor) -> None:
        assert describe(segmenter, images[:0], []) == []
