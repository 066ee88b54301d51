"""The names of strategies, and of the methods that an experiment compares. A new baseline is a line here.

They stand in the domain, without torch, because the API's schema and the report cannot look into models/strategies; a
contract test holds them against the strategies that there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

# In the order of tables and figures, which give the n-th baseline the n-th colour and marker.
Baseline = Literal[
    "random",
    "entropy",
    "bald",
    "margin",
    "bvsb",
    "class-balanced",
    "impurity",
    "coreset",
    "stratified-random",
    "diverse",
]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)

StrategyName = Literal[Baseline, "learned", "auto"]
"""What a campaign can choose by."""

LEARNED: Literal["learned"] = "learned"
AUTO: Literal["auto"] = "auto"
"""The project's own policy, the one that comes with regionwise, or a baseline: whichever did best in held-out games."""
OWN_POLICY, SHIPPED_POLICY = "own", "shipped"
"""What policies are called among the contenders of those games."""
RANDOM: Literal["random"] = "random"
BALD: Literal["bald"] = "bald"
"""By what predictions with dropout differ in, so of no use without it."""
COVER: Literal["coreset"] = "coreset"
"""By distances alone."""
_BY_DISTANCES = (COVER, "diverse", OWN_POLICY, SHIPPED_POLICY)
IMPORT: Literal["import"] = "import"
"""Stands for a strategy where labels of regions came from elsewhere: nobody chose those."""
REFERENCES = ("greedy-oracle", "influence", "influence-oracle")
"""What knows the truth of the pool, or of D_R: for simulations alone, to compare with."""


def winner_of(description: Mapping[str, Any]) -> str:
    """What won when the policy of this description was compared; the policy itself, where it was not, or by no known name."""
    winner = description.get("winner")
    known = (*BASELINES, OWN_POLICY, SHIPPED_POLICY)
    return winner if isinstance(winner, str) and winner in known else OWN_POLICY


def before_labels(by: str) -> str:
    """What asks for a frozen encoder's first round where nothing is labelled: predictions say nothing yet, distances do."""
    return COVER if by in _BY_DISTANCES else RANDOM


Variant = Literal["", "untrained"]
# What stands for each variant of a policy in a method's text, before the policy's name.
_HEADS: dict[Variant, str] = {"": LEARNED, "untrained": "learned-untrained"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What an experiment compares: a strategy by its name, and for `learned` the policy that it acts by, and which variant.

    As text `entropy`, `learned:POLICY`, or `learned-untrained:POLICY` (its untrained control). Records, cache keys and file
    names hold the text. Whether there are such a strategy and policy is for those to say who make them.
    """

    name: str
    policy: str = ""
    variant: Variant = ""

    def __post_init__(self) -> None:
        if self.name != LEARNED and (self.policy or self.variant or _policy_and_variant(self.name)):
            raise ValueError(f"{self.name!r} cannot be a strategy that acts by a policy: only {LEARNED!r} is.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The method of a text, so that `str` gives the text again; a text of another form is a strategy's name."""
        found = _policy_and_variant(text)
        return cls(name=text) if found is None else cls(name=LEARNED, policy=found[0], variant=found[1])

    @classmethod
    def learned(cls, policy: str) -> Self:
        """The method that acts by a policy, trained once for the experiment."""
        return cls(name=LEARNED, policy=policy)

    @classmethod
    def untrained(cls, policy: str) -> Self:
        """The control of `learned`: the same policy with weights as they are before training."""
        return cls(name=LEARNED, policy=policy, variant="untrained")

    def __str__(self) -> str:
        return f"{self.head}:{self.policy}" if self.policy else self.head

    @property
    def head(self) -> str:
        """The text without the policy's name."""
        return self.name if self.is_plain else _HEADS[self.variant]

    @property
    def is_plain(self) -> bool:
        """Whether it acts by no policy: a baseline or a reference."""
        return self.name != LEARNED

    @property
    def is_baseline(self) -> bool:
        """Whether it is one of the baselines."""
        return self.name in BASELINES

    @property
    def is_learned(self) -> bool:
        """Whether it acts by a trained policy."""
        return self.name == LEARNED and not self.variant

    @property
    def is_untrained(self) -> bool:
        """Whether it is the untrained control of a policy."""
        return self.variant == "untrained"


def _policy_and_variant(text: str) -> tuple[str, Variant] | None:
    """Of a text that names no policy after its head the policy is empty; None for a strategy that acts by none."""
    head, colon, policy = text.partition(":")
    found = next((variant for variant, known in _HEADS.items() if head == known), None)
    return None if found is None or bool(colon) != bool(policy) else (policy, found)
