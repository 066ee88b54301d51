"""Rounds over the wire."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from service.domain.classes import ClassSet
from service.tables import Round

RoundState = Literal["scoring", "open", "labelled", "told"]


class RoundOut(BaseModel):
    """One round: what was asked, with which networks, and what its labels brought."""

    id: int = Field(description="The round's number in the database.", examples=[12])
    number: int = Field(description="1 for the project's first round.", examples=[3])
    state: RoundState = Field(
        description="scoring: its regions are being chosen; open: they wait for labels; labelled: it waits for training; "
        "told: it is learned from."
    )
    size: int = Field(description="Regions asked for.", examples=[24])
    strategy: str | None = Field(description="How the regions were chosen; null while scoring.", examples=["learned"])
    checkpoint_id: int | None = Field(description="The segmenter that looked at the candidates.", examples=[5])
    policy_id: int | None = Field(description="The policy that scored them.", examples=[4])
    result_checkpoint_id: int | None = Field(description="The segmenter after learning from the round.", examples=[6])
    miou_before: float | None = Field(
        description="mIoU on the reward images before learning, from 0 to 1.", examples=[0.41]
    )
    miou_after: float | None = Field(description="And after.", examples=[0.42])
    reward: float | None = Field(
        description="100 times the difference; none where the network went over to finer features, too.", examples=[1.0]
    )
    iou_per_class: dict[str, float | None] | None = Field(
        description="After learning; null for a class absent from prediction and truth.",
        examples=[{"Sky": 0.86, "Pole": 0.03}],
    )
    class_counts: dict[str, int] | None = Field(
        description="Labelled pixels of each class in the round.", examples=[{"Sky": 20113, "Pole": 950}]
    )
    pool_shares: dict[str, float] | None = Field(
        description="Of its candidates, which are drawn from the pool: the share of pixels that each class was predicted for; "
        "null where none were looked at.",
        examples=[{"Sky": 0.17, "Pole": 0.01}],
    )
    seconds: dict[str, float] = Field(
        description="Time of each phase.", examples=[{"ask_describe": 0.9, "tell_train": 1.2}]
    )
    note: str = Field(description="Anything out of the ordinary.", examples=[""])
    warning: str | None = Field(
        description="What is to be looked at: mIoU fell by more than its noise, in this round or over several, the "
        "policy that asked had gained nothing, or later rounds were learned from before. Null: nothing.",
        examples=[None],
    )
    created_at: datetime = Field(description="When it was begun.")
    opened_at: datetime | None = Field(description="When its regions were chosen.")
    labelled_at: datetime | None = Field(description="When the last label came.")
    told_at: datetime | None = Field(description="When it was learned from.")


def round_out(round_: Round, classes: ClassSet) -> RoundOut:
    """A round as the API shows it, with the classes by name: those of when it was learned from."""
    values = {name: getattr(round_, name) for name in RoundOut.model_fields}
    for name in ("iou_per_class", "class_counts", "pool_shares"):
        if values[name] is not None:
            values[name] = dict(zip(classes.names, values[name], strict=True))
    return RoundOut.model_validate(values)
