"""Puts policies together: their networks, the games that their sources name, and their trainers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.dqn import DQNSettings
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.regionwise_view import ViewSettings
from models.segmenter import Segmenter
from service.domain.classes import CAMVID, ClassSet
from service.schemas.policies import OWN, PolicySettings, city_of
from workers.chance import torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.streets import streets_dataset
from workers.loop.round import LoopSettings, groups_of
from workers.policy.frozen import freeze
from workers.policy.game import Game
from workers.policy.real import RealGame
from workers.policy.surrogate import SurrogateGame
from workers.policy.surrogate_play import SurrogatePlay
from workers.policy.trainer import Trainer, TrainerSettings
from workers.training.checkpoints import Policy

# Scenes of a street city that a policy plays on: D_T, D_S and D_R of its game.
CITY = {"train": 60, "state": 10, "reward": 30}


class SourceError(ValueError):
    """A policy's source does not go with the classes at hand; the message says what to set."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a policy's games stand on.

    splits: D_T, D_S and D_R as `train`, `state` and `reward`. start: gives a fresh copy of theta_pre. loop: how a round
    of its games goes.
    """

    splits: Mapping[str, ImageSource]
    classes: ClassSet
    start: Callable[[], Segmenter]
    loop: LoopSettings
    device: str

    @property
    def state_regions(self) -> int:
        """How many regions D_S has."""
        return sum(group.images * group.cells for group in groups_of(self.splits["state"], self.loop))


def build_network(settings: PolicySettings, classes: int, state_regions: int, seed: int) -> Policy:
    """A policy's network with weights drawn from the seed, as it is before training."""
    generator = torch_generator(seed, "policy")
    if settings.network == "paper":
        return QueryNetwork(classes, state_regions, generator=generator)
    shape = RegionwiseSettings(
        view=_view(settings),
        deep=settings.deep,
        width=settings.width,
        dueling=settings.dueling,
        state_encoder=settings.state_encoder,
        # Only what depends on identities is bound to this data set's classes.
        classes=None if settings.class_relative else classes,
    )
    return RegionwiseNetwork(shape, generator)


def build_trainer(settings: PolicySettings, ground: Ground, seed: int) -> Trainer:
    """A policy's trainer at its beginning. Raises SourceError for one that it cannot play on."""
    # Surrogate games live in main memory, where their network is fastest too.
    device = ground.device if settings.game == "real" else "cpu"
    state_regions = ground.state_regions  # once, since exploring makes a network in many a round

    def network(drawn: int) -> Policy:
        return build_network(settings, len(ground.classes), state_regions, drawn).to(device)

    return Trainer(
        games=_games(settings, ground, seed),
        network=network(seed),
        settings=TrainerSettings(
            dqn=dqn_settings(settings),
            episodes=settings.episodes,
            updates_per_round=settings.updates_per_round,
            standardise=settings.standardise,
            feature_dropout=settings.feature_dropout,
            feature_noise=settings.feature_noise,
        ),
        seed=seed,
        explorer=network if settings.explore == "rounds" else None,
    )


def _games(settings: PolicySettings, ground: Ground, seed: int) -> list[Game]:
    if settings.game == "surrogate":
        surrogates = [surrogate_game(settings, ground, source) for source in settings.sources]
        return [SurrogatePlay(each, budget=settings.budget, seed=seed, twin=settings.twin) for each in surrogates]
    game = RealGame(
        start=ground.start,
        images=ground.splits["train"],
        state=ground.splits["state"],
        reward=ground.splits["reward"],
        settings=ground.loop,
        budget=settings.budget,
        seed=seed,
    )
    return [game]


def surrogate_game(settings: PolicySettings, ground: Ground, source: str) -> SurrogateGame:
    """The surrogate game on D_T ("own"), or on a city of streets: "streets:SEED", "streets:SEED:0-1-3" for some classes.

    Raises ValueError for another source, SourceError for a city where the classes are not those of the streets.
    """
    if source == OWN:
        return game_on(ground, ground.splits, redraw=settings.redraw)
    number, kept = city_of(source)
    classes = _classes_of_city(source, kept, ground.classes)
    height, width = ground.splits["train"].size(0)
    streets = streets_dataset(number, height, width, CITY)
    return game_on(ground, streets.splits, classes=classes, redraw=settings.redraw)


def game_on(
    ground: Ground,
    splits: Mapping[str, ImageSource],
    *,
    classes: list[int] | None = None,
    redraw: bool,
) -> SurrogateGame:
    """The surrogate game on the images of splits."""
    segmenter = ground.start()
    pool, state, reward = (freeze(segmenter, splits[split], ground.loop) for split in ("train", "state", "reward"))
    return SurrogateGame(
        pool=pool,
        state=state,
        reward=reward,
        segmenter=segmenter,
        settings=ground.loop,
        classes=classes,
        redraw=redraw,
    )


def dqn_settings(settings: PolicySettings) -> DQNSettings:
    """As models.dqn takes them."""
    shared = set(DQNSettings.__dataclass_fields__) & set(PolicySettings.model_fields)
    return DQNSettings(**{name: getattr(settings, name) for name in shared})


def _view(settings: PolicySettings) -> ViewSettings:
    return ViewSettings(**{name: getattr(settings, name) for name in ViewSettings.__dataclass_fields__})


def _classes_of_city(source: str, kept: tuple[int, ...] | None, classes: ClassSet) -> list[int] | None:
    """The classes to play with in a city; None: all."""
    if classes.names != CAMVID.names:
        raise SourceError(
            f"The source {source!r} has CamVid's {len(CAMVID)} classes, {', '.join(CAMVID.names)}, and here they are "
            f'{", ".join(classes.names)}: set the policy\'s sources to ["own"].'
        )
    if kept is not None and (len(kept) < 2 or len(set(kept)) < len(kept) or max(kept) >= len(classes)):
        raise SourceError(
            f"The source {source!r} should name two or more different classes from 0 to {len(classes) - 1}."
        )
    return None if kept is None else list(kept)
