"""What an experiment is: its settings, and what each of its stages depends on."""

from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from models.frozen import MAGNIFICATIONS
from models.refit import RefitSettings
from service.domain.costs import CostName, drawing_cost
from service.domain.methods import COVER, RANDOM, Method
from service.domain.quarters import MOST_LEVELS
from service.domain.regions import Grid
from service.schemas.policies import PolicySettings
from workers.experiments.parts import Convergence, OwnFiles, Refit, Settings, Source, Training
from workers.files import settings_hash
from workers.loop.round import LoopSettings
from workers.policy.shipped import shipped_digest
from workers.training.building import Architecture, stride_for

# They change figures only where a head is refitted: other experiments keep the keys that they had before.
_OF_REFIT = ("encoder", "learning", "stride", "magnification", "refit")
# Part of keys where a head that had learned from nothing used to ask first, and chance or distances do now.
_RANDOM_FIRST, _COVER_FIRST = "random first", "cover first"
_AS_BEFORE = (RANDOM, COVER, "greedy-oracle")


class Experiment(Settings):
    """Everything that decides an experiment's figures, but for strategies, seeds and budgets."""

    name: str = ""
    dataset: str
    height: int | None = None
    width: int | None = None
    cell_height: int = 90
    cell_width: int = 80
    levels: int = Field(
        1,
        ge=1,
        le=MOST_LEVELS,
        description="2: quarters of cells may be asked for too, 3: quarters of those, and so on.",
    )
    cost: CostName = Field("pixels", description="What scores of several sizes are divided by: docs/method.md, 5.")
    segmenter: str = "fpn"
    segmenter_width: int = 32
    encoder: Literal["frozen", "trained"] = "trained"
    learning: Literal["refit", "pass"] = "pass"
    stride: Literal[2, 4, 8, "labels"] | None = Field(
        None,
        description="Of a frozen encoder's features; none: by the cell's size; labels: so at first, and finer where labels show "
        "that to be better, as in a project.",
    )
    magnification: float = Field(1.5, description="Images are enlarged by this before a frozen encoder looks at them.")
    dropout: float = 0.2
    batch_size: int = 24
    budget: int = Field(1920, ge=1, description="B, of which a policy is told the share that is spent.")
    pool_size: int = 10
    pool_size_per_strategy: dict[str, int] = Field(default_factory=dict)
    sampling: Literal["uniform", "images"] = "images"
    protocol: Literal["per-pool", "global"] = "per-pool"
    passes: int = 1
    reward_images: int | None = Field(None, ge=1, description="Use only this many images of D_R, evenly spaced.")
    theta0: Literal["source", "state", "dt"] = Field(
        "dt",
        description="What theta_0 has learned from: no label of the target, those of D_S (refit alone), or those of D_T, and of "
        "D_S too where it is refitted.",
    )
    counts: dict[str, int] = Field(default_factory=dict, description="Images per split, for synthetic streets.")
    reading: OwnFiles = Field(OwnFiles(), description="How own images and label maps are read, of the data set folder.")
    amp: bool = Field(False, description="bfloat16 in the segmenter's encoder and decoder, on CUDA alone.")
    compile: bool = Field(False, description="torch.compile for the segmenter's encoder and decoder, on CUDA alone.")
    round: Training = Training()
    refit: Refit = Refit()
    source: Source = Source()
    theta0_training: Convergence = Convergence()
    converge: Convergence = Convergence()
    policies: dict[str, PolicySettings] = Field(default_factory=lambda: {"paper": PolicySettings()})

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.learning == "refit") != (self.encoder == "frozen"):
            raise ValueError(
                "A frozen encoder and a refitted head go together: set encoder='frozen' and learning='refit'."
            )
        if self.theta0 == "state" and self.learning == "pass":
            raise ValueError("Only a refitted head starts from D_S: set theta0 to 'source' or 'dt'.")
        if self.says_how_read and self.dataset != "folder":
            raise ValueError(f"How files are read is said of own images (--dataset folder), not of {self.dataset}.")
        if self.magnification not in MAGNIFICATIONS:
            raise ValueError(
                f"magnification is one of {', '.join(map(str, MAGNIFICATIONS))}, not {self.magnification}."
            )
        return self

    @property
    def says_how_read(self) -> bool:
        """Whether anything is said of how files are read: keys and records of other experiments are those of before."""
        return self.reading != OwnFiles()

    def recorded(self) -> dict[str, Any]:
        """As JSON values beside figures: without policies, and without how files are read where nothing is said of that."""
        return self.model_dump(mode="json", exclude={"policies"} | (set() if self.says_how_read else {"reading"}))

    @property
    def architecture(self) -> Architecture:
        """The segmenter's."""
        return Architecture(
            name=self.segmenter,
            frozen=self.encoder == "frozen",
            width=self.segmenter_width,
            dropout=self.dropout,
            stride=self.stride if isinstance(self.stride, int) else stride_for(self.cell_height, self.cell_width),
            chosen=self.stride_by_labels,
            magnification=self.magnification,
        )

    @property
    def stride_by_labels(self) -> bool:
        """Whether labels choose how fine a frozen encoder's features are."""
        return self.stride == "labels"

    def long_fit(self, steps: int) -> RefitSettings:
        """Of a fit in many steps to whole images (see `Refit.long`)."""
        return replace(self.refit.long(steps), folds=self._folds)

    def _fits(self, *, chosen: bool) -> RefitSettings:
        """Of a round: where labels have `chosen` finer features a head begins anew, with as long a fit as theta_0 had."""
        settings = self.refit.built()
        if not chosen:
            return settings
        first = self.refit.theta0_steps if self.known_splits else self.refit.first_steps
        return replace(settings, folds=self._folds, first_steps=first)

    @property
    def _folds(self) -> int:
        """Of the cross-validation in which heads are compared."""
        return 2 if self.stride_by_labels else 0

    @property
    def known_splits(self) -> tuple[str, ...]:
        """The splits whose labels a refitted head knows before the first region."""
        return (
            {"source": (), "state": ("state",), "dt": ("state", "train")}[self.theta0]
            if self.learning == "refit"
            else ()
        )

    @property
    def begins_blank(self) -> bool:
        """Whether the first round is asked for by a head that has learned from nothing."""
        return self.learning == "refit" and not self.known_splits

    def policy(self, name: str) -> PolicySettings:
        """The policy of this name. Raises ValueError naming those there are."""
        if name not in self.policies:
            raise ValueError(f"There is no policy {name!r}; there are {', '.join(self.policies) or 'none'}.")
        return self.policies[name]

    def grid(self, size: tuple[int, int]) -> Grid:
        """The region grid of an image of (height, width)."""
        return Grid.over(*size, self)

    def loop(self, classes: int, method: Method | None = None, policy: str = "paper") -> LoopSettings:
        """A round's settings for a method; without one, those of a policy's training."""
        batch_size = self.batch_size
        if method is None:
            size, batch_size = self.policy(policy).pool_size, self.policy(policy).batch_size or batch_size
        else:
            size = self.pool_size_per_strategy.get(method.head, self.pool_size)
        return LoopSettings(
            classes=classes,
            cell_height=self.cell_height,
            cell_width=self.cell_width,
            levels=self.levels if method is not None else 1,
            cost=drawing_cost(self.cost) if method is not None else None,
            batch_size=batch_size,
            pool_size=size,
            sampling=self.sampling,
            protocol=self.protocol if method is not None else "per-pool",
            learning=self.learning,
            passes=self.passes,
            train=self.round.built(),
            refit=self._fits(chosen=self.stride_by_labels and method is not None),
            finer=self.stride_by_labels and method is not None,
        )

    def policy_key(self, name: str, seed: int) -> str:
        """A hash of what a trained policy depends on."""
        settings = self.policy(name)
        # What a search comes to by the same games is not what it came to before.
        tags = ["search 3"] if settings.searched else []
        blank = self.begins_blank or (settings.blank > 0 and self.learning == "refit")
        tags += [_COVER_FIRST if settings.in_turn else _RANDOM_FIRST] if blank else []
        return self.key("policy", self._policy_values(name), seed, *([] if settings.ready else tags))

    def method_key(self, method: Method, seed: int) -> str:
        """A hash of what a method's trajectory with a seed depends on."""
        tags = ["weighs cost 2"] if self.levels > 1 and self.cost != "pixels" and self._in_turn(method) else []
        if self.begins_blank and str(method) not in _AS_BEFORE:
            tags.append(_COVER_FIRST if self._in_turn(method) else _RANDOM_FIRST)
        if method.is_learned:
            return self.key("trajectory", method.head, seed, self.policy_key(method.policy, 0), *tags)
        if method.is_untrained:
            return self.key("trajectory", method.head, seed, self._policy_values(method.policy), *tags)
        return self.key("trajectory", str(method), seed, *tags)

    def _in_turn(self, method: Method) -> bool:
        """Whether it goes by distances to what is chosen before, beside scores: it weighs costs by itself, and once did not."""
        return str(method) == "diverse" or (not method.is_plain and self.policy(method.policy).in_turn)

    def _policy_values(self, name: str) -> dict[str, Any]:
        policy = self.policy(name)
        values = {key: each for key, each in policy.keyed().items() if key != "group"}
        return {"ready": shipped_digest()} if policy.ready else values

    def key(self, stage: Literal["source", "theta0", "policy", "trajectory"], *more: Any) -> str:
        """A hash of what a stage's outcome depends on: its own settings and those of the stages before it."""
        everything = self.model_dump(mode="json")
        # They change figures only where they are on: an experiment without them keeps the key that it had before them.
        on = {name for name in ("amp", "compile") if everything[name]} | (
            {*_OF_REFIT} if self.learning == "refit" else set()
        )
        on |= {"reading"} if self.says_how_read else set()
        if stage == "trajectory":
            on |= {name for name, used in (("levels", self.levels > 1), ("cost", self.cost != "pixels")) if used}
        off = {"amp", "compile", "levels", "cost", "reading", *_OF_REFIT} - on
        shared = ("dataset", "height", "width", "segmenter", "segmenter_width", "dropout", "counts", *sorted(on))
        cells = ("cell_height", "cell_width")
        parts: dict[str, tuple[str, ...]] = {
            "source": (*shared, "source", *(cells if self.learning == "refit" else ())),
            "theta0": (
                *shared,
                "source",
                "theta0",
                "theta0_training",
                "reward_images",
                *cells[: 2 * (self.learning == "refit")],
            ),
        }
        parts["policy"] = (
            *parts["source"], *cells, "batch_size", "sampling", "passes", "round", "reward_images",
            *(("theta0",) if self.learning == "refit" else ()),
        )  # fmt: skip
        parts["trajectory"] = tuple(key for key in everything if key not in ("policies", "name") and key not in off)
        return settings_hash([stage, {key: everything[key] for key in parts[stage]}, more])
