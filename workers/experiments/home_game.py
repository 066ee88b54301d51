"""The surrogate game held against the real one where both are played on the same images, those of D_T and D_R."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.acquisition import SCORES
from service.domain.methods import BASELINES, REFERENCES, Method
from service.domain.metrics import area_under_curve
from workers.datasets.base import Joined, Subset
from workers.experiments.guides import guide_of_games
from workers.experiments.policies import game_at_home
from workers.experiments.scalars import NullScalars
from workers.experiments.stages import Bench
from workers.experiments.surrogate_check import rank_correlation
from workers.experiments.trajectory import Trajectory, strategy_of
from workers.files import write_atomically
from workers.policy.surrogate import SurrogateGame, play

DRAWS = 3
SHARE = 0.25  # of the regions played on, at most: D_V's largest budgets take no more
SHARES = (0.25, 0.5, 1.0)  # of the budget, where copies are trained to convergence and tested
_AS_BASELINES = {*BASELINES, "runner-up"}  # scores that ask as a baseline does: the mean of p2 / p1 is bvsb's
METHODS = (*BASELINES, *REFERENCES, *(str(Method.score(name)) for name in SCORES if name not in _AS_BASELINES))


def check_at_home(bench: Bench, out: Path, *, draws: int = DRAWS, methods: Sequence[str] = METHODS) -> dict[str, Any]:
    """Play the real game and the surrogate on half of D_T's and D_R's images, measured on the other half.

    `methods` are the baselines, the reference, and each acquisition score by itself: no policy, since policies were
    trained on these images. Each draw of the halves is the same for all methods and both games. Writes and returns
    surrogate-home.json; the real game's trajectories are kept in `out`/home, and the same call goes on with them.
    """
    settings = bench.experiment.loop(bench.classes, Method(name="random"))
    game = game_at_home(bench, settings, guided=True, redraw=True)
    budgets = _budgets(game)
    points = []
    for number, method in enumerate(methods):
        bench.report(number / len(methods), f"both games at home: {method}")
        real = [_real(bench, game, method, draw, budgets, out) for draw in range(draws)]
        quick = [_surrogate(bench, game, method, draw, budgets) for draw in range(draws)]
        points.append(
            {"name": method, "kind": "strategy", "surrogate": float(np.mean(quick)), "real": float(np.mean(real))}
        )
    found = {
        "game": f"{bench.experiment.name}: {budgets[-1]} regions of half of D_T's and D_R's images, both games on the "
        f"same {draws} draws of them",
        "points": points,
        "rank_correlation": rank_correlation(
            np.array([point["surrogate"] for point in points]), np.array([point["real"] for point in points])
        ),
    }
    write_atomically(out / "surrogate-home.json", json.dumps(found, indent=1).encode())
    return found


def _budgets(game: SurrogateGame) -> list[int]:
    size = game.settings.batch_size
    rounds = max(4, int(SHARE * len(game.pool) / 2) // size)
    return [int(share * rounds) * size for share in SHARES]


def _surrogate(bench: Bench, game: SurrogateGame, method: str, draw: int, budgets: Sequence[int]) -> float:
    curve = play(game, strategy_of(bench, Method.parse(method), 0), budget=budgets[-1], seed=draw)
    reached = [curve[budget // game.settings.batch_size] for budget in budgets]
    return 100 * area_under_curve(budgets, reached)


def _real(bench: Bench, game: SurrogateGame, method: str, draw: int, budgets: Sequence[int], out: Path) -> float:
    free_R, _ = game.roles(draw)
    played, measured = (np.unique(game.pool.image_R[kept_R]).tolist() for kept_R in (free_R, ~free_R))
    images = Joined([bench.split("train"), bench.split("reward")])
    splits = {**bench.dataset.splits, "pool": Subset(images, played), "test": Subset(images, measured)}
    at_home = replace(
        bench,
        # f has not seen D_T's labels: it is played on.
        experiment=bench.experiment.model_copy(update={"theta0": "source"}),
        dataset=replace(bench.dataset, splits=splits),
        # The caller tells of the whole work's progress; figures of many trajectories in one file would say nothing.
        report=lambda done, text: None,
        scalars=NullScalars(),
    )
    trajectory = Trajectory(
        at_home,
        method=Method.parse(method),
        seed=draw,
        budgets=budgets,
        out=out / "home",
        guide_of=lambda _: guide_of_games(bench, redraw=True)[free_R],
    )
    reached = sorted((each["regions"], each["miou"]) for each in trajectory.run()["budgets"].values())
    regions, mious = zip(*reached, strict=True)
    return 100 * area_under_curve(regions, mious)
