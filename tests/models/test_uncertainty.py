"""Pixel maps against scipy in float64 and values worked out by hand; BALD against its definition, pass by pass."""

import math
from typing import cast

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import uncertainty
from models.segmenter import Segmenter, build
from models.uncertainty import bald_map, entropy_and_classes, pixel_maps

ALL = ("entropy", "margin", "bvsb", "classes", "mass")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_logits(*shape: int, scale: float = 3.0, seed: int = 0) -> Tensor:
    return scale * torch.randn(*shape, generator=seeded(seed))


def one_pixel(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities).log().view(1, -1, 1, 1)


class TestEntropyAndClasses:
    @pytest.mark.parametrize("scale", [1e-3, 3.0, 40.0])
    def test_they_are_scipy_s_entropy_over_ln_c_and_numpy_s_argmax(self, scale: float) -> None:
        logits = some_logits(3, 11, 13, 17, scale=scale)
        entropy, classes = entropy_and_classes(logits)
        probabilities = logits.double().softmax(1).numpy()
        np.testing.assert_allclose(entropy, scipy.stats.entropy(probabilities, axis=1) / math.log(11), atol=2e-6)
        np.testing.assert_array_equal(classes, logits.numpy().argmax(1))
        assert (entropy.dtype, classes.dtype) == (torch.float32, torch.uint8)

    @pytest.mark.parametrize(
        ("probabilities", "expected"),
        [
            ((0.25, 0.25, 0.25, 0.25), 1.0),
            ((0.5, 0.25, 0.25), 1.5 / math.log2(3)),
            ((1.0 - 1e-30, 1e-30), 0.0),
        ],
    )
    def test_entropies_worked_out_by_hand(self, probabilities: tuple[float, ...], expected: float) -> None:
        assert entropy_and_classes(one_pixel(*probabilities))[0].item() == pytest.approx(expected, abs=1e-6)

    def test_of_equal_logits_the_first_class_is_taken(self) -> None:
        logits = torch.tensor([[2.0, 5.0, 5.0, 1.0], [7.0, 7.0, 7.0, 7.0], [0.0, 0.0, 1.0, 1.0]]).T.view(1, 4, 1, 3)
        assert entropy_and_classes(logits)[1].tolist() == [[[1, 0, 2]]]

    @pytest.mark.parametrize("classes", [2, 19, 255])
    def test_any_class_from_first_to_last_can_be_predicted(self, classes: int) -> None:
        logits = torch.eye(classes).view(1, classes, 1, classes)
        assert entropy_and_classes(logits)[1].flatten().tolist() == list(range(classes))

    @pytest.mark.parametrize("classes", [1, 256])
    def test_classes_that_do_not_fit_are_refused(self, classes: int) -> None:
        with pytest.raises(ValueError, match=f"2 to 255 classes can be told apart, not {classes}"):
            entropy_and_classes(torch.zeros(1, classes, 2, 2))

    @given(st.integers(2, 20), st.floats(0, 60), st.floats(-1e3, 1e3), st.integers(0, 10**6))
    @settings(max_examples=60, deadline=None)
    def test_entropy_is_a_share_and_adding_to_all_logits_changes_little(
        self, classes: int, scale: float, added: float, seed: int
    ) -> None:
        logits = some_logits(1, classes, 4, 5, scale=scale, seed=seed)
        entropy = entropy_and_classes(logits)[0]
        assert (entropy >= -1e-6).all()
        assert (entropy <= 1 + 1e-6).all()
        torch.testing.assert_close(entropy_and_classes(logits + added)[0], entropy, rtol=0, atol=2e-3)

    @pytest.mark.parametrize("wrong", [math.nan, math.inf])
    def test_logits_that_are_not_finite_do_not_pass_for_entropies(self, wrong: float) -> None:
        logits = some_logits(1, 3, 2, 2)
        logits[0, 1, 0, 1] = wrong
        maps = pixel_maps(logits, ALL)
        assert maps["entropy"].isnan().flatten().tolist() == [False, True, False, False]
        assert (maps["classes"] < 3).all()


class TestPixelMaps:
    def test_margin_and_best_versus_second_best_are_of_the_two_largest_probabilities(self) -> None:
        logits = some_logits(2, 11, 13, 17)
        maps = pixel_maps(logits, ("margin", "bvsb"))
        first, second = logits.double().softmax(1).topk(2, dim=1).values.unbind(1)
        assert set(maps) == {"margin", "bvsb"}
        torch.testing.assert_close(maps["margin"].double(), first - second, rtol=0, atol=1e-6)
        torch.testing.assert_close(maps["bvsb"].double(), second / first, rtol=0, atol=1e-6)

    def test_they_are_those_worked_out_by_hand(self) -> None:
        maps = pixel_maps(one_pixel(0.1, 0.7, 0.2), ("margin", "bvsb"))
        assert maps["margin"].item() == pytest.approx(0.5)
        assert maps["bvsb"].item() == pytest.approx(2 / 7)

    def test_two_classes_that_share_the_first_place_have_no_margin(self) -> None:
        maps = pixel_maps(one_pixel(0.4, 0.2, 0.4), ("margin", "bvsb"))
        assert (maps["margin"].item(), maps["bvsb"].item()) == (0, 1)

    @pytest.mark.parametrize("floats", [1, 100, 1001])
    def test_how_pixels_are_cut_into_strips_changes_nothing(self, floats: int, monkeypatch: pytest.MonkeyPatch) -> None:
        logits = some_logits(2, 7, 9, 11)
        whole = pixel_maps(logits, ALL)
        monkeypatch.setitem(uncertainty._STRIP, "cpu", floats)
        for name, map_ in pixel_maps(logits, ALL).items():
            torch.testing.assert_close(map_, whole[name], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("given", ["channels_last", "part", "half", "double", "tracked"])
    def test_logits_of_any_layout_and_precision_are_taken(self, given: str) -> None:
        logits = some_logits(2, 7, 9, 11).half().float()
        other = {
            "channels_last": lambda: logits.contiguous(memory_format=torch.channels_last),
            "part": lambda: torch.cat([logits, logits], 3)[..., :11],
            "half": lambda: logits.half(),
            "double": lambda: logits.double(),
            "tracked": lambda: logits.clone().requires_grad_(),
        }[given]()
        whole = pixel_maps(logits, ALL)
        for name, map_ in pixel_maps(other, ALL).items():
            torch.testing.assert_close(map_, whole[name], rtol=0, atol=1e-6)
            assert not map_.requires_grad

    def test_mass_is_the_softmax_itself(self) -> None:
        logits = some_logits(2, 11, 13, 17, scale=20.0)
        mass = pixel_maps(logits, ("mass",))["mass"]
        torch.testing.assert_close(mass.double(), logits.double().softmax(1), rtol=0, atol=1e-6)

    def test_logits_stay_as_they_are(self) -> None:
        logits = some_logits(1, 7, 9, 11)
        before = logits.clone()
        pixel_maps(logits, ALL)
        assert torch.equal(logits, before)

    def test_no_images_give_empty_maps(self) -> None:
        assert pixel_maps(torch.zeros(0, 3, 4, 5), ALL)["entropy"].shape == (0, 4, 5)

    def test_an_unknown_map_is_refused_and_the_known_ones_named(self) -> None:
        with pytest.raises(ValueError, match="no pixel map entorpy; there are entropy, classes, margin, bvsb, mass"):
            pixel_maps(torch.zeros(1, 2, 2, 2), ("entropy", "entorpy"))


class Undecided(nn.Module):
    """A segmenter of two classes, certain each time, of one class and of the other in turn where it sees a feature."""

    def __init__(self) -> None:
        super().__init__()
        self.classes, self.dropout, self.calls = 2, nn.Dropout(0.5), 0

    def classify(self, features: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        self.calls += 1
        sign = 1 if self.calls % 2 else -1
        return torch.cat([60 * torch.where(features > 0, sign, 1), torch.zeros_like(features)], 1)


class TestBald:
    size = (24, 32)

    @pytest.fixture
    def segmenter(self) -> Segmenter:
        return build("fpn", classes=5, width=4, dropout=0.5, generator=seeded(3))

    @pytest.fixture
    def features(self, segmenter: Segmenter) -> Tensor:
        images = torch.randint(0, 256, (3, 3, *self.size), dtype=torch.uint8, generator=seeded(1))
        with torch.no_grad():
            return segmenter.eval().encode(images)

    def test_it_is_one_bit_where_passes_are_certain_and_disagree_and_zero_where_they_agree(self) -> None:
        segmenter = Undecided()
        bald = bald_map(
            cast(Segmenter, segmenter), torch.tensor([[[[1.0, -1.0]]]]), (1, 2), passes=20, generator=seeded(0)
        )
        torch.testing.assert_close(bald, torch.tensor([[[1.0, 0.0]]]), rtol=0, atol=1e-6)
        assert segmenter.calls == 20

    def test_it_is_the_entropy_of_the_mean_less_the_mean_entropy_of_all_passes(
        self, segmenter: Segmenter, features: Tensor
    ) -> None:
        ours = bald_map(segmenter, features[:1], self.size, passes=7, generator=seeded(5))
        segmenter.eval().dropout.train()
        generator = seeded(5)
        with torch.no_grad():
            passes = [segmenter.classify(features[:1], self.size, generator).double().softmax(1) for _ in range(7)]
        drawn = torch.stack(passes).numpy()
        of_mean, mean_of = scipy.stats.entropy(drawn.mean(0), axis=1), scipy.stats.entropy(drawn, axis=2).mean(0)
        assert (of_mean - mean_of).max() > 1e-2
        np.testing.assert_allclose(ours, (of_mean - mean_of) / math.log(5), atol=2e-6)

    def test_it_is_never_negative_though_rounding_would_have_it_so(
        self, segmenter: Segmenter, features: Tensor
    ) -> None:
        assert (bald_map(segmenter, features * 1e-4, self.size, passes=3, generator=seeded(0)) >= 0).all()

    def test_the_same_seed_gives_the_same_map_and_another_another(self, segmenter: Segmenter, features: Tensor) -> None:
        first, again, other = (
            bald_map(segmenter, features, self.size, passes=2, generator=seeded(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_how_many_images_are_taken_together_changes_nothing(self, segmenter: Segmenter, features: Tensor) -> None:
        together = bald_map(segmenter, features, self.size, passes=2, generator=seeded(1))
        generator = seeded(1)
        apart = [bald_map(segmenter, one, self.size, passes=2, generator=generator) for one in features.split(1)]
        assert torch.equal(together, torch.cat(apart))

    def test_of_some_pixels_it_is_what_it_is_of_all_and_masks_are_drawn_alike(
        self, segmenter: Segmenter, features: Tensor
    ) -> None:
        chosen = torch.rand(3, 24 * 32, generator=seeded(9)) < torch.tensor([[0.1], [0.0], [1.0]])
        both = seeded(1), seeded(1)
        whole = bald_map(segmenter, features, self.size, passes=3, generator=both[0])
        asked = [of_image.nonzero()[:, 0] for of_image in chosen]
        some = bald_map(segmenter, features, self.size, passes=3, generator=both[1], asked=asked)
        expected = torch.where(chosen.view_as(whole), whole, torch.zeros(()))
        torch.testing.assert_close(some, expected, rtol=0, atol=1e-6)
        assert torch.equal(both[0].get_state(), both[1].get_state())

    def test_torch_s_own_randomness_is_neither_used_nor_disturbed(self, segmenter: Segmenter, features: Tensor) -> None:
        before = torch.get_rng_state()
        first = bald_map(segmenter, features, self.size, passes=2, generator=seeded(1))
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(5)
        assert torch.equal(bald_map(segmenter, features, self.size, passes=2, generator=seeded(1)), first)

    def test_modes_and_statistics_of_the_segmenter_stay_as_they_are(
        self, segmenter: Segmenter, features: Tensor
    ) -> None:
        segmenter.train()
        segmenter.encoder.eval()
        modes = [module.training for module in segmenter.modules()]
        values = {name: value.clone() for name, value in segmenter.state_dict().items()}
        bald_map(segmenter, features, self.size, passes=2, generator=seeded(1))
        assert [module.training for module in segmenter.modules()] == modes
        assert all(torch.equal(value, values[name]) for name, value in segmenter.state_dict().items())

    def test_a_segmenter_without_dropout_is_refused(self, features: Tensor) -> None:
        segmenter = build("fpn", classes=5, width=4, dropout=0.0)
        with pytest.raises(ValueError, match="BALD needs a segmenter built, and trained, with dropout"):
            bald_map(segmenter, features, self.size, generator=seeded(1))
