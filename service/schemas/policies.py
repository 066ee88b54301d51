"""Policies over the wire: what one is trained with, and those that have a name."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo

from service.schemas.fields import Input
from service.schemas.named_policies import named_policies
from service.schemas.sources import OWN, Source, check_sources, require_project_classes

MAIN = "main"
MAKING = "making"  # not played, but to make another
# A network that does not use a setting refuses it: it would enter the cache's key and do nothing.
_OF_REGIONWISE = ("deep", "width", "dueling", "state_encoder", "class_relative", "uncertainty", "state")
_OF_SEARCH = ("population", "known")
_OF_DQN = (
    *("updates_per_round", "capacity", "batch", "gamma", "sync_every", "optimizer", "lr", "weight_decay", "clip"),
    *("feature_dropout", "explore", "feature_noise", "loss", "double", "epsilon_rounds", "n_step"),
    *("prioritised_alpha", "prioritised_beta", "twin", "standardise", "influence", "imitate", "halves"),
)
CAME_LAST = frozenset({"known", "halves", "imitate", "covers"})
CAME_LATER = frozenset({"influence", "ready", "population", "deviation", "blank"}) | CAME_LAST
# Settings that an earlier version's jobs may carry, of a game that is gone.
_GONE = ("game", "redraw")


class PolicySettings(BaseModel):
    """One policy and the games that train it, docs/method.md, 7, and docs/regionwise-policy.md. The defaults are the paper's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str = Field(MAIN, description='What its trajectories are compared in: "main", "making", or "ablation:NAME".')
    network: Literal["paper", "regionwise", "blend", "turns"] = Field(
        "paper",
        description="The paper's query network; ours, which holds for any classes and any state set; a weighted sum of "
        "scores, chosen in turn, that a search of whole games finds; or a query network over what that sums up.",
    )
    sources: tuple[str, ...] = Field(
        ("own",),
        max_length=32,
        description='Where it plays: "own" (D_T), or, on a frozen encoder, "streets:SEED", "streets:SEED:CLASSES" and '
        '"shapes:SEED", any number of them. A search plays as often on one as it is named.',
    )
    episodes: int = Field(100, ge=1, le=10_000, description="Games to play; of a search, in whole generations.")
    budget: int = Field(480, ge=1, le=10_000_000, description="Regions per game, or all that there are.")
    batch_size: int | None = Field(
        None, ge=1, le=4096, description="K of its games; none: the experiment's, or the project's."
    )
    refit_steps: int | None = Field(
        40,
        ge=1,
        le=100_000,
        description="Of a frozen encoder's head in each round of its games; none: as many as a round takes elsewhere.",
    )
    pool_size: int = Field(20, ge=1, le=1000, description="N: candidates per candidate pool while training.")
    updates_per_round: int = Field(1, ge=1, le=1000, description="Gradient steps after each round.")
    capacity: int = Field(600, ge=1, le=100_000, description="Transitions that are remembered, one for each region.")
    batch: int = Field(16, ge=2, le=4096, description="Transitions of a gradient step.")
    gamma: float = Field(0.999, ge=0, le=1, description="What a reward one round ahead counts.")
    sync_every: int = Field(5, ge=1, le=1_000_000, description="Rounds between copies to the target network.")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="Of the query network.")
    lr: float = Field(1e-3, gt=0, le=10, description="Learning rate of the query network.")
    weight_decay: float = Field(1e-3, ge=0, le=10, description="Of the query network.")
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient; none: it is left as it is.")
    feature_dropout: float = Field(0.0, ge=0, lt=1, description="Chance that an update does not see a feature.")
    explore: Literal["regions", "rounds"] = Field(
        "regions",
        description="What is left to chance: each region asked for, or a whole round, asked for by a network of new weights.",
    )
    feature_noise: float = Field(
        0.0, ge=0, le=100, description="Standard deviation of what is added to features in updates."
    )
    loss: Literal["huber", "squared"] = Field("huber", description="Of the TD error.")
    double: Literal["standard", "paper"] = Field(
        "standard",
        description="standard: the online network picks, the target network values; paper: the other way round.",
    )
    epsilon_rounds: float = Field(10.0, gt=0, le=1e9, description="Rounds over which chance falls to a third.")
    n_step: int = Field(1, ge=1, le=1000, description="Rounds of reward that a target sums.")
    prioritised_alpha: float = Field(0.0, ge=0, le=10, description="How far replay prefers what surprised; 0: uniform.")
    prioritised_beta: float = Field(0.4, ge=0, le=1, description="How far importance weights undo that.")
    twin: bool = Field(False, description="Rewards are differences to a twin that asked at random with the same draws.")
    standardise: bool = Field(False, description="Rewards are divided by their running standard deviation.")
    influence: float = Field(
        0.0,
        ge=0,
        le=1,
        description="What a region's own influence counts in its reward; the rest is the round's. Both by their size so far.",
    )
    deep: bool = Field(True, description="Beside weighted acquisition scores, a head over all that the policy sees.")
    width: int = Field(32, ge=4, le=512, description="Channels of the network's hidden layers.")
    dueling: bool = Field(True, description="The value of the state and the advantages of candidates apart.")
    state_encoder: Literal["attention", "mean"] = Field("attention", description="How state rows are summed up.")
    class_relative: bool = Field(True, description="Features relate classes to each other; without it they name them.")
    uncertainty: bool = Field(True, description="Entropies are among the features.")
    state: bool = Field(True, description="The state set is looked at.")
    ready: bool = Field(False, description="It comes with regionwise, and nothing is played for it.")
    population: int = Field(
        12, ge=4, le=1000, description="Of a search: policies of a generation, each of which plays a game."
    )
    deviation: float = Field(
        0.5,
        gt=0,
        le=10,
        description="How far the first policies of a search, or those that turns explores by, lie from their beginning.",
    )
    blank: float = Field(
        0.0, ge=0, le=1, description="Of games on halves: the share that begins with no label, where images are known."
    )
    halves: bool = Field(
        False,
        description="Each game is on half of the images, drawn anew, and paid by mIoU on the other half; a search's are always.",
    )
    imitate: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Games, the first, in which rounds are asked for by whichever fixed score helps most, to learn from it.",
    )
    known: bool = Field(
        False, description="Of a search: each weight has a number more, for what is known beforehand as whole images."
    )
    covers: bool = Field(
        False,
        description="Where regions are chosen in turn: what is chosen counts as labelled, with the classes predicted of it, for "
        "those after it.",
    )

    @model_validator(mode="after")
    def _uses_what_it_sets(self) -> "PolicySettings":
        check_sources(self.sources, repeats=self.searched)
        unused = []
        if self.network == "paper":
            unused += [(name, "the paper's network", "network = 'regionwise'") for name in _OF_REGIONWISE]
            if self.sources != (OWN,):
                raise ValueError(
                    "The paper's network is bound to its own state set: set sources = ['own'], or network = 'regionwise'."
                )
            unused.append(("imitate", "the paper's network", "network = 'regionwise' or 'turns'"))
        if self.network == "blend":
            unused += [(name, "a search", "another network") for name in (*_OF_DQN, *_OF_REGIONWISE)]
        else:
            unused += [(name, "a DQN", "network = 'blend'") for name in _OF_SEARCH]
            if not self.halves:
                unused.append(("blank", "games on all images", "halves = true"))
        if self.network == "turns" and self.explore != "rounds":
            unused.append(("deviation", "exploring region by region", "explore = 'rounds'"))
        if self.network == "turns":
            others = (name for name in _OF_REGIONWISE if name != "width")
            unused += [(name, "the network of turns", "network = 'regionwise'") for name in others]
        elif self.network != "blend":
            unused.append(("deviation", f"the network {self.network}", "network = 'blend' or 'turns'"))
        if not self.prioritised_alpha:
            unused.append(("prioritised_beta", "uniform replay", "prioritised_alpha above 0"))
        if not self.in_turn:
            unused.append(("covers", f"the network {self.network}", "network = 'blend' or 'turns'"))
        for name, user, instead in unused:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is not used by {user}: leave it at its default, or set {instead}.")
        if self.influence and not self.standardise:
            raise ValueError("influence is mixed with rewards of about its size: set standardise = true.")
        if self.network == "blend" and self.episodes < self.population:
            raise ValueError(f"episodes is at least population, {self.population}: a search plays whole generations.")
        if not self.class_relative:
            require_project_classes(self.sources)
        if self.imitate > self.episodes:
            raise ValueError(f"imitate is at most episodes, {self.episodes}: they are the first of these.")
        if self.capacity < self.batch:
            raise ValueError(f"capacity is at least batch, {self.batch}: replay would never hold a batch.")
        return self

    @property
    def searched(self) -> bool:
        """Whether it is found by a search of whole games; otherwise it is a DQN."""
        return self.network == "blend"

    @property
    def in_turn(self) -> bool:
        """Whether regions are chosen in turn, each told of those before."""
        return self.network in ("blend", "turns")

    def keyed(self, later: frozenset[str] = CAME_LATER) -> dict[str, Any]:
        """What a hash of it is made of: what came later counts only where it changes anything, so that those of before stay."""
        fields = type(self).model_fields
        values = self.model_dump(mode="json")
        return {name: each for name, each in values.items() if name not in later or each != fields[name].default}


def _checked_name(name: str) -> str:
    if name not in named_policies():
        raise ValueError(f"There is no policy {name!r}; there are {', '.join(named_policies())}.")
    return name


PolicyName = Annotated[
    str,
    Field(max_length=100, json_schema_extra=lambda schema: schema.update(enum=[*named_policies()])),
    AfterValidator(_checked_name),
]
"""A policy that has a name."""


def _optional(field: FieldInfo) -> tuple[Any, Any]:
    """The field as one that may be left out, with its bounds."""
    # JSON has lists where the settings have tuples.
    kind: Any = list[Source] if field.annotation == tuple[str, ...] else field.annotation
    bounded: Any = Annotated[(kind, *field.metadata)] if field.metadata else kind
    return bounded | None, Field(None, description=field.description)


if TYPE_CHECKING:

    class Overrides(Input):
        """Any setting of a policy; what is left out is as the policy has it."""
else:
    Overrides = create_model(
        "Overrides",
        __base__=Input,
        **{name: _optional(field) for name, field in PolicySettings.model_fields.items() if name != "group"},
    )


class PolicyPayload(Overrides):
    """A policy, trained by playing labelling games on the split `train`, or where its sources say."""

    policy: PolicyName | None = Field(
        None,
        description="A policy by its name; every other setting goes over its own. None: blend on a frozen encoder, unless it has "
        "no use for what else is set; else paper.",
    )
    compare_games: int = Field(
        4,
        ge=0,
        le=100,
        description="Held-out games in which the policy then meets the one that comes with regionwise and the best baselines, on "
        "a frozen encoder; 0: none, and it is used as it is.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, values: Any) -> Any:
        # Jobs that an earlier version queued are still to run, and scripts that spoke to it.
        if not isinstance(values, dict):
            return values
        values = {name: value for name, value in values.items() if name not in _GONE}
        if "learning_rate" in values:
            values.setdefault("lr", values.pop("learning_rate"))
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        name = self.name(refits=True)
        if self.chosen(name).ready:
            raise ValueError(f"{name} comes trained: leave it as it is, or train blend.")
        return self

    def name(self, *, refits: bool) -> str:
        """The policy's name in a project that refits a head on a frozen encoder, or in one that does not."""
        if self.policy is not None:
            return self.policy
        given = self.model_dump(exclude_none=True)
        if not refits or given.get("network", "blend") != "blend":
            return "paper"
        try:
            self.chosen("blend")
        except ValueError:
            return "paper"
        return "blend"

    def chosen(self, name: str) -> PolicySettings:
        """All settings of the policy of this name. Raises ValueError with a sentence where they do not go together."""
        own = self.model_dump(exclude={"policy", "compare_games"}, exclude_none=True)
        try:
            return PolicySettings.model_validate({**named_policies()[name], **own})
        except ValidationError as error:
            raise ValueError(" ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error
