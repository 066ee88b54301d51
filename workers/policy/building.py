"""Puts policies together: their networks, and their trainers on the games that their sources name."""

from collections.abc import Sequence

from models.blend import Blend
from models.dqn import DQNSettings
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.regionwise_view import ViewSettings
from models.turns_network import TurnsNetwork
from service.schemas.policies import PolicySettings
from workers.chance import torch_generator
from workers.policy.ground import Ground, contests_of, game_of
from workers.policy.memories import LiveRound
from workers.policy.players import Players
from workers.policy.playing import PolicyTrainer
from workers.policy.search import Search, SearchSettings
from workers.policy.trainer import Trainer, TrainerSettings
from workers.training.checkpoints import Policy


def build_network(settings: PolicySettings, classes: int, state_regions: int, seed: int) -> Policy:
    """A policy's network with weights drawn from the seed, as it is before training; a blend always begins with the same."""
    if settings.network == "blend":
        return Blend(known=settings.known, covers=settings.covers)
    generator = torch_generator(seed, "policy")
    if settings.network == "turns":
        return TurnsNetwork(settings.width, generator, covers=settings.covers)
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


def build_trainer(
    settings: PolicySettings,
    ground: Ground,
    seed: int,
    live: Sequence[LiveRound] = (),
    players: Players | None = None,
) -> PolicyTrainer:
    """What makes a policy, at its beginning. A DQN remembers live rounds; a search has its games played by `players`.

    Raises SourceError for a source it cannot play on.
    """
    return search(settings, ground, seed, players) if settings.searched else dqn_trainer(settings, ground, seed, live)


def search(settings: PolicySettings, ground: Ground, seed: int, players: Players | None = None) -> Search:
    """The search for a blend, whose games others may play side by side. Raises as build_trainer."""
    searching = SearchSettings(games=settings.episodes, population=settings.population, deviation=settings.deviation)
    return Search(
        contests=contests_of(settings, ground, seed),
        network=Blend(known=settings.known, covers=settings.covers).to(ground.device),
        settings=searching,
        seed=seed,
        players=players,
    )


def dqn_trainer(settings: PolicySettings, ground: Ground, seed: int, live: Sequence[LiveRound] = ()) -> Trainer:
    """The trainer of a query network. Raises as build_trainer."""
    state_regions = ground.state_regions  # once, since exploring makes a network in many a round

    def network(drawn: int) -> Policy:
        return build_network(settings, len(ground.classes), state_regions, drawn).to(ground.device)

    def wandering(drawn: int) -> Policy:
        new = network(drawn)
        if isinstance(new, TurnsNetwork):
            new.wander(settings.deviation, torch_generator(drawn, "wander"))
        return new

    return Trainer(
        games=[game_of(settings, ground, source, seed) for source in settings.sources],
        network=network(seed),
        settings=TrainerSettings(
            dqn=dqn_settings(settings),
            episodes=settings.episodes,
            updates_per_round=settings.updates_per_round,
            standardise=settings.standardise,
            influence=settings.influence,
            feature_dropout=settings.feature_dropout,
            feature_noise=settings.feature_noise,
            imitate=settings.imitate,
        ),
        seed=seed,
        explorer=wandering if settings.explore == "rounds" else None,
        live=live,
    )


def dqn_settings(settings: PolicySettings) -> DQNSettings:
    """As models.dqn takes them."""
    shared = set(DQNSettings.__dataclass_fields__) & set(PolicySettings.model_fields)
    return DQNSettings(**{name: getattr(settings, name) for name in shared})


def _view(settings: PolicySettings) -> ViewSettings:
    return ViewSettings(**{name: getattr(settings, name) for name in ViewSettings.__dataclass_fields__})
