"""Whether influence says what a region's labels really bring: against fits that learn from the region, in several states.

In each state, after so many random regions, a copy of the head is fitted on for each of some further regions, with one window in
ten around that region and the others, the same for all, around what is labelled; soft mIoU is measured on D_R before and after.
Rank correlations (Spearman) with that gain are printed, over the regions of each state. `again`: of two halves of the fits with
each other, which is how much of the gain is chance: where it is low, none of the others can be high.

Run: python benchmarks/influence.py [--preset camvid --root FOLDER] [--start state] [--labelled 0,96,384] [--regions 40]
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from models.features import describe
from models.frozen import FrozenSegmenter
from models.influence import soft_miou
from models.refit import Windows, refit
from models.strategies import build_strategy
from service.domain.methods import Method
from service.domain.pool import Pool
from service.domain.regions import Box
from workers.chance import torch_generator
from workers.datasets.base import ImageSource
from workers.experiments.stages import Bench, theta_0
from workers.loop import ActiveLearner
from workers.loop.influencing import Places, cells_of, influence_of, region_gains
from workers.loop.labelled import LabelledSet, LabelledView
from workers.loop.oracle import Oracle
from workers.loop.round import groups_of
from workers.runs.options import chosen_experiment
from workers.runs.perform import kept_data
from workers.training.building import copy_of
from workers.training.feature_cache import FeatureCache
from workers.training.looking import features, keep_features
from workers.training.refitting import LabelledCells

STEPS, OWN_SHARE = 60, 10
MEASURED = 40


def state_after(bench: Bench, regions: int, seed: int) -> ActiveLearner:
    """Theta_0 after so many random regions of D_V."""
    pool, settings = bench.split("pool"), bench.experiment.loop(bench.classes, Method(name="random"))
    segmenter = theta_0(bench, 0)
    active = ActiveLearner(
        segmenter=segmenter,
        strategy=build_strategy("random"),
        pool=Pool(groups_of(pool, settings)),
        labelled=LabelledSet(bench.classes),
        images=pool,
        state=None,
        reward=None,
        settings=settings,
        seed=seed,
        known=[bench.split(name) for name in bench.experiment.known_splits],
    )
    oracle = Oracle(pool)
    for number in range(regions // settings.batch_size):
        active.tell(oracle.answer(active.ask(round_number=number)), round_number=number, measured=False)
    return active


def cells_to_fit(bench: Bench, active: ActiveLearner) -> LabelledCells:
    """All that is labelled in the state."""
    assert isinstance(active.segmenter, FrozenSegmenter)
    cells, settings = LabelledCells(active.segmenter), active.settings
    for source in active.known:
        for number in range(len(source)):
            grid = settings.grid(source.size(number))
            cells.add_whole(source, number, [grid.box(cell) for cell in grid.cells.tolist()])
    for answer in active.labelled.answers:
        label_map = active.labelled.label_map(answer.image, active.images.size(answer.image))
        cells.add(active.images, answer.image, label_map, [answer.box])
    return cells


def real_gains(
    bench: Bench, active: ActiveLearner, places: Sequence[tuple[int, Box]], measured: Places, fits: int
) -> NDArray[np.float64]:
    """(fits, R) gains of soft mIoU of the measured images, each fit with draws of its own that all regions share."""
    assert isinstance(active.segmenter, FrozenSegmenter)
    known, pool = cells_to_fit(bench, active), bench.split("pool")
    before, found = measured_soft_miou(active.segmenter, measured), np.zeros((fits, len(places)))
    settings = replace(bench.experiment.refit.built(), batch=OWN_SHARE, folds=0)
    for region, (image, box) in enumerate(places):
        own, labels = LabelledCells(active.segmenter), np.full(pool.size(image), 255, np.uint8)
        labels[box.slices] = pool.label_map(image)[box.slices]
        own.add(pool, image, labels, [box])

        def draw(batch: int, window: int, generator: torch.Generator, own: LabelledCells = own) -> Windows:
            (seen, shares), (own_seen, own_shares) = (
                known.draw(batch - 1, window, generator),
                own.draw(1, window, generator),
            )
            return torch.cat([seen, own_seen]), torch.cat([shares, own_shares])

        for fit in range(fits):
            head = copy_of(active.segmenter)
            generator = torch_generator(fit, "fit")
            refit(head, draw, known.counts_C + own.counts_C, settings, generator=generator, steps=STEPS)
            found[fit, region] = measured_soft_miou(head, measured) - before
    return found


def measured_soft_miou(segmenter: FrozenSegmenter, measured: Places) -> float:
    found = soft_miou([cells_of(segmenter, *place) for place in measured])
    assert found is not None
    return found


def expected(
    active: ActiveLearner, places: Sequence[tuple[int, Box]], measured: Places
) -> dict[str, NDArray[np.float64]]:
    """What each score says of each region."""
    segmenter, images = active.segmenter, active.images
    assert isinstance(segmenter, FrozenSegmenter)
    view = LabelledView(images, active.labelled)
    seen = sorted({answer.image for answer in active.labelled.answers})
    labelled: list[tuple[ImageSource, int]] = [(view, image) for image in seen]
    labelled += [(source, number) for source in active.known for number in range(len(source))]
    known = influence_of(segmenter, labelled, measured, np.random.default_rng(0))
    scores: dict[str, list[float]] = {name: [] for name in ("influence of true labels", "influence", "entropy", "bvsb")}
    for image, box in places:
        (of_image,) = describe(
            segmenter,
            torch.from_numpy(np.asarray(features(segmenter, images, image)))[None],
            [torch.tensor([[box.row, box.col, box.height, box.width]])],
            size=images.size(image),
            statistics=("entropy_sum", "bvsb_mean"),
            vectors={"influence"},
            influence=known,
        )
        scores["influence of true labels"].append(float(region_gains(known, segmenter, images, {image: [box]})))
        scores["influence"].append(float(of_image.rows.vectors["influence"][0, 0]))
        scores["entropy"].append(float(of_image.rows.statistics["entropy_sum"]))
        scores["bvsb"].append(float(of_image.rows.statistics["bvsb_mean"]))
    return {name: np.array(values) for name, values in scores.items()}


def correlations(bench: Bench, labelled: int, regions: int, fits: int) -> dict[str, float]:
    """By score: Spearman's correlation with the real gain of the regions."""
    active, pool, reward = state_after(bench, labelled, 0), bench.split("pool"), bench.split("reward")
    step = max(1, len(reward) // MEASURED)
    measured = [(reward, number) for number in range(0, len(reward), step)][:MEASURED]
    (numbers,) = active.pool.sample(pools=1, size=regions, by="uniform", rng=np.random.default_rng(1))
    located = zip(*(each.tolist() for each in active.pool.locate(numbers)), strict=True)
    places = [(image, active.settings.grid(pool.size(image)).box(cell)) for image, cell in located]
    gains = real_gains(bench, active, places, measured, fits)
    real = gains.mean(0)
    found = {name: spearmanr(score, real).statistic for name, score in expected(active, places, measured).items()}
    found["again"] = spearmanr(gains[: fits // 2].mean(0), gains[fits // 2 :].mean(0)).statistic
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="lite", help="a preset's name or the path of a .toml file")
    parser.add_argument("--root", type=Path, help="folder of the data set; not needed for streets")
    parser.add_argument(
        "--start", default="state", choices=["none", "state", "dt"], help="what f has learned from before"
    )
    parser.add_argument("--labelled", default="0,96,384", help="labelled regions of each state")
    parser.add_argument("--regions", type=int, default=40, help="whose gains are compared")
    parser.add_argument("--fits", type=int, default=2, help="of each region; an even number")
    parser.add_argument(
        "--cache", type=Path, help="folder of a simulation's cache: its features and its theta_0 are taken"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    experiment = chosen_experiment(given.preset, None, [], given.start)
    cache = given.cache or Path(gettempdir()) / "regionwise-influence"
    keep_features(FeatureCache(cache / "features"))
    bench = Bench(
        experiment=experiment,
        dataset=kept_data(experiment, given.root, "cpu"),
        cache=cache,
        device="cpu",
        report=lambda done, text: None,
    )
    print("| labelled | score | rank correlation with the gain |\n|---|---|---|")
    for labelled in (int(each) for each in given.labelled.split(",")):
        for name, value in correlations(bench, labelled, given.regions, given.fits).items():
            print(f"| {labelled} | {name} | {value:.2f} |", flush=True)


if __name__ == "__main__":
    main()
