"""The part of a train-policy job that says whether its policy is any good: held-out games against what could be used instead."""

import json
from dataclasses import asdict
from typing import Any

from models.strategies import build_strategy
from service.domain.methods import LEARNED, OWN_POLICY, SHIPPED_POLICY
from service.schemas.policies import PolicySettings, named_policies
from workers.jobs.delivery import JobRun
from workers.jobs.grounds import ground_of, loop_of_games, source_of, splits_of
from workers.jobs.project import ProjectData
from workers.policy.comparing import RANDOM, Comparison, saved
from workers.policy.ground import contests_of
from workers.policy.shipped import shipped_policy
from workers.training.checkpoints import Policy

# Those of the baselines that did best where all were played, and random, against which labels are saved.
BASELINES = ("class-balanced", "entropy", "bvsb", "diverse")


def compared(run: JobRun, project: ProjectData, policy: Policy, games: int) -> dict[str, Any]:
    """Who won, by how much, and what that saves, as JSON values for the job's result.

    Each game is put away, and the job's slice may end after any. The winner is the contender of the largest mean area; the
    shipped policy where the policy is not ahead of it.
    """
    comparison, store = _comparison(project, policy, games), run.state("comparison")
    kept = store.load()
    if kept is not None:
        comparison.load(json.loads(kept))
    total = games * len(comparison.contenders)

    def on_round() -> None:
        if run.called_off:
            run.pause()

    while not comparison.done:
        run.report(0.99, f"policy: held-out game {comparison.played + 1} of {total}")
        comparison.play(on_round)
        store.save(json.dumps(comparison.meta()).encode())
        if run.interrupted and not comparison.done:
            run.pause()
    return _result(comparison)


def _comparison(project: ProjectData, policy: Policy, games: int) -> Comparison:
    settings = PolicySettings.model_validate({**named_policies()["blend"], "group": "main"})
    source = source_of(project)
    loop = loop_of_games(project, settings)
    ground = ground_of(project, source, splits_of(project, source, settings), loop)
    device = project.worker.device
    contenders = {
        OWN_POLICY: build_strategy(LEARNED, policy.to(device).eval()),
        SHIPPED_POLICY: build_strategy(LEARNED, shipped_policy(project.classes, device)),
        **{name: build_strategy(name) for name in (*BASELINES, RANDOM)},
    }
    contests = contests_of(settings, ground, project.settings.seed)
    return Comparison(contests=contests, contenders=contenders, games=games)


def _result(comparison: Comparison) -> dict[str, Any]:
    areas = comparison.areas()
    winner = max(areas, key=lambda name: (areas[name], name == SHIPPED_POLICY))
    return {
        "winner": winner,
        "compared": {
            "games": comparison.games,
            "areas": {name: round(area, 3) for name, area in areas.items()},
            "ahead": {
                name: [round(each, 3) if abs(each) < float("inf") else None for each in comparison.ahead(winner, name)]
                for name in areas
                if name != winner
            },
        },
        "saved": asdict(saved(comparison.curves[winner], comparison.curves[RANDOM])),
    }
