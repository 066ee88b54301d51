"""Training and measuring a segmenter: where crops lie, what is ignored, what is counted."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassConfusionMatrix

from models.evaluation import evaluate
from models.fit import Example, TrainSettings, crops, make_optimizer, train_pass
from models.segmenter import build

CLASSES = 3
SMALL = TrainSettings(crop=(64, 64), batch=4, lr=0.02)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose channels are its rows and columns, and labels 0..199 that follow from them."""
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([rows, cols, torch.full_like(rows, 7)]).to(torch.uint8)
    return pixels, ((rows * 31 + cols) % 200).to(torch.uint8)


Case = tuple[int, int, tuple[int, int, int, int], tuple[int, int]]  # height, width, box, size of the crop


@st.composite
def boxes_in_images(draw: st.DrawFn) -> Case:
    height, width = draw(st.integers(8, 60)), draw(st.integers(8, 60))
    row, col = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    box = (row, col, draw(st.integers(1, height - row)), draw(st.integers(1, width - col)))
    return height, width, box, (draw(st.integers(8, 60)), draw(st.integers(8, 60)))


def spans(present: torch.Tensor, start: int, size: int, length: int, crop: int) -> bool:
    """Whether the crop's rows (or columns) contain the box's, or lie in them; and are as many as there can be."""
    first, last = int(present.min()), int(present.max())
    contains = first <= start and start + size - 1 <= last
    within = start <= first and last <= start + size - 1
    return last - first + 1 == min(length, crop) and (contains if size <= crop else within or length <= crop)


class TestCrops:
    @settings(max_examples=150, deadline=None)
    @given(case=boxes_in_images(), seed=st.integers(0, 1000), flip=st.booleans())
    def test_contain_their_box_or_lie_in_it_with_labels_on_their_pixels_and_ignore_outside(
        self, case: Case, seed: int, flip: bool
    ) -> None:
        height, width, box, crop = case
        pixels, truth = numbered(height, width)
        chosen = TrainSettings(crop=crop, flip=flip)
        ((images, labels),) = crops(
            [Example(image=0, box=box)], lambda n: pixels, lambda n: truth, chosen, seeded(seed)
        )
        assert images.shape == (1, 3, *crop)
        assert labels.shape == (1, *crop)
        assert images.dtype == labels.dtype == torch.uint8
        real = images[0, 2] == 7
        assert (labels[0][~real] == 255).all()
        rows, cols = images[0, 0][real].long(), images[0, 1][real].long()
        assert torch.equal(labels[0][real].long(), (rows * 31 + cols) % 200)
        assert len(rows) == min(height, crop[0]) * min(width, crop[1])
        assert spans(rows, box[0], box[2], height, crop[0])
        assert spans(cols, box[1], box[3], width, crop[1])

    def test_take_every_place_that_contains_the_box_alike_and_mirror_half(self) -> None:
        pixels, truth = numbered(8, 40)
        chosen = TrainSettings(crop=(8, 10), batch=3000)
        examples = [Example(image=0, box=(0, 12, 8, 7))] * 3000
        ((images, _),) = crops(examples, lambda n: pixels, lambda n: truth, chosen, seeded(0))
        starts = images[:, 1, 0].long().min(dim=1).values  # 9..12 contain 12..18
        counts = torch.bincount(starts, minlength=13)
        assert counts[:9].sum() == 0
        assert (counts[9:] - 750).abs().max() < 120  # 5 standard deviations
        assert len(counts) == 13
        mirrored = images[:, 1, 0, 0] > images[:, 1, 0, 1]
        assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.05)

    def test_are_not_mirrored_unless_asked(self) -> None:
        pixels, truth = numbered(20, 20)
        examples = [Example(image=0, box=(2, 2, 3, 3))] * 50
        chosen = TrainSettings(crop=(8, 8), batch=50, flip=False)
        ((images, _),) = crops(examples, lambda n: pixels, lambda n: truth, chosen, seeded(0))
        assert (images[:, 1, :, 0] < images[:, 1, :, 1]).all()

    def test_come_once_each_in_an_order_of_the_generator_and_in_batches(self) -> None:
        examples = [Example(image=number, box=(0, 0, 8, 8)) for number in range(10)]
        chosen = TrainSettings(crop=(8, 8), batch=4, flip=False)

        def orders(seed: int) -> list[list[int]]:
            blank = torch.zeros(8, 8, dtype=torch.uint8)
            batches = crops(examples, lambda n: torch.full((3, 8, 8), n).byte(), lambda n: blank, chosen, seeded(seed))
            return [images[:, 0, 0, 0].tolist() for images, _ in batches]

        assert [len(batch) for batch in orders(1)] == [4, 4, 2]
        assert sorted(number for batch in orders(1) for number in batch) == list(range(10))
        assert orders(1) == orders(1) != orders(2)

    def test_of_nothing_are_none(self) -> None:
        assert list(crops([], lambda n: torch.empty(0), lambda n: torch.empty(0), SMALL, seeded(0))) == []


def scenes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in two shades, the brighter half class 1, a strip unlabelled."""
    generator = seeded(seed)
    pixels = torch.randint(0, 100, (count, 3, 64, 64), generator=generator, dtype=torch.uint8)
    truth = torch.zeros(count, 64, 64, dtype=torch.uint8)
    for n, edge in enumerate(torch.randint(10, 54, (count,), generator=generator).tolist()):
        pixels[n, :, edge:] += 120
        truth[n, edge:] = 1
    truth[:, :, :5] = 255
    return pixels, truth


class TestTrainPass:
    def train(self, seed: int, passes: int = 2) -> tuple[dict[str, torch.Tensor], list[float]]:
        generator = seeded(seed)
        segmenter = build("fpn", classes=CLASSES, width=2, generator=generator)
        optimizer = make_optimizer(segmenter, SMALL)
        pixels, truth = scenes(5, 0)
        examples = [Example(image=number, box=(8, 8, 16, 16)) for number in range(5)]
        losses = [
            train_pass(
                segmenter,
                optimizer,
                crops(examples, pixels.__getitem__, truth.__getitem__, SMALL, generator),
                SMALL,
                generator=generator,
            )
            for _ in range(passes)
        ]
        return segmenter.state_dict(), losses

    def test_gives_identical_weights_from_the_same_generator_and_others_from_another(self) -> None:
        (first, losses), (again, _), (other, _) = self.train(1), self.train(1), self.train(2)
        assert all(torch.equal(first[name], value) for name, value in again.items())
        assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
        assert len(set(losses)) == 2

    def test_does_not_touch_global_chance(self) -> None:
        before = torch.random.get_rng_state()
        self.train(1)
        assert torch.equal(torch.random.get_rng_state(), before)

    def test_returns_the_mean_of_its_batches_losses_over_labelled_pixels(self) -> None:
        segmenter = build("fpn", classes=CLASSES, width=2, dropout=0.0)
        still = make_optimizer(segmenter, TrainSettings(lr=0.0))
        pixels, truth = scenes(4, 0)
        expected = []
        for half in (slice(0, 2), slice(2, 4)):
            probabilities = segmenter.train()(pixels[half]).softmax(dim=1).detach()
            counted = truth[half] != 255
            right = probabilities.gather(1, truth[half].long().clamp(max=2)[:, None])[:, 0]
            expected.append(-right[counted].log().mean())
        batches = [(pixels[:2], truth[:2]), (pixels[2:], truth[2:])]
        loss = train_pass(segmenter, still, batches, SMALL, generator=seeded(0))
        assert loss == pytest.approx(float(sum(expected)) / 2, rel=1e-4)

    def test_leaves_out_a_batch_without_a_labelled_pixel(self) -> None:
        segmenter = build("fpn", classes=CLASSES, width=2)
        before = {name: value.clone() for name, value in segmenter.state_dict().items()}
        pixels, truth = scenes(2, 0)
        batches = [(pixels, torch.full_like(truth, 255))]
        assert math.isnan(train_pass(segmenter, make_optimizer(segmenter, SMALL), batches, SMALL, generator=seeded(0)))
        assert all(torch.equal(before[name], value) for name, value in segmenter.state_dict().items())

    def test_clips_the_gradient_to_its_norm(self) -> None:
        clipped = TrainSettings(clip=0.01, lr=1.0, momentum=0.0, weight_decay=0.0)
        segmenter = build("fpn", classes=CLASSES, width=2)
        before = [value.detach().clone() for value in segmenter.parameters()]
        train_pass(segmenter, make_optimizer(segmenter, clipped), [scenes(2, 0)], clipped, generator=seeded(0))
        moved = [(old - new.detach()).square().sum() for old, new in zip(before, segmenter.parameters(), strict=True)]
        assert math.sqrt(sum(moved)) == pytest.approx(0.01, rel=1e-3)

    def test_the_optimizer_is_what_the_settings_say(self) -> None:
        (group,) = make_optimizer(build("fpn", classes=CLASSES, width=2), TrainSettings()).param_groups
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (1e-3, 0.95, 1e-4)


class TestEvaluate:
    def test_counts_what_torchmetrics_counts(self) -> None:
        segmenter = build("fpn", classes=CLASSES, width=2)
        oracle = MulticlassConfusionMatrix(CLASSES, ignore_index=255)
        batches = []
        for seed, size in ((0, (64, 64)), (1, (70, 90))):
            pixels = torch.randint(0, 256, (2, 3, *size), generator=seeded(seed), dtype=torch.uint8)
            truth = torch.randint(0, CLASSES + 1, (2, *size), generator=seeded(seed), dtype=torch.uint8)
            truth[truth == CLASSES] = 255
            batches.append((pixels, truth))
            oracle.update(segmenter.eval()(pixels), truth.long())
        confusion = evaluate(segmenter, batches, CLASSES).sum(0)
        assert confusion.dtype == torch.int64
        assert torch.equal(confusion, oracle.compute())
        assert confusion.sum() == sum(int((truth != 255).sum()) for _, truth in batches)
        assert (confusion.sum(dim=0) > 0).sum() > 1  # more than one class is predicted, or rows could be columns

    def test_does_not_train_and_leaves_the_mode_as_it_was(self) -> None:
        segmenter = build("fpn", classes=CLASSES, width=2).train()
        before = segmenter.state_dict()["encoder.stem.1.running_mean"].clone()
        first, again = (evaluate(segmenter, [scenes(2, 0)], CLASSES) for _ in range(2))
        assert torch.equal(first, again)
        assert torch.equal(segmenter.state_dict()["encoder.stem.1.running_mean"], before)
        assert segmenter.training

    def test_refuses_a_label_that_is_no_class(self) -> None:
        pixels, truth = scenes(1, 0)
        truth[0, 9, 9] = CLASSES
        with pytest.raises(ValueError, match="holds 3, of 3 classes"):
            evaluate(build("fpn", classes=CLASSES, width=2), [(pixels, truth)], CLASSES)

    def test_of_nothing_is_nothing(self) -> None:
        assert evaluate(build("fpn", classes=CLASSES, width=2), [], CLASSES).tolist() == []
