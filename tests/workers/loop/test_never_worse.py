"""What labels are for: as people label, the segmenter gets better, on streets and on thin structures."""

import os
from pathlib import Path

import pytest

from models.refit import RefitSettings
from models.strategies import build_strategy
from service.domain.pool import Pool
from tests.workers.membranes import Membranes
from workers.datasets import open_dataset
from workers.datasets.base import ImageSource, Subset
from workers.datasets.forwarding import Cached
from workers.loop import ActiveLearner
from workers.loop.labelled import LabelledSet
from workers.loop.oracle import Oracle
from workers.loop.round import LoopSettings, groups_of
from workers.training.building import Architecture, fresh_segmenter, stride_for


def curve(
    pool: ImageSource,
    known: ImageSource,
    reward: ImageSource,
    settings: LoopSettings,
    *,
    rounds: int,
    strategy: str,
    magnification: float = 1.5,
) -> list[float]:
    """mIoU on D_R, in points, before the first round and after each."""
    architecture = Architecture(
        name="efficientnet-lite0",
        frozen=True,
        width=32,
        dropout=0.2,
        stride=stride_for(settings.cell_height, settings.cell_width),
        magnification=magnification,
    )
    active = ActiveLearner(
        segmenter=fresh_segmenter(architecture, settings.classes, [pool], 0, "cpu"),
        strategy=build_strategy(strategy),
        pool=Pool(groups_of(pool, settings)),
        labelled=LabelledSet(settings.classes),
        images=pool,
        state=None,
        reward=reward,
        settings=settings,
        seed=0,
        known=[known],
    )
    active.learner.learn_known()
    oracle, found = Oracle(pool), [active.learner.measured_miou()]
    for number in range(rounds):
        active.tell(oracle.answer(active.ask(round_number=number)), round_number=number)
        found.append(active.learner.measured_miou())
    return [100 * each[0] for each in found if each is not None]


def test_thin_structures_rise_with_the_first_labels() -> None:
    settings = LoopSettings(
        classes=2,
        cell_height=64,
        cell_width=64,
        batch_size=24,
        pool_size=5,
        learning="refit",
        refit=RefitSettings(first_steps=200, steps=80),
    )
    mious = curve(
        Membranes(13, 1), Membranes(7, 2), Membranes(4, 3), settings, rounds=2, strategy="bvsb", magnification=1.0
    )
    assert mious[-1] > mious[0], mious
    assert min(mious[1:]) > mious[0] - 1, mious


@pytest.mark.camvid
@pytest.mark.skipif("CAMVID_ROOT" not in os.environ, reason="CAMVID_ROOT does not name a copy of CamVid")
def test_camvid_rises_from_ten_labelled_images() -> None:
    dataset = open_dataset("camvid", Path(os.environ["CAMVID_ROOT"]), height=360, width=480)
    splits = {name: Cached(source) for name, source in dataset.splits.items()}
    settings = LoopSettings(
        classes=11, batch_size=24, learning="refit", refit=RefitSettings(first_steps=800, steps=100)
    )
    reward = Subset(splits["reward"], range(0, 101, 4))
    pool = Subset(splits["pool"], range(0, 257, 4))
    mious = curve(pool, splits["state"], reward, settings, rounds=4, strategy="class-balanced")
    assert mious[-1] > mious[0], mious
    assert sum(mious[1:]) / len(mious[1:]) > mious[0], mious
    assert min(mious[1:]) > mious[0] - 1, mious
