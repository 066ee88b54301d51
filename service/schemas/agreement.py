"""Agreement, accuracy and time of annotators over the wire; how each figure is computed is in docs/quality-figures.md."""

from pydantic import BaseModel, Field

from service.domain.classes import ClassSet
from service.domain.comparing import Pooled
from service.schemas.fields import Moment
from service.store.annotator_figures import AnnotatorFigures
from service.store.comparisons import PairFigures, RegionFigures

_POOLED = "Mean over classes of the IoU of all pixels together, 0 to 1; null without a comparison."
_MEAN = "Mean of the regions' own mIoU."


class RegionAgreement(BaseModel):
    """How the labels of one region agree that several people have made."""

    region_id: int = Field(description="The region's number.", examples=[17])
    round: int = Field(description="The round that proposed it.", examples=[3])
    image_id: int = Field(description="The image's number.", examples=[12])
    image_name: str = Field(description="The image's name.", examples=["0016E5_00390.png"])
    pairs: int = Field(
        description="Pairs of annotators whose newest labels were held against each other.", examples=[1]
    )
    miou: float = Field(description="Mean of the pairs' mIoU, 0 to 1.", examples=[0.81])
    least_miou: float = Field(description="That of the pair that agrees least.", examples=[0.81])
    pixel_accuracy: float = Field(description="Mean of the pairs' share of pixels that agree.", examples=[0.93])


class ClassAgreement(BaseModel):
    """How people agree on one class."""

    class_id: int = Field(description="The class's value in label maps.", examples=[3])
    name: str = Field(description="What people call it.", examples=["Road"])
    comparisons: int = Field(description="Pairs of labels in which either has it.", examples=[40])
    intersection: int = Field(description="Pixels that both labels of a pair have it at, summed.", examples=[52100])
    union: int = Field(description="Pixels that either has it at, summed.", examples=[60020])
    iou: float | None = Field(description="The first over the second; null where it is nowhere.", examples=[0.868])


class PairAgreement(BaseModel):
    """How two annotators agree; who does not review the project sees their own figures with all others together."""

    annotator_id: int = Field(description="One of the two.", examples=[3])
    name: str = Field(description="Their name.", examples=["ada"])
    other_id: int | None = Field(description="The other; null: all others.", examples=[4])
    other_name: str | None = Field(description="Their name.", examples=["bob"])
    regions: int = Field(description="Regions that both have labelled.", examples=[12])
    miou: float | None = Field(description=_POOLED, examples=[0.79])
    mean_miou: float | None = Field(description=_MEAN, examples=[0.76])
    pixel_accuracy: float | None = Field(
        description="Mean of the regions' share of pixels that agree.", examples=[0.93]
    )


class GoldAccuracy(BaseModel):
    """How somebody's labels of gold regions compare with the truth."""

    regions: int = Field(description="Gold regions that were labelled, the newest 1000 at most.", examples=[25])
    miou: float | None = Field(description=_POOLED, examples=[0.79])
    mean_miou: float | None = Field(description=_MEAN, examples=[0.76])
    interval: tuple[float, float] | None = Field(
        description="95 % of that mean; null below two.", examples=[[0.7, 0.82]]
    )
    iou_per_class: dict[str, float] = Field(description="Of all pixels together, by class.", examples=[{"Road": 0.9}])
    trend: list[float] = Field(
        description="`miou` of one `gold_window` after the other, oldest first, 20 at most.", examples=[[0.71, 0.8]]
    )


class AnnotatorStanding(BaseModel):
    """What somebody has labelled in a project, in which time, and how it compares."""

    annotator_id: int = Field(description="Whose figures these are.", examples=[3])
    name: str = Field(description="Their name.", examples=["ada"])
    role: str | None = Field(description="In the project; null: they are no member any more.", examples=["annotator"])
    regions: int = Field(description="Regions with a label of theirs.", examples=[240])
    labels: int = Field(description="Their labels, all versions.", examples=[251])
    skips: int = Field(description="Regions that they skipped, of leases that are still kept.", examples=[2])
    regions_per_hour: float | None = Field(description="Of the newest 1000 labels, without idle time.", examples=[85.1])
    median_seconds: float | None = Field(description="Seconds to a label, of these.", examples=[38.0])
    idle_seconds: float = Field(description="Of these, the seconds in which nothing was done.", examples=[310.0])
    compared: int = Field(description="Labels of others that theirs were held against.", examples=[30])
    agreement_miou: float | None = Field(description=_POOLED, examples=[0.79])
    agreement_mean_miou: float | None = Field(description=_MEAN, examples=[0.76])
    gold_regions: int | None = Field(description="As in `gold`; null where that is.", examples=[25])
    gold_miou: float | None = Field(description="As in `gold`.", examples=[0.79])
    gold: GoldAccuracy | None = Field(description="Against the truth; for reviewers and admins of the project alone.")
    paused_at: Moment | None = Field(description="Since when no regions are given to them; null: they are not paused.")
    pause_reason: str | None = Field(description="What they are told of it.", examples=[None])


def region_agreement(each: RegionFigures) -> RegionAgreement:
    """The agreement on a region as the API shows it."""
    values = {name: getattr(each, name) for name in RegionAgreement.model_fields if name != "round"}
    return RegionAgreement(round=each.round_number, **values)


def pair_agreement(each: PairFigures) -> PairAgreement:
    """The agreement of two people as the API shows it."""
    return PairAgreement(
        annotator_id=each.annotator_id,
        name=each.name,
        other_id=each.other_id,
        other_name=each.other_name,
        regions=each.regions,
        miou=each.pooled.miou,
        mean_miou=each.pooled.mean_miou,
        pixel_accuracy=each.pooled.pixel_accuracy,
    )


def class_agreement(pooled: Pooled, classes: ClassSet) -> list[ClassAgreement]:
    """The agreement on each class, in the order of classes."""
    sums = {each.id: pooled.sums.get(each.id, (0, 0)) for each in classes.classes}
    return [
        ClassAgreement(
            class_id=each.id,
            name=each.name,
            comparisons=pooled.regions.get(each.id, 0),
            intersection=sums[each.id][0],
            union=sums[each.id][1],
            iou=pooled.iou(each.id),
        )
        for each in classes.classes
    ]


def annotator_standing(each: AnnotatorFigures, classes: ClassSet) -> AnnotatorStanding:
    """An annotator's figures as the API shows them."""
    gold = None
    if each.gold is not None:
        pooled = each.gold.pooled
        by_class = {of.name: pooled.iou(of.id) for of in classes.classes}
        gold = GoldAccuracy(
            regions=pooled.count,
            miou=pooled.miou,
            mean_miou=pooled.mean_miou,
            interval=each.gold.interval,
            iou_per_class={name: iou for name, iou in by_class.items() if iou is not None},
            trend=list(each.gold.trend),
        )
    return AnnotatorStanding(
        annotator_id=each.annotator_id,
        name=each.name,
        role=each.role,
        regions=each.regions,
        labels=each.labels,
        skips=each.skips,
        regions_per_hour=each.pace.regions_per_hour,
        median_seconds=each.pace.median_seconds,
        idle_seconds=each.pace.idle_seconds,
        compared=each.agreement.count,
        agreement_miou=each.agreement.miou,
        agreement_mean_miou=each.agreement.mean_miou,
        gold_regions=None if gold is None else gold.regions,
        gold_miou=None if gold is None else gold.miou,
        gold=gold,
        paused_at=each.paused_at,
        pause_reason=each.pause_reason,
    )
