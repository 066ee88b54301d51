"""What an experiment is: its settings, read from a preset and overridden by name, and what each stage depends on."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.dqn import DQNSettings
from models.fit import TrainSettings
from workers.checkpoints import settings_hash
from workers.episodes import EpisodeSettings
from workers.proposal import LoopSettings
from workers.training import ConvergeSettings

PRESETS = Path(__file__).parent / "presets"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(_Settings):
    """SGD on crops, docs/method.md, 8. The learning rate stays."""

    crop_height: int = Field(224, ge=8)
    crop_width: int = Field(224, ge=8)
    batch: int = Field(32, ge=1)
    lr: float = Field(1e-3, gt=0)
    momentum: float = 0.95
    weight_decay: float = 1e-4
    clip: float = 4.0

    def built(self) -> TrainSettings:
        """As the models take it."""
        return TrainSettings(
            crop=(self.crop_height, self.crop_width),
            batch=self.batch,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            clip=self.clip,
        )


class Convergence(Training):
    """Training until mIoU on D_R stops rising."""

    patience: int = Field(150, ge=1)
    max_epochs: int = Field(1000, ge=1)
    evaluate_every: int = Field(1, ge=1)

    def converge(self) -> ConvergeSettings:
        """As workers.training takes it."""
        return ConvergeSettings(
            train=self.built(),
            patience=self.patience,
            max_epochs=self.max_epochs,
            evaluate_every=self.evaluate_every,
        )


class Source(Convergence):
    """theta_pre: trained on synthetic streets, early stopping on scenes held out."""

    images: int = Field(1000, ge=0, description="Scenes; 0: theta_pre is fresh weights.")


class Policy(_Settings):
    """The game that trains the policy, docs/method.md, 7."""

    episodes: int = Field(100, ge=1)
    budget: int = Field(480, ge=1)
    pool_size: int = Field(20, ge=1)
    updates_per_round: int = Field(1, ge=1)
    capacity: int = Field(600, ge=1)
    batch: int = Field(16, ge=2)
    gamma: float = 0.999
    sync_every: int = Field(5, ge=1)
    lr: float = 1e-3
    loss: Literal["huber", "squared"] = "huber"
    double: Literal["standard", "paper"] = "standard"
    epsilon_rounds: float = Field(10.0, gt=0)


class Experiment(_Settings):
    """Everything that decides an experiment's figures, but for strategies, seeds and budgets."""

    dataset: str
    height: int | None = None
    width: int | None = None
    cell_height: int = 90
    cell_width: int = 80
    segmenter: str = "fpn"
    segmenter_width: int = 32
    dropout: float = 0.2
    batch_size: int = 24
    pool_size: int = 10
    pool_size_per_strategy: dict[str, int] = Field(default_factory=dict)
    sampling: Literal["uniform", "images"] = "images"
    protocol: Literal["per-pool", "global"] = "per-pool"
    passes: int = 1
    reward_images: int | None = Field(None, ge=1, description="Use only this many images of D_R, evenly spaced.")
    theta0: Literal["source", "dt"] = Field("dt", description="Whether theta_0 has seen D_T's labels.")
    counts: dict[str, int] = Field(default_factory=dict, description="Images per split, for synthetic streets.")
    round: Training = Training()
    source: Source = Source()
    theta0_training: Convergence = Convergence()
    converge: Convergence = Convergence()
    policy: Policy = Policy()

    def loop(self, classes: int, strategy: str | None = None) -> LoopSettings:
        """A round's settings for a strategy; without one, those of policy training."""
        size = self.policy.pool_size
        if strategy is not None:
            size = self.pool_size_per_strategy.get(strategy, self.pool_size)
        return LoopSettings(
            classes=classes,
            cell_height=self.cell_height,
            cell_width=self.cell_width,
            batch_size=self.batch_size,
            pool_size=size,
            sampling=self.sampling,
            protocol=self.protocol if strategy is not None else "per-pool",
            passes=self.passes,
            train=self.round.built(),
        )

    def episodes(self, classes: int) -> EpisodeSettings:
        """The policy's game."""
        each = self.policy
        dqn = DQNSettings(
            capacity=each.capacity,
            batch=each.batch,
            gamma=each.gamma,
            sync_every=each.sync_every,
            lr=each.lr,
            loss=each.loss,
            double=each.double,
            epsilon_rounds=each.epsilon_rounds,
        )
        return EpisodeSettings(
            loop=self.loop(classes),
            dqn=dqn,
            episodes=each.episodes,
            budget=each.budget,
            updates_per_round=each.updates_per_round,
        )

    def key(self, stage: Literal["source", "theta0", "policy", "trajectory"], *more: Any) -> str:
        """A hash of what a stage's outcome depends on: its own settings and those of the stages before it."""
        everything = self.model_dump(mode="json")
        shared = ("dataset", "height", "width", "segmenter", "segmenter_width", "dropout", "counts")
        parts: dict[str, tuple[str, ...]] = {
            "source": (*shared, "source"),
            "theta0": (*shared, "source", "theta0", "theta0_training", "reward_images"),
        }
        parts["policy"] = (
            *parts["source"], "cell_height", "cell_width", "batch_size", "sampling", "passes", "round", "policy", "reward_images"
        )  # fmt: skip
        parts["trajectory"] = tuple(key for key in everything if key != "policy")
        return settings_hash([stage, {key: everything[key] for key in parts[stage]}, more])


def read_preset(preset: str, dataset: str, overrides: Sequence[str] = ()) -> Experiment:
    """The preset `PRESET-DATASET.toml` (or a path), with `name=value` or `table.name=value` over it. Raises ValueError."""
    path = Path(preset) if preset.endswith(".toml") else PRESETS / f"{preset}-{dataset}.toml"
    if not path.is_file():
        there = ", ".join(sorted(each.stem for each in PRESETS.glob("*.toml")))
        raise ValueError(f"There is no preset {path.stem}; there are {there}, or give the path of a .toml file.")
    values = tomllib.loads(path.read_text())
    for override in overrides:
        _override(values, override)
    return Experiment.model_validate({**values, "dataset": dataset})


def _override(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"--set takes name=value, not {override!r}.")
    *tables, last = name.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text
