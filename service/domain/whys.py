"""Why a region was asked for, in words: by what, how unsure the network is there, and what it sees that is rare."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.methods import LEARNED

_BY = {
    "random": "Drawn at random.",
    "stratified-random": "Drawn at random, in turn from each kind of region that the network sees.",
    "entropy": "Asked for because what is predicted here is spread over several classes.",
    "bald": "Asked for because the network contradicts itself here when parts of it are left out.",
    "margin": "Asked for because two classes are about as likely here.",
    "bvsb": "Asked for because two classes are about as likely here.",
    "class-balanced": "Asked for because the network is unsure here, about classes of which little is labelled.",
    "impurity": "Asked for because many classes meet here, and the network is unsure.",
    "coreset": "Asked for because nothing that is labelled, or asked for beside it, looks like this.",
    "diverse": "Asked for because the network is unsure here, and nothing that is labelled looks quite like this.",
    LEARNED: "Asked for by a policy that has learned which labels help.",
}
_RARE = 2.0
"""So many times as much of a class as among the labels is worth a word."""
_LEAST = 0.05
"""Of the region, for a class to be spoken of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenClass:
    """A class that the network predicts in a region: its share of the region, and of what is labelled, where that is known."""

    id: int
    name: str
    predicted: float
    labelled: float | None


def why(strategy: str | None, above: float | None, classes: Sequence[SeenClass]) -> str:
    """Sentences for a region that `strategy` asked for; `above`: the share of its image of which the network is surer."""
    return " ".join(filter(None, (_BY.get(strategy or "", ""), _unsure(above), _rare(classes))))


def _unsure(above: float | None) -> str:
    if above is None:
        return ""
    if above >= 0.5:
        return f"The network is less sure here than in {above:.0%} of this image."
    return f"The network is surer here than in {1 - above:.0%} of this image."


def _rare(classes: Sequence[SeenClass]) -> str:
    rare = [
        (each.predicted / max(each.labelled, 1e-4), each)
        for each in classes
        if each.labelled is not None and each.predicted >= _LEAST and each.predicted >= _RARE * each.labelled
    ]
    if not rare:
        return ""
    most = max(rare, key=lambda pair: pair[0])[1]
    return f"What looks like {most.name} is {most.predicted:.0%} of this region, and {most.labelled:.1%} of all labels."
