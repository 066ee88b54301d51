"""Influence of regions of images: each region's pixels and no others, what is measured, and who chooses by it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.influence import Influence
from models.segmenter import Segmenter, build
from service.domain.regions import Box
from tests.workers.conftest import Rectangles
from tests.workers.loop.test_observer import POOL, REWARD, STATE, make_learner
from workers.chance import numpy_generator
from workers.datasets.on_device import image_tensor
from workers.loop.influencing import IMAGES, influence_of, region_gains
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings


@pytest.fixture
def segmenter() -> Segmenter:
    return build("fpn", classes=3, width=4, generator=torch.Generator().manual_seed(2)).eval()


def some_influence(segmenter: Segmenter) -> Influence:
    generator = torch.Generator().manual_seed(7)
    return Influence(direction_DC=torch.randn(segmenter.classifier.in_channels + 1, 3, generator=generator))


def pixel_by_pixel(known: Influence, segmenter: Segmenter, number: int, box: Box) -> float:
    """Each labelled pixel's own gain, with the hidden channels and the prediction of the cell that it is in."""
    with torch.no_grad():
        hidden = segmenter.encode(image_tensor(POOL.image(number))[None])
        p = segmenter.classifier(hidden)[0].softmax(0)
    labels, total = POOL.label_map(number), 0.0
    for row in range(box.row, box.row + box.height):
        for col in range(box.col, box.col + box.width):
            if labels[row, col] >= 3:
                continue
            at = (slice(None), row // segmenter.stride, col // segmenter.stride)
            worth = torch.cat([hidden[0][at], torch.ones(1)]) @ known.direction_DC
            total += float(worth[int(labels[row, col])] - p[at] @ worth)
    return total


def test_a_regions_gain_is_that_of_its_own_labelled_pixels(segmenter: Segmenter) -> None:
    known = some_influence(segmenter)
    boxes = {
        3: [Box(row=0, col=0, height=16, width=16), Box(row=5, col=7, height=13, width=9)],
        1: [Box(row=33, col=61, height=15, width=3)],
    }
    expected = [pixel_by_pixel(known, segmenter, number, box) for number, each in boxes.items() for box in each]
    found = region_gains(known, segmenter, POOL, boxes)
    assert found.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert region_gains(known, segmenter, POOL, {}).shape == (0,)


def test_without_labels_or_measured_images_no_pixel_is_worth_anything(segmenter: Segmenter) -> None:
    rng = np.random.default_rng(0)
    for labelled, measured in (([], [(STATE, 0)]), ([(STATE, 0)], [])):
        assert not influence_of(segmenter, labelled, measured, rng).direction_DC.any()
    assert influence_of(segmenter, [(STATE, 0)], [(POOL, 1)], rng).direction_DC.any()


def test_of_many_images_some_are_drawn(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    many, image = Rectangles(IMAGES + 8, 4), Rectangles.image
    looked: list[int] = []

    def counted(self: Rectangles, number: int) -> NDArray[np.uint8]:
        looked.append(number)
        return image(self, number)

    monkeypatch.setattr(Rectangles, "image", counted)
    draws = []
    for seed in (1, 2):
        looked.clear()
        influence_of(segmenter, [], [(many, number) for number in range(len(many))], numpy_generator(seed, "some"))
        draws.append(set(looked))
    assert [len(each) for each in draws] == [IMAGES, IMAGES]
    assert draws[0] != draws[1]


@pytest.mark.parametrize("strategy", ["influence", "influence-oracle", "diverse"])
def test_strategies_choose_by_it_and_the_same_again(loop_settings: LoopSettings, strategy: str) -> None:
    chosen: list[list[int]] = []
    for _ in range(2):
        learner, oracle = make_learner(loop_settings, strategy, truth=POOL, known=[STATE]), Oracle(POOL)
        chosen.append([])
        for round_number in range(2):
            proposal = learner.ask(round_number=round_number)
            scores = [region.score for region in proposal.regions]
            assert len(set(scores)) > 1
            chosen[-1] += [region.number for region in proposal.regions]
            learner.tell(oracle.answer(proposal), round_number=round_number)
    assert chosen[0] == chosen[1]


def test_the_oracle_chooses_what_its_true_labels_make_of_the_measured_images(loop_settings: LoopSettings) -> None:
    learner = make_learner(loop_settings, "influence-oracle", truth=POOL, known=[STATE])
    observer = learner.chooser.observer
    where = np.array([2] * 6 + [0] + [2] * 6), np.array([*range(6), 3, *range(6, 12)])
    generator = torch.Generator().manual_seed(1)
    gains = observer.gains(learner.segmenter, POOL, where, generator)
    rng = np.random.default_rng(int(torch.randint(2**31, (), generator=torch.Generator().manual_seed(1))))
    measured = [(REWARD, number) for number in range(len(REWARD))]
    known = influence_of(learner.segmenter, [(STATE, n) for n in range(len(STATE))], measured, rng)
    grid = loop_settings.grid(POOL.size(0))
    expected = [pixel_by_pixel(known, learner.segmenter, 2, grid.box(cell)) for cell in range(12)]
    expected.insert(6, pixel_by_pixel(known, learner.segmenter, 0, grid.box(3)))
    assert gains.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-5)
    with pytest.raises(ValueError, match="chooses by the true labels of the pool"):
        make_learner(loop_settings, "influence-oracle")
