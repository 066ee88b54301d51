"""How well the surrogate game tells which methods do well in the real one: both results of each, and their rank correlation."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.domain.methods import Method
from service.domain.metrics import area_under_curve
from workers.experiments.policies import redrawn_game
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench
from workers.experiments.trajectory import strategy_of
from workers.files import write_atomically
from workers.policy.surrogate import SurrogateGame, play

EPISODES = 4
LARGEST_SHARE = 0.4  # of the regions played on: beyond it every method has asked for much the same


def check_surrogate(bench: Bench, out: Path, *, episodes: int = EPISODES) -> dict[str, Any]:
    """Play every method that has trajectories in `out` on the surrogate game; writes and returns surrogate.json.

    Each episode draws the images that it plays on and is measured on from D_T and D_R, the same for every method.

    No label of D_V plays a part in a surrogate result: it could have been known before the real game. Raises ValueError
    where `out` holds trajectories of fewer than two methods.
    """
    real = real_areas(out, bench.experiment)
    if len(real) < 2:
        raise ValueError(f"{out} holds trajectories of {len(real)} methods; to compare ranks there must be at least 2.")
    game, budget = _game(bench)
    points, seconds = [], 0.0
    for number, method in enumerate(sorted(real)):
        bench.report(number / len(real), f"surrogate game: {method}")
        each = Method.parse(method)
        strategy = strategy_of(bench, each, 0)
        start = time.perf_counter()
        areas = [100 * float(play(game, strategy, budget=budget, seed=seed)[1:].mean()) for seed in range(episodes)]
        seconds += time.perf_counter() - start
        kind = "strategy" if each.is_plain else "policy"
        points.append({"name": method, "kind": kind, "surrogate": float(np.mean(areas)), "real": real[method]})
    found = {
        "game": f"{bench.experiment.name}: {budget} regions of half of D_T's and D_R's images, {episodes} episodes each",
        "points": points,
        "rank_correlation": rank_correlation(
            np.array([point["surrogate"] for point in points]), np.array([point["real"] for point in points])
        ),
        "episodes_per_hour": 3600 * episodes * len(points) / seconds,
    }
    write_atomically(out / "surrogate.json", json.dumps(found, indent=1).encode())
    return found


def real_areas(out: Path, experiment: Experiment) -> dict[str, float]:
    """Mean area under the budget curve, in points of mIoU, of each method that was played with the experiment's settings.

    Areas end where the shortest curve does, so that methods that were played further have no advantage.
    """
    settings = experiment.model_dump(mode="json", exclude={"policies"})
    curves: dict[str, list[list[tuple[int, float]]]] = defaultdict(list)
    for path in sorted((out / "trajectories").glob("*.json")):
        record = json.loads(path.read_text())
        reached = sorted((each["regions"], each["miou"]) for each in record["budgets"].values())
        same = all(record["experiment"].get(name, value) == value for name, value in settings.items())
        if same and len(reached) > 1:
            curves[record["method"]].append(reached)
    last = min((curve[-1][0] for found in curves.values() for curve in found), default=0)
    areas = {method: [each for curve in found for each in _area(curve, last)] for method, found in curves.items()}
    return {method: float(np.mean(found)) for method, found in areas.items() if found}


def _area(curve: list[tuple[int, float]], last: int) -> list[float]:
    """The area up to `last` regions, in points; nothing of a curve that has a single point there."""
    shared = [point for point in curve if point[0] <= last]
    if len(shared) < 2:
        return []
    regions, mious = zip(*shared, strict=True)
    return [100 * area_under_curve(regions, mious)]


def rank_correlation(
    first: NDArray[np.float64] | Sequence[float], second: NDArray[np.float64] | Sequence[float]
) -> float:
    """Spearman's: the correlation of ranks, equals sharing the mean of theirs; NaN where all of one are equal."""
    one, other = (_ranks(np.asarray(values, np.float64)) for values in (first, second))
    if one.std() == 0 or other.std() == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places])


def _game(bench: Bench) -> tuple[SurrogateGame, int]:
    # One game for all methods: its candidate pools are as large as those of chance.
    settings = bench.experiment.loop(bench.classes, Method(name="random"))
    game = redrawn_game(bench, settings)
    rounds = max(2, int(LARGEST_SHARE * len(game.pool) / 2) // settings.batch_size)
    return game, min(bench.experiment.budget, rounds * settings.batch_size)
