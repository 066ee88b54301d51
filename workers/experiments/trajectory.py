"""One trajectory of an experiment: a strategy and a seed, played through all budgets, put away after every round."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.fit import FitState
from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from models.strategies import Strategy, build_strategy
from service.domain.divided import pool_of
from service.domain.methods import Method
from service.domain.metrics import distribution_entropy, iou_per_class, mean_iou
from workers.chance import derived_seed
from workers.experiments.policies import trained_policy, untrained_policy
from workers.experiments.scalars import add_present
from workers.experiments.stages import Bench, fit_head, fresh, theta_0
from workers.files import FileState, settings_hash, write_atomically
from workers.loop import ActiveLearner
from workers.loop.labelled import Answer, LabelledSet, LabelledView
from workers.loop.oracle import Oracle, restore, take
from workers.loop.round import groups_of
from workers.training.building import copy_of, with_fresh_head
from workers.training.checkpoints import from_bytes, to_bytes
from workers.training.convergence import Material, measure
from workers.training.resumable import converge_resumably


def strategy_of(bench: Bench, method: Method, seed: int) -> Strategy:
    """The strategy of a method, with the policy that it acts by: trained once for the experiment, or untrained."""
    if method.is_learned:
        return build_strategy(method.name, trained_policy(bench, method.policy, 0))
    if method.is_untrained:
        return build_strategy(method.name, untrained_policy(bench, method.policy, seed))
    return build_strategy(method.name)


class Trajectory:
    """Plays ask, oracle, tell until the last budget; at each budget a copy is trained on and tested."""

    def __init__(
        self,
        bench: Bench,
        *,
        method: Method,
        seed: int,
        budgets: Sequence[int],
        out: Path,
        group: str = "main",
    ) -> None:
        """`group` says in the record what the trajectory was played for: "main", or "ablation:NAME"."""
        self._bench, self.method, self.seed, self.budgets = bench, method, seed, sorted(set(budgets))
        self._group = group
        key = settings_hash([bench.experiment.method_key(method, seed), self._cut_short()])
        self._oracle = Oracle(bench.split("pool"))
        self._folder = out / "trajectories"
        self._name = f"{bench.experiment.dataset}-{re.sub('[: ]', '-', str(method))}-{seed}-{key}"
        self._state = FileState(self._folder / f"{self._name}.state")
        self._rounds: list[dict[str, Any]] = []
        self._round = 0

    def _cut_short(self) -> list[int]:
        """Budgets that whole rounds from the one before do not reach: they cut one short, and so are part of what is played."""
        found, at = list[int](), 0
        for budget in self.budgets:
            if (budget - at) % self._bench.experiment.batch_size:
                found.append(budget)
                at = budget
        return found

    @property
    def result_path(self) -> Path:
        """JSON of what was measured so far; budgets come in as they are reached."""
        return self._folder / f"{self._name}.json"

    def results(self) -> dict[str, Any]:
        """What is known so far: the record, with one entry for each budget that was measured."""
        experiment, classes = self._bench.experiment, list(self._bench.dataset.classes.names)
        if self.result_path.exists():
            record: dict[str, Any] = json.loads(self.result_path.read_text())
            record.setdefault("classes", classes)  # a record of before does not have them
            return record
        return {
            "dataset": experiment.dataset,
            "preset": experiment.name,
            "method": str(self.method),
            "protocol": experiment.protocol,
            "seed": self.seed,
            "group": self._group,
            "classes": classes,
            "experiment": experiment.recorded(),
            "budgets": {},
        }

    def run(self) -> dict[str, Any]:
        """Play what is left to play."""
        record = self.results()
        missing = [budget for budget in self.budgets if str(budget) not in record["budgets"]]
        if not missing:
            return record
        self._require_after(record, missing[0])
        torch.use_deterministic_algorithms(True, warn_only=True)
        active, answers = self._begin(record, missing[0])
        for budget in missing:
            while active.labelled.cells < budget and active.pool.left:
                size = min(self._bench.experiment.batch_size, math.ceil(budget - active.labelled.cells))
                self._tell(active, self._oracle.answer(active.ask(size, round_number=self._round)), answers)
            entry = record["budgets"][str(budget)] = self._measure(active, budget)
            add_present(self._bench.scalars, entry["regions"], miou=entry["miou"])
            if len(self._rounds) > len(record.get("rounds", ())):  # it knows more where a budget in between was missing
                record["rounds"] = list(self._rounds)
                record["asked"] = [[answer.image, answer.cell] for answer in answers]
            write_atomically(self.result_path, json.dumps(record, indent=1).encode())
            self._state_at(budget).clear()
        return record

    def _require_after(self, record: Mapping[str, Any], budget: int) -> None:
        """Regions of several sizes let any budget cut a round short: raises ValueError for one below those that are measured."""
        last = max(map(int, record["budgets"]), default=0)
        if self._bench.experiment.levels > 1 and budget < last:
            raise ValueError(
                f"{self.result_path} was measured at {last} regions, on a way that {budget} would change, for its regions are of "
                "several sizes: give this run another --out, or greater budgets."
            )

    def _tell(self, active: ActiveLearner, new: list[Answer], answers: list[Answer]) -> None:
        """Learn from a round's answers, add them to those before, and put the game away."""
        result = active.tell(new, round_number=self._round, measured=False)
        answers += new
        self._round += 1
        self._rounds.append({"regions": active.labelled.regions, "class_counts": result.class_counts.tolist()})
        self._put_away(active, answers)
        spread = distribution_entropy(active.labelled.counts().sum(axis=0))
        add_present(self._bench.scalars, active.labelled.regions, class_entropy=spread)
        done, total = active.labelled.cells, self.budgets[-1]
        self._report(0.7 * done / total, f"{done:g} of {total} regions")

    def _report(self, progress: float, message: str) -> None:
        self._bench.report(progress, f"{self.method}, seed {self.seed}: {message}")

    def _begin(self, record: Mapping[str, Any], first_budget: int) -> tuple[ActiveLearner, list[Answer]]:
        """The game as it was put away; where it was not, or past the first budget to measure, as its record has it."""
        bench = self._bench
        settings = bench.experiment.loop(bench.classes, self.method)
        saved, segmenter = self._state.load(), theta_0(bench, 0)
        checkpoint = None if saved is None else from_bytes(saved)
        places = () if checkpoint is None else checkpoint.description["regions"]
        answers = self._oracle.answers_at(places, settings)
        if checkpoint is not None and sum(answer.share for answer in answers) > first_budget:
            checkpoint = None
        if checkpoint is not None and isinstance(segmenter, FrozenSegmenter):
            segmenter = with_fresh_head(segmenter, 0, stride=checkpoint.description.get("stride"))
        active = ActiveLearner(
            segmenter=segmenter,
            strategy=strategy_of(bench, self.method, self.seed),
            pool=pool_of(groups_of(bench.split("pool"), settings), settings.levels),
            labelled=LabelledSet(bench.classes),
            images=bench.split("pool"),
            state=bench.split("state"),
            reward=bench.split("reward"),
            settings=settings,
            seed=self.seed,
            truth=bench.split("pool"),
            budget=bench.experiment.budget,
            known=[bench.split(name) for name in bench.experiment.known_splits],
        )
        if checkpoint is None:
            return active, self._told_again(active, record, first_budget)
        active.segmenter.load_state_dict(checkpoint.weights)
        active.learner.resume(checkpoint.extra, None)
        self._round, self._rounds = checkpoint.description["round"], checkpoint.description["rounds"]
        restore(answers, active.labelled, active.pool)
        return active, answers

    def _told_again(self, active: ActiveLearner, record: Mapping[str, Any], first_budget: int) -> list[Answer]:
        """Learn from what a record says was asked for, up to a budget: a round depends on nothing but what was told before it."""
        answers: list[Answer] = []
        for earlier in record.get("rounds", ()):
            places = record["asked"][len(answers) : earlier["regions"]]
            new = self._oracle.answers_at(places, active.settings)
            if active.labelled.cells + sum(answer.share for answer in new) > first_budget:
                break
            take(new, active.pool)
            self._tell(active, new, answers)
        return answers

    def _put_away(self, active: ActiveLearner, answers: list[Answer]) -> None:
        description = {
            "round": self._round,
            "rounds": self._rounds,
            "regions": [[answer.image, answer.cell] for answer in answers],
            **_stride_of(active.segmenter),
        }
        self._state.save(to_bytes(description, active.segmenter.state_dict(), active.learner.momentum))

    def _state_at(self, budget: int) -> FileState:
        return FileState(self._folder / f"{self._name}.{budget}.state")

    def _measure(self, active: ActiveLearner, budget: int) -> dict[str, Any]:
        """Train a copy to convergence on all of L, or fit its head further to that, and test it."""
        if isinstance(active.segmenter, FrozenSegmenter):
            return self._tested(active, self._fitted(active, active.segmenter, budget), None)
        return self._tested(active, *self._converged(active, budget))

    def _fitted(self, active: ActiveLearner, segmenter: FrozenSegmenter, budget: int) -> FrozenSegmenter:
        bench = self._bench
        self._report(budget / self.budgets[-1], f"fitting at {budget}")
        copy, settings = copy_of(segmenter), bench.experiment.refit
        fit_head(
            bench,
            copy,
            known=[bench.split(name) for name in bench.experiment.known_splits],
            seed=derived_seed(self.seed, "budget", budget),
            labelled=active.labelled,
            settings=replace(settings.built(), steps=settings.judge_steps),
        )
        return copy

    def _converged(self, active: ActiveLearner, budget: int) -> tuple[Segmenter, FitState | None]:
        bench = self._bench
        copy: Segmenter = fresh(bench, 0)
        copy.load_state_dict(active.segmenter.state_dict())
        settings = bench.experiment.converge
        share = 0.3 / len(self.budgets)

        epochs = settings.converge().epochs(active.labelled.regions)

        def keep_going(fit: FitState) -> bool:
            before = 0.7 * budget / self.budgets[-1] + share * self.budgets.index(budget)
            self._report(before + share * fit.epoch / epochs, f"converging at {budget}, epoch {fit.epoch}")
            return True

        fit = converge_resumably(
            copy,
            Material(source=LabelledView(active.images, active.labelled), examples=active.labelled.examples),
            reward=bench.split("reward"),
            classes=bench.classes,
            settings=settings.converge(),
            seed=derived_seed(self.seed, "budget", budget),
            store=self._state_at(budget),
            keep_going=keep_going,
        )
        return copy, fit

    def _tested(self, active: ActiveLearner, segmenter: Segmenter, fit: FitState | None) -> dict[str, Any]:
        confusion = measure(segmenter, self._bench.split("test"), classes=self._bench.classes)
        counts = active.labelled.counts().sum(axis=0)
        return {
            "regions": active.labelled.regions,
            **({"cells": active.labelled.cells} if self._bench.experiment.levels > 1 else {}),
            "pixels": int(counts.sum()),
            **(_stride_of(segmenter) if self._bench.experiment.stride_by_labels else {}),
            "miou": mean_iou(confusion),
            "iou_per_class": [None if np.isnan(v) else float(v) for v in iou_per_class(confusion)],
            "class_counts": counts.tolist(),
            "class_entropy": distribution_entropy(counts),
            "epochs": None if fit is None else fit.epoch,
        }


def _stride_of(segmenter: Segmenter) -> dict[str, int]:
    """How fine a frozen encoder's features are, by its name in records; nothing of another."""
    return {"stride": segmenter.stride} if isinstance(segmenter, FrozenSegmenter) else {}
