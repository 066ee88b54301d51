"""What a project asks for its rounds by, over the wire, and what held-out games said of that."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from service.domain.methods import AUTO, LEARNED, OWN_POLICY, RANDOM, SHIPPED_POLICY, before_labels, winner_of


class SavedOut(BaseModel):
    """What asking by the winner saved in held-out games, against random: by the mean curves of both."""

    miou: float = Field(description="In points: what random had at the end of a game, and the winner had too.")
    random_cells: float = Field(description="Whole regions that random took for it.", examples=[384.0])
    cells: float | None = Field(description="Those that the winner took; null where it did not get there.")
    share: float | None = Field(
        description="What was saved of random's regions; negative: it took more.", examples=[0.4]
    )
    low: float | None = Field(description="Lower end of the share's 95 % interval over games; null: not known.")
    high: float | None = Field(description="Its upper end.")


class CourseOut(BaseModel):
    """The mean of a contender's games: mIoU in points as regions were labelled."""

    cells: list[float] = Field(description="Whole regions labelled where it was measured.", examples=[[24.0, 48.0]])
    mean: list[float] = Field(description="Mean mIoU over games, there.", examples=[[31.2, 36.8]])
    low: list[float] = Field(
        description="Lower end of its 95 % interval over games; empty where there is one game.", examples=[[28.9, 34.1]]
    )
    high: list[float] = Field(description="Its upper end.", examples=[[33.5, 39.5]])


class ChoiceOut(BaseModel):
    """What the next round will be asked for by, and what held-out games said when a policy was trained last."""

    by: str = Field(
        description="A strategy; own: the project's policy; shipped: the one that comes with regionwise. A round's note says "
        "where that could not be."
    )
    areas: dict[str, float] | None = Field(
        description="Mean mIoU of each contender over the games, in points; null where nothing was compared."
    )
    saved: SavedOut | None = Field(description="What the winner saved against random, in those games.")
    games: int | None = Field(
        description="How many games each contender played; null: nothing compared.", examples=[10]
    )
    courses: dict[str, CourseOut] = Field(
        description="How mIoU rose in those games, of the winner and of random; empty where that was not kept."
    )

    @classmethod
    def of(cls, strategy: str, policy: Mapping[str, Any] | None, *, segmenter: bool, frozen: bool) -> Self:
        """By a project's strategy, the description of its newest policy, and whether there is a segmenter yet.

        frozen: whether the project's encoder is, so that it tells something of regions before anything is learned.
        """
        by = strategy
        if strategy == LEARNED:
            by = RANDOM if policy is None or not segmenter else OWN_POLICY
        elif strategy == AUTO:
            by = SHIPPED_POLICY if policy is None else winner_of(policy)
        if not segmenter:
            by = before_labels(by) if frozen else RANDOM
        areas, saved, games, courses = None, None, None, dict[str, CourseOut]()
        with suppress(KeyError, TypeError, ValidationError):  # a description may be an earlier version's, or anybody's
            compared = (policy or {})["compared"]
            areas = TypeAdapter(dict[str, float]).validate_python(compared["areas"])
            # Where chance won there is nothing that it saved against itself.
            saved = TypeAdapter(SavedOut | None).validate_python((policy or {}).get("saved"))
            games = TypeAdapter(int | None).validate_python(compared.get("games"))
            courses = TypeAdapter(dict[str, CourseOut]).validate_python(compared.get("courses", {}))
        return cls(by=by, areas=areas, saved=saved, games=games, courses=courses)
