"""How far a campaign has come, over the wire."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, Field

from service.domain.campaign import DAY, HOUR, RoundWork
from service.domain.metrics import distribution_entropy
from service.schemas.fields import Moment
from service.store.campaign_progress import CampaignProgress, Running


class PointOut(BaseModel):
    """A round that was learned from, and what all rounds up to it have."""

    round: int = Field(description="Its number.", examples=[3])
    strategy: str | None = Field(description="How its regions were chosen.", examples=["learned"])
    policy_id: int | None = Field(description="The project's policy that scored them, if one did.", examples=[4])
    told_at: Moment | None = Field(description="When it was learned from.")
    regions: int = Field(description="Regions labelled so far.", examples=[72])
    pixels: int = Field(
        description="Pixels of a class that were learned from so far, of the labels that there were when each round was; what "
        "was corrected or reviewed later changes nothing here.",
        examples=[498240],
    )
    seconds: float = Field(description="Seconds of annotators so far, as sent with labels.", examples=[1510.5])
    labels: int = Field(description="Labels that people have drawn so far, corrections left out.", examples=[73])
    untimed: int = Field(description="Of these, labels sent without their seconds.", examples=[0])
    miou: float | None = Field(
        description="mIoU on the reward images after the round, 0 to 1; null where it was not measured.",
        examples=[0.42],
    )

    @classmethod
    def of(cls, point: RoundWork) -> Self:
        """The sums up to a round."""
        return cls(
            round=point.number,
            strategy=point.strategy,
            policy_id=point.policy_id,
            told_at=point.told_at,
            regions=point.regions,
            pixels=point.pixels,
            seconds=point.seconds,
            labels=point.labels,
            untimed=point.untimed,
            miou=point.miou,
        )


class RunningOut(BaseModel):
    """A round that is not learned from yet."""

    round: int = Field(description="Its number.", examples=[4])
    state: Literal["scoring", "open", "labelled"] = Field(
        description="scoring: its regions are being chosen; open: they wait for labels; labelled: it is being learned from."
    )
    since: Moment | None = Field(description="Since when it is in this state.")
    size: int = Field(description="Regions asked for.", examples=[24])
    labelled: int = Field(description="Of these, those that are labelled.", examples=[11])
    review: int = Field(description="Those that wait for a review.", examples=[0])
    skipped: int = Field(description="Those that were skipped.", examples=[1])

    @classmethod
    def of(cls, running: Running) -> Self:
        """A round and its regions by state."""
        counts = {state: running.regions.get(state, 0) for state in ("labelled", "review", "skipped")}
        return cls.model_validate(
            {
                "round": running.number,
                "state": running.state,
                "since": running.since,
                "size": running.size,
                **counts,
            }
        )


class PaceOut(BaseModel):
    """Labels an hour, of all annotators together; pauses count."""

    hour: float | None = Field(
        description="In the last hour that there were any, up to the newest label; null below two.", examples=[52.0]
    )
    day: float | None = Field(description="In the last day that there were any.", examples=[18.4])
    newest: Moment | None = Field(description="When the newest label came.")


class BudgetOut(BaseModel):
    """What was asked for, in whole regions: four quarters are one. Imported labels count nowhere."""

    regions: int | None = Field(description="The project's budget; null without one.", examples=[480])
    used: float = Field(description="Regions asked for, skipped ones left out.", examples=[240.0])
    labelled: float = Field(description="Of these, those that are labelled.", examples=[216.0])


class FinishOut(BaseModel):
    """When the budget will be labelled."""

    at: Moment | None = Field(description="Null where it cannot be said.")
    sentence: str = Field(
        description="What that takes for granted, or why it cannot be said.",
        examples=["All that the budget asks for is labelled."],
    )


class SharesOut(BaseModel):
    """How pixels are spread over classes."""

    shares: dict[str, float] = Field(
        description="Each class's share of the pixels that are of a class.", examples=[{"Sky": 0.17, "Pole": 0.01}]
    )
    entropy: float = Field(
        description="Of that, in nats; the logarithm of the number of classes where all have as many.", examples=[1.93]
    )

    @classmethod
    def of(cls, names: Sequence[str], shares: Sequence[float] | None) -> Self | None:
        """By the names of classes in their order; None of nothing."""
        if shares is None:
            return None
        return cls(shares=dict(zip(names, shares, strict=True)), entropy=distribution_entropy(np.array(shares)))


class ProgressOut(BaseModel):
    """How far a campaign has come, and what is left."""

    points: list[PointOut] = Field(description="Rounds that are told, first to last.")
    running: list[RunningOut] = Field(description="Those that are not yet, first to last.", examples=[[]])
    pace: PaceOut = Field(description="How fast people label.")
    budget: BudgetOut = Field(description="How much of the budget is used.")
    finish: FinishOut = Field(description="When it will be labelled.")
    labelled: SharesOut | None = Field(
        description="Classes of what was learned from, of the same labels as `pixels` of rounds; rounds from before a class was "
        "taken apart are left out. Null where there is none."
    )
    pool: SharesOut | None = Field(
        description="What the pool was predicted to hold when the newest round was chosen; null where nobody looked."
    )

    @classmethod
    def of(cls, progress: CampaignProgress) -> Self:
        """As the store has it."""
        names, labelled = progress.classes.names, progress.labelled
        return cls(
            points=[PointOut.of(each) for each in progress.points],
            running=[RunningOut.of(each) for each in progress.running],
            pace=PaceOut(
                hour=None if labelled is None else labelled.per_hour(HOUR),
                day=None if labelled is None else labelled.per_hour(DAY),
                newest=None if labelled is None else labelled.newest,
            ),
            budget=BudgetOut(regions=progress.budget, used=progress.spent, labelled=progress.done),
            finish=FinishOut(at=progress.finish.at, sentence=progress.finish.sentence),
            labelled=SharesOut.of(names, progress.labelled_shares),
            pool=SharesOut.of(names, progress.pool_shares),
        )
