"""What goes into rounds and comes out of them, as values: regions that are asked for, figures, rounds learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.domain.regions import Box
from service.store.predictions import NewHints


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRegion:
    """A chosen cell of an image. `number` is its number in the pool, `prediction` an 8-bit PNG of class ids, if any.

    `hints` are of the segmenter that predicted it.
    """

    image_id: int
    cell: int
    number: int
    box: Box
    score: float
    prediction: bytes | None = None
    hints: NewHints | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGold:
    """A cell of an image of D_T whose truth tests something: `truth` and `prediction` are 8-bit PNGs of class ids."""

    image_id: int
    cell: int
    box: Box
    truth: bytes
    prediction: bytes | None = None
    hints: NewHints | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundProposal:
    """The regions that a round asks for, none where the pool is empty; what they were chosen with, and the seconds it took.

    `note` says why where they were not chosen as the project wishes; `seconds` is by phase; `seen_key` is of the bytes of what a
    policy saw; `warning` is what is to be said of that policy. `gold` regions come along, and are no part of the round.
    `pool_shares`: of the candidates' pixels, those that each class was predicted for, in [0, 1]; None where nobody looked.
    """

    regions: Sequence[NewRegion]
    strategy: str
    note: str = ""
    checkpoint_id: int | None = None
    policy_id: int | None = None
    seen_key: str | None = None
    warning: str = ""
    seconds: Mapping[str, float]
    gold: Sequence[NewGold] = ()
    pool_shares: Sequence[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFigures:
    """What a round's labels did: mIoU on D_R in [0, 1], the reward in points of it, labelled pixels of each class.

    What was not measured is None, also the IoU of a class that is nowhere; `seconds` is by phase. `warning` is a sentence where
    mIoU fell by more than its noise; `measured_on` names the images of D_R, where it was measured.
    """

    miou_before: float | None
    miou_after: float | None
    reward: float | None
    iou_per_class: Sequence[float | None] | None
    class_counts: Sequence[int]
    seconds: Mapping[str, float]
    warning: str = ""
    measured_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRound:
    """A round that was learned from, or passed over."""

    id: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRound:
    """A round that a policy asked for: its number, its gain in points of mIoU, and the key of what the policy saw."""

    number: int
    gain: float
    seen_key: str
