"""What the games of a policy stand on: the images that its sources name, and the segmenter that episodes begin with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from models.frozen import FrozenSegmenter
from models.refit import RefitSettings
from models.segmenter import Segmenter
from service.domain.classes import CAMVID, ClassSet
from service.schemas.policies import PolicySettings
from service.schemas.sources import OWN, city_of, world_of
from workers.datasets.base import Dataset, ImageSource, Pixels
from workers.datasets.decoded import DecodedCache
from workers.datasets.forwarding import Cached, SomeClasses
from workers.datasets.on_device import on_device
from workers.datasets.shapes import shapes_dataset
from workers.datasets.streets import streets_dataset
from workers.loop.labelled import LabelledSet
from workers.loop.learner import Learner
from workers.loop.round import LoopSettings, groups_of
from workers.policy.contest import Contest, smallest_half
from workers.policy.labelling import LabellingGame, Place
from workers.training.building import copy_of, with_fresh_head

# Scenes of a city or a world that a policy plays on: D_T, D_S and D_R of its game.
CITY = {"train": 60, "state": 10, "reward": 30}
# Of an image that is drawn, at most.
MOST_PIXELS = 2**23
# Games that a policy is tried on where a head is refitted; where f is trained as a whole they are too dear.
TRIALS = 3
# The first fit of a head that has not learned from anything takes so many times the steps of a later one.
FIRST = 4


class SourceError(ValueError):
    """A policy's source does not go with the segmenter or the classes at hand; the message says what to set."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a policy's games stand on.

    splits: D_T, D_S and D_R as `train`, `state` and `reward`. start: gives a fresh copy of theta_pre. loop: how a round
    of its games goes. known: images that a refitted head learns from as a whole before the first round, D_S say; it is fitted to
    them as the loop's first fit goes, or as `beginning` says.
    """

    splits: Mapping[str, ImageSource]
    classes: ClassSet
    start: Callable[[], Segmenter]
    loop: LoopSettings
    device: str
    known: Sequence[ImageSource] = ()
    beginning: RefitSettings | None = None

    @property
    def refits(self) -> bool:
        """Whether a head is refitted on a frozen encoder; otherwise f is trained as a whole."""
        return self.loop.learning == "refit"

    @property
    def state_regions(self) -> int:
        """How many regions D_S has."""
        return sum(group.images * group.cells for group in groups_of(self.splits["state"], self.loop))


def game_of(settings: PolicySettings, ground: Ground, source: str, seed: int) -> LabellingGame:
    """The game on D_T ("own"), on a city of streets, "streets:SEED" or "streets:SEED:0-1-3" for some classes, or on a world of
    shapes, "shapes:SEED", which has classes of its own.

    Raises ValueError for another source, SourceError for a city or a world where f is trained as a whole, or a city where the
    classes are not those of the streets, and for games on halves where f is trained as a whole.
    """
    if settings.halves:
        _require_refits(ground)
    there = _there(ground, source, seed)
    contest = _contest(settings, there, seed) if settings.halves else None
    return LabellingGame(
        _place(there, seed),
        _loop_of_game(settings, there.loop),
        budget=settings.budget if contest is None else contest.budget,
        seed=seed,
        twin=settings.twin,
        influence=settings.influence > 0,
        trials=TRIALS if there.refits else 0,
        halves=None if contest is None else contest.begin,
    )


def contests_of(settings: PolicySettings, ground: Ground, seed: int) -> list[Contest]:
    """The games of a search on each of a policy's sources, one for all places where it is named.

    Raises as `game_of`, and SourceError where f is trained as a whole.
    """
    _require_refits(ground)
    contests = {source: _contest(settings, _there(ground, source, seed), seed) for source in settings.sources}
    return [contests[source] for source in settings.sources]


def _require_refits(ground: Ground) -> None:
    if not ground.refits:
        raise SourceError(
            "Games on halves of the images, by the hundred, take a head that is refitted on a frozen encoder: keep the encoder "
            "frozen, or train another policy."
        )


def _contest(settings: PolicySettings, ground: Ground, seed: int) -> Contest:
    place, loop = _place(ground, seed), _loop_of_game(settings, ground.loop)

    def blank() -> Segmenter:
        return with_fresh_head(_frozen(ground.start()), seed, len(ground.classes))

    return Contest(
        place=place,
        blank=replace(place, known=(), start=blank),
        blank_share=settings.blank,
        settings=loop,
        # Of what there is to ask for, half at most: where all is labelled in the end, ways of asking cannot differ.
        budget=max(1, min(settings.budget, smallest_half(place, loop) // 2)),
        seed=seed,
    )


def _there(ground: Ground, source: str, seed: int) -> Ground:
    """The ground that a source names. Raises as `game_of`."""
    if source == OWN:
        return ground
    height, width = ground.splits["train"].size(0)
    if height * width > MOST_PIXELS:
        raise SourceError(
            f"The source {source!r} is drawn at the size of D_T's images, and {height} x {width} is too large for that: set the "
            'policy\'s sources to ["own"].'
        )
    require_source(source, ground.classes, refits=ground.refits)
    world = world_of(source)
    if world is None:
        number, kept = city_of(source)
        classes = CAMVID if kept is None else replace(CAMVID, classes=tuple(CAMVID.classes[each] for each in kept))
        drawn = streets_dataset(number, height, width, CITY)
        splits = {split: SomeClasses(each, kept) if kept else each for split, each in drawn.splits.items()}
        return _elsewhere(ground, source, classes, splits, seed)
    drawn = shapes_dataset(world, height, width, CITY)
    return _elsewhere(ground, source, drawn.classes, drawn.splits, seed)


def _place(ground: Ground, seed: int) -> Place:
    return Place(
        images=ground.splits["train"],
        state=ground.splits["state"],
        reward=ground.splits["reward"],
        start=_beginning(ground, seed) if ground.refits else ground.start,
        known=ground.known,
    )


def _beginning(ground: Ground, seed: int) -> Callable[[], Segmenter]:
    """Gives copies of the segmenter that episodes begin with, whose head is fitted to what is known once for all of them."""

    @cache
    def fitted() -> FrozenSegmenter:
        segmenter = _frozen(ground.start())
        if ground.known:
            Learner(
                segmenter=segmenter,
                labelled=LabelledSet(ground.loop.classes),
                images=ground.splits["train"],
                reward=None,
                settings=replace(ground.loop, refit=ground.beginning or ground.loop.refit),
                seed=seed,
                known=ground.known,
            ).learn_known()
        return segmenter

    return lambda: copy_of(fitted())


def _elsewhere(ground: Ground, source: str, classes: ClassSet, drawn: Mapping[str, ImageSource], seed: int) -> Ground:
    """The ground of drawn images, under the encoder and projection of this one's. What is known there is its D_S."""
    decoded = DecodedCache[Pixels]()
    cached = {split: Cached(drawn[split], decoded, split) for split in CITY}
    splits = dict(on_device(Dataset(name=source, classes=classes, splits=cached), ground.device).splits)
    return replace(
        ground,
        splits=splits,
        classes=classes,
        start=lambda: with_fresh_head(_frozen(ground.start()), seed, len(classes)),
        loop=replace(ground.loop, classes=len(classes)),
        known=(splits["state"],) if ground.known else (),
    )


def require_source(source: str, classes: ClassSet, *, refits: bool) -> None:
    """Raises SourceError for a source that does not go with these classes, or, unless a head is refitted, with the segmenter."""
    if source == OWN:
        return
    if world_of(source) is None:
        _require_the_classes_of_a_city(source, classes)
    if not refits:
        raise SourceError(
            f"The source {source!r} takes a head that is refitted on a frozen encoder, and here the segmenter is trained as "
            'a whole: set the policy\'s sources to ["own"], or keep the encoder frozen.'
        )


def _require_the_classes_of_a_city(source: str, classes: ClassSet) -> None:
    if classes.names != CAMVID.names:
        raise SourceError(
            f"The source {source!r} has CamVid's {len(CAMVID)} classes, {', '.join(CAMVID.names)}, and here they are "
            f'{", ".join(classes.names)}: set the policy\'s sources to ["own"].'
        )
    _, kept = city_of(source)
    if kept is not None and (len(kept) < 2 or len(set(kept)) < len(kept) or max(kept) >= len(CAMVID)):
        raise SourceError(
            f"The source {source!r} should name two or more different classes from 0 to {len(CAMVID) - 1}."
        )


def _loop_of_game(settings: PolicySettings, loop: LoopSettings) -> LoopSettings:
    """The loop with as many steps of a refit as the policy's games take; so few that a fit should count in full."""
    steps = settings.refit_steps
    refit = replace(loop.refit, folds=0, hold=0.0)
    if steps is not None:
        refit = replace(refit, first_steps=min(refit.first_steps, FIRST * steps), steps=steps)
    return replace(loop, refit=refit)


def _frozen(segmenter: Segmenter) -> FrozenSegmenter:
    assert isinstance(segmenter, FrozenSegmenter), "a loop that refits has a frozen segmenter"
    return segmenter
