"""All that a round's task needs to know, read at once, so that it computes on rows that fit together, with none held."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.quarters import nodes, share
from service.schemas.project_settings import ProjectSettings
from service.store.budget import imported_area
from service.store.checkpoints import latest_checkpoint
from service.store.measured import measured_alike, reward_ids
from service.store.pool import (
    LabelledRegion,
    TimedLabel,
    changed_since_told,
    gold_cells,
    groups_of_split,
    image_ids_of_round,
    label_counts,
    labelled_parts,
    labelled_regions,
    proposed_cells,
    timed_labels,
    whole_images,
)
from service.store.predictions import OpenRegion, gold_regions_of, open_regions_of
from service.store.projects import get_project
from service.store.round_values import ToldRound
from service.store.rounds import get_round, is_pretraining, told_rounds
from service.tables import Checkpoint, ImageGroup, Project, Round

_MOST_TIMED = 400  # labels that seconds are fitted to: more would hardly tell more, and each is outlined in every ask


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSnapshot:
    """What a round is proposed from: the newest networks, U_t as groups less proposed cells, D_S, and L.

    `label_counts`, `label_area` (as many undivided regions are as large) and `told_regions` are of the rounds learned from; the
    last empty where the strategy looks at none. `imported_area`: what no budget was spent on. `whole_images`:
    (height, width, how many) of the images of D_S and D_T that a refit learns from. `timed_labels` for a project whose regions
    cost seconds; `train` and `gold_cells` (group id, ordinal, cell) for one that wishes gold regions.
    """

    project: Project
    round: Round
    segmenter: Checkpoint | None
    policy: Checkpoint | None
    pool: Sequence[ImageGroup]
    proposed: Sequence[tuple[int, int, int]]
    state: Sequence[ImageGroup]
    label_counts: Sequence[Sequence[Any]]
    label_area: float
    imported_area: float
    told_regions: Sequence[LabelledRegion]
    whole_images: Sequence[tuple[int, int, int]]
    timed_labels: Sequence[TimedLabel]
    train: Sequence[ImageGroup]
    gold_cells: Sequence[tuple[int, int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSnapshot:
    """What a labelled round is learned from: the newest segmenter, the splits, the round's regions and those of earlier rounds.

    `changed` are regions of rounds told before whose labels no tell has seen yet; `earlier` has the others in the images of all
    these, all of them where the project refits; `open_regions` wait for labels; `course` is
    mIoU after each round that was learned from and measured on D_R as it is, first to last; `reward_ids` are those of the images
    that is measured on, in their order.
    """

    project: Project
    round: Round
    segmenter: Checkpoint | None
    pretraining: bool
    pool: Sequence[ImageGroup]
    train: Sequence[ImageGroup]
    state: Sequence[ImageGroup]
    reward: Sequence[ImageGroup]
    regions: Sequence[LabelledRegion]
    changed: Sequence[LabelledRegion]
    earlier: Sequence[LabelledRegion]
    open_regions: Sequence[OpenRegion]
    gold_regions: Sequence[OpenRegion]
    course: Sequence[float]
    reward_ids: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldSnapshot:
    """The rounds learned from, first to last, and the labelled regions of each by its id."""

    pool: Sequence[ImageGroup]
    rounds: Sequence[ToldRound]
    regions: Mapping[int, Sequence[LabelledRegion]]


def ask_snapshot(session: Session, round_id: int, *, places_for: Collection[str] = ()) -> AskSnapshot:
    """What an ask of this round needs; label maps only where the project's strategy is one of `places_for`."""
    round_ = get_round(session, round_id)
    project = get_project(session, round_.project_id)
    settings = ProjectSettings.model_validate(project.settings)
    counts = label_counts(session, project.id)
    area = float(len(counts))
    if settings.levels > 1:
        area = sum(share(part) for part in labelled_parts(session, project.id, nodes(settings.levels)))
    return AskSnapshot(
        project=project,
        round=round_,
        segmenter=latest_checkpoint(session, project.id, "segmenter"),
        policy=latest_checkpoint(session, project.id, "policy"),
        pool=groups_of_split(session, project.id, "pool"),
        proposed=proposed_cells(session, project.id),
        state=groups_of_split(session, project.id, "state"),
        label_counts=counts,
        label_area=area,
        imported_area=imported_area(session, project.id, settings.levels),
        told_regions=labelled_regions(session, project.id, told=True) if settings.strategy in places_for else (),
        whole_images=whole_images(session, project.id, ("state", "train")) if settings.learning == "refit" else (),
        timed_labels=timed_labels(session, project.id, limit=_MOST_TIMED) if settings.cost == "seconds" else (),
        train=groups_of_split(session, project.id, "train") if settings.gold_share else (),
        gold_cells=gold_cells(session, project.id) if settings.gold_share else (),
    )


def tell_snapshot(session: Session, round_id: int) -> TellSnapshot:
    """What a tell of this round needs."""
    round_ = get_round(session, round_id)
    project = get_project(session, round_.project_id)
    refits = ProjectSettings.model_validate(project.settings).learning == "refit"
    changed = changed_since_told(session, project.id)
    image_ids = None if refits else {*image_ids_of_round(session, round_id), *changed.values()}
    labelled = labelled_regions(session, project.id, image_ids=image_ids)
    # A refit takes in whatever is told, also of a later round that was labelled, and told, before this one.
    told = {each.id for each in told_rounds(session, project.id)} if refits else set()
    reward = reward_ids(session, project.id)
    return TellSnapshot(
        project=project,
        round=round_,
        segmenter=latest_checkpoint(session, project.id, "segmenter"),
        pretraining=is_pretraining(session, project.id),
        pool=groups_of_split(session, project.id, "pool"),
        train=groups_of_split(session, project.id, "train"),
        state=groups_of_split(session, project.id, "state"),
        reward=groups_of_split(session, project.id, "reward"),
        regions=[each for each in labelled if each.round_id == round_id],
        changed=[each for each in labelled if each.region_id in changed],
        # A later round that is labelled ahead, and not told yet, waits for its turn.
        earlier=[
            e
            for e in labelled
            if e.round_id != round_id and e.region_id not in changed and (e.round_id < round_id or e.round_id in told)
        ],
        open_regions=open_regions_of(session, project.id),
        gold_regions=gold_regions_of(session, project.id),
        course=course_of(session, project.id, reward),
        reward_ids=reward,
    )


def course_of(session: Session, project_id: int, reward: Sequence[int]) -> list[float]:
    """mIoU on D_R, in [0, 1], after each round that was learned from and measured, first to last; `reward`: its images' ids.

    Of other classes or other images it would be another measure: rounds from before they were changed are left out.
    """
    chosen = select(Round.miou_after).where(Round.project_id == project_id, Round.state == "told")
    chosen = chosen.where(measured_alike(project_id, reward))
    return [each for each in session.scalars(chosen.order_by(Round.number)) if each is not None]


def told_snapshot(session: Session, project_id: int) -> ToldSnapshot:
    """What it takes to learn again from every round learned from so far."""
    rounds = told_rounds(session, project_id)
    regions: dict[int, list[LabelledRegion]] = {each.id: [] for each in rounds}
    for region in labelled_regions(session, project_id, told=True):
        regions[region.round_id].append(region)
    return ToldSnapshot(pool=groups_of_split(session, project_id, "pool"), rounds=rounds, regions=regions)
