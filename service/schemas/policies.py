"""Policies over the wire: what one is trained with, and those that have a name."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAIN = "main"
# A game, or a network, that does not use a setting refuses it: it would enter the cache's key and do nothing.
_OF_SURROGATE = ("sources", "twin", "redraw")
_OF_REGIONWISE = (
    "deep",
    "width",
    "dueling",
    "state_encoder",
    "class_relative",
    "similarity",
    "uncertainty",
    "state",
    "guide",
)


class PolicySettings(BaseModel):
    """One policy and the game that trains it, docs/method.md, 7 and 11. The defaults are the paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field(MAIN, description='What its trajectories are compared in: "main", or "ablation:NAME".')
    network: Literal["paper", "regionwise"] = "paper"
    game: Literal["real", "surrogate"] = Field(
        "real", description="Which game: f itself, or a head on frozen features."
    )
    sources: tuple[str, ...] = Field(
        ("own",),
        description='Where it plays: "own" (D_T), or "streets:SEED" and "streets:SEED:CLASSES", any number of them.',
    )
    episodes: int = Field(100, ge=1)
    budget: int = Field(480, ge=1)
    batch_size: int | None = Field(None, ge=1, description="K of its games; none: the experiment's.")
    pool_size: int = Field(20, ge=1)
    updates_per_round: int = Field(1, ge=1)
    capacity: int = Field(600, ge=1)
    batch: int = Field(16, ge=2)
    gamma: float = 0.999
    sync_every: int = Field(5, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 1e-3
    weight_decay: float = Field(1e-3, ge=0)
    clip: float | None = None
    feature_dropout: float = Field(0.0, ge=0, lt=1, description="Chance that an update does not see a feature.")
    explore: Literal["regions", "rounds"] = Field(
        "regions",
        description="What is left to chance: each region asked for, or a whole round, asked for by a network of new weights.",
    )
    feature_noise: float = Field(0.0, ge=0, description="Standard deviation of what is added to features in updates.")
    loss: Literal["huber", "squared"] = "huber"
    double: Literal["standard", "paper"] = "standard"
    epsilon_rounds: float = Field(10.0, gt=0)
    n_step: int = Field(1, ge=1)
    prioritised_alpha: float = Field(0.0, ge=0)
    prioritised_beta: float = Field(0.4, ge=0, le=1)
    twin: bool = Field(False, description="Rewards are differences to a twin that asked at random with the same draws.")
    standardise: bool = Field(False, description="Rewards are divided by their running standard deviation.")
    deep: bool = Field(True, description="Beside weighted acquisition scores, a head over all that the policy sees.")
    width: int = Field(32, ge=4)
    dueling: bool = True
    state_encoder: Literal["attention", "mean", "list"] = "attention"
    class_relative: bool = True
    similarity: bool = True
    uncertainty: bool = True
    state: bool = True
    redraw: bool = Field(
        False, description="Every game draws anew which images of D_T and D_R it plays on and which reward it."
    )
    guide: bool = Field(True, description="What segmenters trained on D_T expect of a region is among its features.")

    @model_validator(mode="after")
    def _uses_what_it_sets(self) -> "PolicySettings":
        unused = (
            []
            if self.game == "surrogate"
            else [(name, "the real game", "game = 'surrogate'") for name in _OF_SURROGATE]
        )
        if self.network == "paper":
            unused += [(name, "the paper's network", "network = 'regionwise'") for name in _OF_REGIONWISE]
        if not self.prioritised_alpha:
            unused.append(("prioritised_beta", "uniform replay", "prioritised_alpha above 0"))
        for name, user, instead in unused:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is not used by {user}: leave it out, or set {instead}.")
        return self

    @property
    def guided(self) -> bool:
        """Whether the policy looks at what a guide expects."""
        return self.network == "regionwise" and self.guide


@cache
def unbased_policies() -> Mapping[str, Mapping[str, Any]]:
    """What each policy with a name sets itself; its `base` names the policy that it changes."""
    return tomllib.loads(Path(__file__).with_name("policies.toml").read_text())


@cache
def named_policies() -> Mapping[str, Mapping[str, Any]]:
    """All that each policy with a name sets."""
    return with_bases(unbased_policies())


def with_bases(policies: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Policies' values, each over those of the policy that its `base` names. Raises ValueError for a base that is not there."""
    return {name: _over_base(name, policies) for name in policies}


def _over_base(name: str, policies: Mapping[str, Mapping[str, Any]], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if name not in policies or name in seen:
        raise ValueError(
            f"The policy {(*seen, name)[0]} is based on {name!r}, which is not there or goes round in a circle."
        )
    own = dict(policies[name])
    base = own.pop("base", None)
    return own if base is None else {**_over_base(base, policies, (*seen, name)), **own}
