"""What a round is asked for by: the project's strategy, if the networks it needs are there and fit, else another, and why."""

from dataclasses import dataclass, replace

from models.segmenter import Segmenter
from models.smp import EncoderOutOfReach
from models.strategies import STRATEGIES, Strategy, build_strategy
from service.domain.methods import (
    AUTO,
    BALD,
    COVER,
    LEARNED,
    OWN_POLICY,
    RANDOM,
    SHIPPED_POLICY,
    before_labels,
    winner_of,
)
from service.store.snapshots import AskSnapshot
from service.tables import Checkpoint
from workers.jobs.delivery import JobFailed
from workers.jobs.project import ProjectData, ProjectImages
from workers.policy.shipped import shipped_policy
from workers.training.checkpoints import CheckpointError

LOOK_AT_LABELLED = frozenset(
    {AUTO, LEARNED} | {name for name in STRATEGIES if name != LEARNED and build_strategy(name).needs_labelled}
)
"""The strategies that must know where the labelled regions are, not only what they hold; of policies some do."""

_FAR_APART, _DRAWN = "chosen that the encoder sees as unlike each other.", "drawn at random."
_NO_SEGMENTER = f"There is no segmenter yet, so regions were {_DRAWN}"
_UNLIKE = f"There is no segmenter yet, so regions were {_FAR_APART}"
_UNLEARNED = "The network has not learned from the project's classes as they are, so regions were "


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a round is proposed with: the strategy, the networks behind it, and a note where it is not the one wished for.

    fresh: without a segmenter, one that has learned nothing, whose encoder tells how far regions lie apart.
    """

    strategy: Strategy
    segmenter: Checkpoint | None
    policy: Checkpoint | None
    note: str
    fresh: Segmenter | None = None


def choose_strategy(project: ProjectData, known: AskSnapshot, state: ProjectImages) -> Choice:
    """The project's strategy if the networks it needs exist and fit, else what needs none, with a note that says why.

    The note also says where regions should compete by cost, and the strategy has no value that a cost could divide.
    """
    choice, cost = _chosen(project, known, state), project.settings.cost
    if cost == "pixels" or choice.strategy.zero is not None or choice.strategy.weighs_cost:
        return choice
    said = f"Costs in {cost} do not count: the strategy orders regions, and has no value for its cost."
    return replace(choice, note=" ".join(filter(None, (choice.note, said))))


def _chosen(project: ProjectData, known: AskSnapshot, state: ProjectImages) -> Choice:
    wanted = project.settings.strategy
    if wanted == LEARNED:
        return _by_own_policy(project, known, state)
    if wanted == AUTO:
        return _by_winner(project, known, state)
    return _by_name(project, wanted, known.segmenter)


def as_asked(choice: Choice, name: str) -> Choice:
    """The choice as it was asked for, by the strategy of this name: another where the head has learned from nothing yet."""
    if name == choice.strategy.name:
        return choice
    return Choice(
        strategy=build_strategy(name),
        segmenter=choice.segmenter,
        policy=None,
        note=_UNLEARNED + (_FAR_APART if name == COVER else _DRAWN),
    )


def at_random(segmenter: Checkpoint | None, note: str) -> Choice:
    """Random, and why."""
    return Choice(strategy=build_strategy(RANDOM), segmenter=segmenter, policy=None, note=note)


def _before_labels(project: ProjectData, by: str) -> Choice:
    """By distances alone in place of what goes by them too; at random else, and where no frozen encoder can be had."""
    if project.settings.encoder != "frozen" or before_labels(by) != COVER:
        return at_random(None, _NO_SEGMENTER)
    try:
        fresh = project.fresh_segmenter()
    except (EncoderOutOfReach, JobFailed) as error:
        return at_random(None, f"{_NO_SEGMENTER} {error}")
    return Choice(strategy=build_strategy(COVER), segmenter=None, policy=None, note=_UNLIKE, fresh=fresh)


def _by_name(project: ProjectData, name: str, segmenter: Checkpoint | None, note: str = "") -> Choice:
    strategy = build_strategy(name)
    if strategy.needs_segmenter and segmenter is None:
        return _before_labels(project, name)
    if name == BALD and project.settings.dropout == 0:  # as an earlier version allowed
        return at_random(
            segmenter, "There is no dropout that bald could compare predictions with, so regions were drawn at random."
        )
    return Choice(strategy=strategy, segmenter=segmenter, policy=None, note=note)


def _by_own_policy(project: ProjectData, known: AskSnapshot, state: ProjectImages) -> Choice:
    segmenter, policy = known.segmenter, known.policy
    if policy is None or segmenter is None:
        missing = "segmenter" if segmenter is None else "policy"
        return at_random(segmenter, f"There is no {missing} yet, so regions were drawn at random.")
    try:
        strategy = build_strategy(LEARNED, project.load_policy(policy, state))
    except CheckpointError as error:
        return at_random(segmenter, f"{error} Until then regions are drawn at random.")
    return Choice(strategy=strategy, segmenter=segmenter, policy=policy, note="")


def _by_winner(project: ProjectData, known: AskSnapshot, state: ProjectImages) -> Choice:
    """By whatever won when the newest policy was compared; by that policy, where it was not; without any, by the shipped one."""
    segmenter, policy = known.segmenter, known.policy
    winner = SHIPPED_POLICY if policy is None else winner_of(policy.description)
    if segmenter is None:
        return _before_labels(project, winner)
    if winner == OWN_POLICY:
        choice = _by_own_policy(project, known, state)
        if choice.policy is not None:
            return choice
        return _by_shipped(
            project,
            segmenter,
            f"{choice.note.partition(' Until')[0]} Asked for by the policy that comes with regionwise.",
        )
    if winner == SHIPPED_POLICY:
        ahead = "" if policy is None else ", which was ahead of the project's own in held-out games"
        return _by_shipped(project, segmenter, f"Asked for by the policy that comes with regionwise{ahead}.")
    return _by_name(
        project, winner, segmenter, f"Asked for by {winner}, which was ahead of the project's policy in held-out games."
    )


def _by_shipped(project: ProjectData, segmenter: Checkpoint, note: str) -> Choice:
    policy = shipped_policy(project.classes, project.worker.device)
    return Choice(strategy=build_strategy(LEARNED, policy), segmenter=segmenter, policy=None, note=note)
