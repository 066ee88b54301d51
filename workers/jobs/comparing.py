"""The part of a train-policy job that says whether its policy is any good: held-out games against what could be used instead."""

import json
import math
from dataclasses import asdict
from typing import Any

from models.strategies import build_strategy
from service.domain.methods import LEARNED, OWN_POLICY, RANDOM, SHIPPED_POLICY
from service.schemas.named_policies import named_policies
from service.schemas.policies import PolicySettings
from workers.files import settings_hash
from workers.jobs.delivery import JobRun
from workers.jobs.grounds import games_made_of, ground_of, loop_of_games, source_of, splits_of
from workers.jobs.project import ProjectData
from workers.policy.comparing import Comparison, saved
from workers.policy.ground import Ground, contests_of
from workers.policy.shipped import shipped_digest, shipped_policy
from workers.training.checkpoints import Policy

# Those of the baselines that did best where all were played, and random, against which labels are saved.
BASELINES = ("class-balanced", "entropy", "bvsb", "diverse")


def compared(run: JobRun, project: ProjectData, policy: Policy, games: int) -> dict[str, Any]:
    """Who won, by how much, and what that saves, as JSON values for the job's result; empty where no game can be compared.

    Each game is put away, and the job's slice may end after any. The winner is the contender of the largest mean area; the
    shipped policy where the policy is not ahead of it.
    """
    comparison, made_of = _comparison(run, project, policy, games)
    store = run.state("comparison")
    kept = json.loads(store.load() or b"{}")
    if kept.get("made_of") == made_of:
        comparison.load(kept["curves"])
    total = games * len(comparison.contenders)

    def on_round() -> None:
        if run.called_off:
            run.pause()

    while not comparison.done:
        run.report(0.99, f"policy: held-out game {comparison.played + 1} of {total}")
        comparison.play(on_round)
        store.save(json.dumps({"made_of": made_of, "curves": comparison.meta()}).encode())
        if run.interrupted and not comparison.done:
            run.pause()
    return _result(comparison)


def _comparison(run: JobRun, project: ProjectData, policy: Policy, games: int) -> tuple[Comparison, str]:
    """The games, and what they are made of, in a hash. Those that this process made in an earlier slice are gone on with."""
    settings = PolicySettings.model_validate({**named_policies()["blend"], "group": "main"})
    source = source_of(project)
    loop, splits = loop_of_games(project, settings), splits_of(project, source)
    weights = {name: tensor.tolist() for name, tensor in policy.state_dict().items()}
    games_go_by = games_made_of(project, source, splits, settings, loop)
    made_of = settings_hash([games_go_by, weights, shipped_digest(), BASELINES, games])
    key = f"comparison {run.job_id} {made_of}"
    if key not in run.worker.between_slices:
        run.worker.between_slices[key] = _built(
            project, settings, ground_of(project, source, splits, loop), policy, games
        )
    comparison: Comparison = run.worker.between_slices[key]
    return comparison, made_of


def _built(project: ProjectData, settings: PolicySettings, ground: Ground, policy: Policy, games: int) -> Comparison:
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
    if not areas:
        return {}
    winner = max(areas, key=lambda name: (areas[name], name == SHIPPED_POLICY))
    return {
        "winner": winner,
        "compared": {
            "games": len(comparison.whole),
            "areas": {name: round(area, 3) for name, area in areas.items()},
            "ahead": {
                name: [round(each, 3) if math.isfinite(each) else None for each in comparison.ahead(winner, name)]
                for name in areas
                if name != winner
            },
            "courses": {name: comparison.course(name) for name in dict.fromkeys((winner, RANDOM))},
        },
        "saved": None if winner == RANDOM else asdict(saved(comparison.of(winner), comparison.of(RANDOM))),
    }
