"""What a run consists of: what all its works share, the works, and which of them wait for which, by their titles."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from service.domain.classes import ClassSet
from service.domain.methods import BASELINES, REFERENCES, Method
from service.schemas.policies import MAIN, MAKING
from workers.experiments.settings import Experiment
from workers.files import settings_hash
from workers.policy.ground import SourceError, require_source

Stage = Literal["source", "theta0", "clicks", "full", "headroom", "policy", "trajectory"]
Protocol = Literal["per-pool", "global"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
FULL_SEEDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all works of a run share. `out` holds cache, states and results; on several machines it is one shared folder.

    feature_bytes: how large the features there may be together; None: as suits the data set and the disk. players: processes
    that play the games of one search side by side.
    """

    experiment: Experiment
    root: Path | None
    out: Path
    budgets: tuple[int, ...] = ()
    group: str = "main"
    full_seeds: int = FULL_SEEDS
    tensorboard: bool = False
    feature_bytes: int | None = None
    players: int = 1

    def to_json(self) -> dict[str, Any]:
        """As JSON values; paths are absolute, since another process reads them."""
        return {
            "experiment": self.experiment.model_dump(mode="json"),
            "root": None if self.root is None else str(self.root.absolute()),
            "out": str(self.out.absolute()),
            "budgets": list(self.budgets),
            "group": self.group,
            "full_seeds": self.full_seeds,
            "tensorboard": self.tensorboard,
            "feature_bytes": self.feature_bytes,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of to_json. Raises ValueError for settings that an experiment does not have."""
        return cls(
            experiment=Experiment.model_validate(values["experiment"]),
            root=None if values["root"] is None else Path(values["root"]),
            out=Path(values["out"]),
            budgets=tuple(values["budgets"]),
            group=values["group"],
            full_seeds=values["full_seeds"],
            tensorboard=values["tensorboard"],
            feature_bytes=values.get("feature_bytes"),  # an earlier version sends none
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One process's piece. `name` is a trajectory's method or a policy's name; `after` are titles of works before it."""

    stage: Stage
    name: str = ""
    protocol: Protocol = "per-pool"
    seed: int = 0
    after: tuple[str, ...] = ()

    @property
    def method(self) -> Method:
        """A trajectory's method."""
        return Method.parse(self.name)

    @property
    def title(self) -> str:
        """Its name for people, unique in a run."""
        match self.stage:
            case "trajectory":
                protocol = "" if self.protocol == "per-pool" else f" ({self.protocol})"
                return f"{self.name}{protocol}, seed {self.seed}"
            case "policy":
                return f"policy {self.name}"
            case "full":
                return f"full supervision, seed {self.seed}"
            case "source" | "theta0":
                return {"source": "theta_pre", "theta0": "theta_0"}[self.stage]
            case _:
                return self.stage

    @property
    def slug(self) -> str:
        """Its title as a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what it waits for."""
        return {"stage": self.stage, "name": self.name, "protocol": self.protocol, "seed": self.seed}


def methods_of(text: str, experiment: Experiment, away: Mapping[str, str]) -> list[Method]:
    """Methods from a list with commas. Raises ValueError naming those there are, and for policies that cannot be trained here.

    `all` stands for every method but the policies of ablations, for which `ablations` stands, and in both those that cannot be
    trained are `away` (as `away_from` says). `learned` and `learned-untrained` without a policy's name mean the policy "paper".
    """
    main = [name for name, policy in experiment.policies.items() if policy.group == MAIN]
    baselines, references = ([Method(name=name) for name in names] for names in (BASELINES, REFERENCES))
    learned = [Method.learned(name) for name in main]
    # What comes trained has the control of what it is based on.
    learned += [Method.untrained(name) for name in main if not experiment.policy(name).ready]
    others = [Method.learned(name) for name in experiment.policies if name not in main]
    ablations = [method for method in others if experiment.policy(method.policy).group != MAKING]
    known = {str(method): [method] for method in (*baselines, *learned, *references, *others)}
    there = [method for method in learned if method.policy not in away]
    ablations = [method for method in ablations if method.policy not in away]
    several = {"all": [*baselines, *there, *references], "ablations": ablations}
    short = {method.head: [method] for method in (*learned, *others) if method.policy == "paper"}
    methods: list[Method] = []
    for part in parts_of(text):
        found = (several | known | short).get(part)
        if found is None:
            raise ValueError(f"There is no method {part!r}; there are {', '.join((*known, *several))}.")
        methods += found
    _require_there([method.policy for method in methods if method.is_learned], away)
    if not methods:
        raise ValueError(f"At least one method is needed; there are {', '.join((*known, *several))}.")
    return list(dict.fromkeys(methods))


def away_from(experiment: Experiment, classes: ClassSet) -> dict[str, str]:
    """The policies of an experiment that cannot be trained where these are the classes, and why: by what their sources need."""
    found = {}
    for name, policy in experiment.policies.items():
        try:
            for source in () if policy.ready else policy.sources:
                require_source(source, classes, refits=experiment.learning == "refit")
        except SourceError as error:
            found[name] = str(error)
    return found


def _require_there(policies: Iterable[str], away: Mapping[str, str]) -> None:
    for name in policies:
        if name in away:
            raise ValueError(f"The policy {name} cannot be trained here. {away[name]}")


def policies_of(text: str | None, experiment: Experiment, away: Mapping[str, str]) -> list[str]:
    """Policies from a list with commas; without one, those of no ablation that can be trained here. Raises ValueError naming
    those there are, and for policies that are `away`.
    """
    main = [name for name, policy in experiment.policies.items() if policy.group == MAIN and name not in away]
    names = main if text is None else parts_of(text)
    for name in names:
        experiment.policy(name)
    _require_there(names, away)
    return list(dict.fromkeys(names))


def protocols_of(text: str) -> list[Protocol]:
    """Protocols from a list with commas. Raises ValueError naming those there are."""
    found = [each for part in parts_of(text) for each in PROTOCOLS if each == part]
    if not found or len(found) != len(parts_of(text)):
        raise ValueError(f"There is no protocol {text!r}; there are {', '.join(PROTOCOLS)}.")
    return list(dict.fromkeys(found))


def source_work() -> Work:
    """theta_pre."""
    return Work(stage="source")


def theta0_work() -> Work:
    """theta_0, where it is another network than theta_pre."""
    return Work(stage="theta0", after=_titles(source_work()))


def start_of(experiment: Experiment) -> Work:
    """The work whose outcome every trajectory and full supervision start from."""
    return source_work() if experiment.theta0 == "source" else theta0_work()


def clicks_work() -> Work:
    """The clicks that draw each region of the pool."""
    return Work(stage="clicks")


def policy_work(name: str) -> Work:
    """A policy's training."""
    return Work(stage="policy", name=name, after=_titles(source_work()))


def full_work(experiment: Experiment, seed: int) -> Work:
    """Full supervision with a seed."""
    return Work(stage="full", seed=seed, after=_titles(start_of(experiment)))


def trajectory_work(experiment: Experiment, method: Method, protocol: Protocol, seed: int) -> Work:
    """A method's trajectory: after its policy's training, where it acts by a trained one."""
    needed = [start_of(experiment), clicks_work()]
    if method.is_learned:
        needed.append(policy_work(method.policy))
    return Work(stage="trajectory", name=str(method), protocol=protocol, seed=seed, after=_titles(*needed))


def stage_works(experiment: Experiment, until: Literal["source", "theta0"]) -> list[Work]:
    """theta_pre, and theta_0 where it is another network."""
    return joined([source_work()], [start_of(experiment)] if until == "theta0" else [])


def policy_works(names: Iterable[str]) -> list[Work]:
    """The training of policies, and before it theta_pre."""
    return joined([source_work()], [policy_work(name) for name in names])


def trajectory_works(
    experiment: Experiment, methods: Sequence[Method], protocols: Sequence[Protocol], seeds: Sequence[int]
) -> list[Work]:
    """Every method under every protocol with every seed, and what they need. Seeds change slowest: each is complete early."""
    policies = [policy_work(method.policy) for method in methods if method.is_learned]
    works = [
        trajectory_work(experiment, method, protocol, seed)
        for seed in seeds
        for protocol in protocols
        for method in methods
    ]
    return joined(stage_works(experiment, "theta0"), [clicks_work()], policies, works)


def headroom_works(experiment: Experiment, seeds: int, trajectories: Sequence[Work] = ()) -> list[Work]:
    """Full supervision with each seed, then the table; after random's trajectories, whose spread it looks at."""
    full = [full_work(experiment, seed) for seed in range(seeds)]
    random = [each for each in trajectories if each.stage == "trajectory" and each.method == Method(name="random")]
    table = Work(stage="headroom", after=_titles(clicks_work(), *full, *random))
    return joined(stage_works(experiment, "theta0"), [clicks_work()], full, [table])


def whole_run(experiment: Experiment, trajectories: Sequence[Work], full_seeds: int) -> list[Work]:
    """Trajectories with all that they need, and the headroom.

    What trajectories wait for comes first, for policies are long and many wait for them; then full supervision.
    """
    needed = [work for work in trajectories if work.stage != "trajectory"]
    return joined(needed, headroom_works(experiment, full_seeds, trajectories), trajectories)


def joined(*groups: Sequence[Work]) -> list[Work]:
    """Works of several groups, each once: in the order given, but none before what it waits for.

    Raises ValueError where works wait for each other.
    """
    left = {work.title: work for group in groups for work in group}
    ordered: list[Work] = []
    while left:
        ready = next((work for work in left.values() if left.keys().isdisjoint(work.after)), None)
        if ready is None:
            raise ValueError(f"These works wait for each other: {', '.join(left)}.")
        ordered.append(left.pop(ready.title))
    return ordered


def _titles(*works: Work) -> tuple[str, ...]:
    return tuple(work.title for work in works)


def key_of(run: Run, work: Work) -> str:
    """A name for a work of a run, equal for equal ones. How much disk it may take changes nothing of what it brings."""
    of_run = {name: value for name, value in run.to_json().items() if name != "feature_bytes"}
    return f"{work.slug}-{settings_hash([of_run, work.to_json()])}"


def parts_of(text: str) -> list[str]:
    """What a list with commas names."""
    return [part.strip() for part in text.split(",") if part.strip()]
