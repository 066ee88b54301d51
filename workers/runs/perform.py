"""Does one work of a run in this process, with the data set kept decoded from one work to the next."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from service.schemas.policies import MAIN
from workers.datasets.base import Dataset
from workers.datasets.on_device import on_device
from workers.experiments.clicks import add_clicks, clicks_of_split
from workers.experiments.headroom import full_supervision, headroom
from workers.experiments.policies import contests_and_network, trained_policy
from workers.experiments.scalars import scalars_of
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, Report, open_experiment_data, theta_0, theta_pre
from workers.experiments.trajectory import Trajectory
from workers.files import settings_hash, write_atomically
from workers.policy.contest import Contest
from workers.policy.players import Players
from workers.policy.trainer import EPISODES_PER_TRIAL, RETURN_WINDOW
from workers.runs.room import feature_bound
from workers.runs.works import Run, Work
from workers.training.checkpoints import from_bytes
from workers.training.feature_cache import FeatureCache
from workers.training.looking import keep_features

# The data set that this process opened last: its works nearly always share one, and two would not fit many machines.
_kept: dict[str, Dataset] = {}


def perform(run: Run, work: Work, *, device: str, report: Report) -> None:
    """Do a work whose outcome is not yet there, or the rest of it; what it brings lies in the run's folder.

    Raises ValueError for a work that the run's experiment does not know.
    """
    experiment = run.experiment.model_copy(update={"protocol": work.protocol})

    def titled(done: float, text: str) -> None:  # a trajectory does not speak of its protocol
        report(done, text.replace(f"{work.name}, seed {work.seed}:", f"{work.title}:", 1))

    bench = replace(
        bench_of(run, experiment, device),
        report=titled,
        scalars=scalars_of(run.out, figures_name(experiment, work), tensorboard=run.tensorboard),
    )
    with _as_reproducible_as_can_be(alone=work.stage in ("source", "theta0")):
        _do(run, work, bench)
    report(1.0, f"{work.title}: done")


def bench_of(run: Run, experiment: Experiment, device: str) -> Bench:
    """Where works of a run are done, with nobody to tell of them yet; features are kept in the run's folder."""
    dataset, features = kept_data(experiment, run.root, device), run.out / "cache" / "features"
    bound = run.feature_bytes or feature_bound(experiment, dataset, features)
    keep_features(FeatureCache(features, disk_bytes=bound))
    return Bench(
        experiment=experiment, dataset=dataset, cache=run.out / "cache", device=device, report=lambda done, text: None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPlayers:
    """Makes, in another process, what a player of a policy's search needs."""

    run: Run
    name: str
    device: str

    def __call__(self) -> tuple[list[Contest], nn.Module]:
        """The contests and a network; torch runs as for the policy itself."""
        return contests_and_network(bench_of(self.run, self.run.experiment, self.device), self.name, 0)


def kept_data(experiment: Experiment, root: Path | None, device: str = "cpu") -> Dataset:
    """The experiment's data set, opened unless this process has it open; on an accelerator it stays there."""
    names = {"dataset", "height", "width", "counts", "reading"}
    key = settings_hash([experiment.model_dump(mode="json", include=names), str(root), device])
    if key not in _kept:
        _kept.clear()
        _kept[key] = on_device(open_experiment_data(experiment, root), device)
    return _kept[key]


def figures_name(experiment: Experiment, work: Work) -> str:
    """Under which a work's figures are written: with a short hash, since variants of an experiment may share a folder."""
    match work.stage:
        case "trajectory":
            return f"{work.slug}-{experiment.method_key(work.method, work.seed)[:6]}"
        case "policy":
            return f"{work.slug}-{experiment.policy_key(work.name, 0)[:6]}"
        case _:
            return work.slug


def _do(run: Run, work: Work, bench: Bench) -> None:
    match work.stage:
        case "source":
            theta_pre(bench, 0)
        case "theta0":
            theta_0(bench, 0)
        case "clicks":
            clicks_of_split(bench, "pool")
        case "full":
            full_supervision(bench, work.seed)
        case "headroom":
            headroom(bench, range(run.full_seeds), run.out)
        case "policy":
            build = ForPlayers(run=run, name=work.name, device=bench.device)
            trained_policy(bench, work.name, 0, None if run.players < 2 else lambda: Players(build, run.players))
            _write_policy_record(run, work, bench)
        case "trajectory":
            _play(run, work, bench)


def _play(run: Run, work: Work, bench: Bench) -> None:
    own = MAIN if work.method.is_plain else run.experiment.policy(work.method.policy).group
    group = run.group if own == MAIN else own
    trajectory = Trajectory(bench, method=work.method, seed=work.seed, budgets=run.budgets, out=run.out, group=group)
    record = trajectory.run()
    known = json.dumps(record)
    add_clicks(record, bench)
    if json.dumps(record) != known:
        write_atomically(trajectory.result_path, json.dumps(record, indent=1).encode())


def _write_policy_record(run: Run, work: Work, bench: Bench) -> None:
    """out/policies/NAME.json: how the policy's training went, for the report."""
    description = from_bytes(bench.path("policy", bench.experiment.policy_key(work.name, 0)).read_bytes()).description
    settings, returns = bench.experiment.policy(work.name), description["returns"]
    # A search keeps what it has come to in the end; its trials are of different games.
    best = len(returns) - 1 if settings.searched else best_episode(returns, description.get("trials"))
    record: dict[str, Any] = {
        "dataset": bench.experiment.dataset,
        "preset": bench.experiment.name,
        "name": work.name,
        "returns": returns,
        "game": "real" if description.get("trials") is None else "frozen",
        "best_episode": best,
        "settings": settings.model_dump(mode="json"),
    }
    write_atomically(run.out / "policies" / f"{work.name}.json", json.dumps(record, indent=1).encode())


def best_episode(returns: Sequence[float], trials: Sequence[float] | None = None) -> int | None:
    """Number, from 0, of the episode after which the policy was kept; None where none was played.

    Where trials were held every few episodes it is that of the first of the best, else that after which the mean of the last
    returns was highest, the later of equals.
    """
    if trials:
        return min((trials.index(max(trials)) + 1) * EPISODES_PER_TRIAL, len(returns)) - 1
    first = min(RETURN_WINDOW, len(returns))
    means = {
        last: mean(returns[max(0, last - RETURN_WINDOW) : last]) for last in range(max(1, first), len(returns) + 1)
    }
    return max(means, key=lambda last: (means[last], last)) - 1 if means else None


@contextmanager
def _as_reproducible_as_can_be(*, alone: bool) -> Iterator[None]:
    """Deterministic kernels, and one thread but for works that run alone; afterwards as it was, for the worker's other tasks.

    On a CPU figures depend on the number of threads, and so must not depend on how many works run at once.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads((os.cpu_count() or 1) if alone else 1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
