"""The policies of an experiment: trained ones, kept in the cache by the hash of what they depend on, and untrained controls."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from models.acquisition import SCORES
from models.query_network import QueryNetwork
from models.regionwise_network import RegionwiseNetwork, RegionwiseSettings
from models.segmenter import Segmenter
from service.domain.classes import CAMVID, ClassSet
from workers.chance import torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.streets import streets_dataset
from workers.experiments.guides import guide_of_games
from workers.experiments.scalars import add_episode, add_progress
from workers.experiments.stages import Bench, fresh, theta_pre
from workers.files import FileState, write_atomically
from workers.loop.round import LoopSettings
from workers.policy.frozen import freeze
from workers.policy.playing import describe_progress, play_resumably
from workers.policy.real import PolicyProgress, PolicyTrainer
from workers.policy.surrogate import SurrogateGame
from workers.policy.surrogate_trainer import EpisodeReport, SurrogateSettings, SurrogateTrainer, play_on
from workers.training.checkpoints import Policy, load_policy, save_policy

# Scenes of a street city that a policy plays on: D_T, D_S and D_R of its game.
CITY = {"train": 60, "state": 10, "reward": 30}
_STREETS = re.compile(r"streets:(\d+)(?::(\d+(?:-\d+)*))?")


def trained_policy(bench: Bench, name: str, seed: int) -> Policy:
    """The policy that plays best of those that its training went through; its games start from theta_pre, which has not
    seen D_T's labels.
    """
    path = bench.path("policy", bench.experiment.policy_key(name, seed))
    if path.exists():
        return load_policy(path.read_bytes(), bench.dataset.classes, state_regions(bench), bench.device)[0]
    train = _train_on_surrogate if bench.experiment.policy(name).game == "surrogate" else _train_on_real
    policy, summary = train(bench, name, seed, FileState(path.with_suffix(".state")))
    write_atomically(path, save_policy(policy, bench.dataset.classes, **summary))
    FileState(path.with_suffix(".state")).clear()
    return policy


def _train_on_real(bench: Bench, name: str, seed: int, state: FileState) -> tuple[Policy, dict[str, Any]]:
    trainer = policy_trainer(bench, name, seed)

    def report(progress: PolicyProgress) -> bool:
        add_progress(bench.scalars, progress)
        text = describe_progress(progress, trainer.settings.episodes)
        bench.report(progress.rounds_done / progress.rounds_total, f"{name}: {text}")
        return True

    play_resumably(trainer, state, report)
    return trainer.best_policy(), {"returns": trainer.returns, "best_mean_return": trainer.best_return}


def _train_on_surrogate(bench: Bench, name: str, seed: int, state: FileState) -> tuple[Policy, dict[str, Any]]:
    settings = bench.experiment.policy(name)
    trainer = SurrogateTrainer(
        games=[surrogate_game(bench, name, source) for source in settings.sources],
        network=network_of(bench, name, seed).cpu(),
        settings=SurrogateSettings(
            dqn=settings.dqn(),
            episodes=settings.episodes,
            budget=settings.budget,
            updates_per_round=settings.updates_per_round,
            twin=settings.twin,
            standardise=settings.standardise,
            feature_dropout=settings.feature_dropout,
            feature_noise=settings.feature_noise,
        ),
        seed=seed,
        explorer=(lambda draw: network_of(bench, name, draw).cpu()) if settings.explore == "rounds" else None,
    )

    def report(episode: EpisodeReport) -> None:
        add_episode(bench.scalars, episode)
        trial = f", best trial {trainer.best_trial:.2f}" if trainer.trials else ""
        bench.report(
            episode.episode / settings.episodes, f"{name}: episode {episode.episode}, mIoU {episode.area:.1f}{trial}"
        )

    play_on(trainer, state, report)
    policy = trainer.best_policy()
    assert isinstance(policy, QueryNetwork | RegionwiseNetwork)
    return policy.to(bench.device), {"returns": trainer.areas, "trials": trainer.trials}


def surrogate_game(bench: Bench, policy: str, source: str) -> SurrogateGame:
    """The surrogate game on D_T ("own"), or on a city of streets: "streets:SEED", "streets:SEED:0-1-3" for some classes.

    Raises ValueError for another source, and for a city where the experiment's classes are not those of the streets.
    """
    city = None if source == "own" else _city(source, bench.dataset.classes)
    settings, chosen = bench.experiment.loop(bench.classes, policy=policy), bench.experiment.policy(policy)
    if city is None:
        return game_at_home(bench, settings, guided=chosen.guided, redraw=chosen.redraw)
    number, classes = city
    height, width = bench.split("train").size(0)
    streets = streets_dataset(number, height, width, CITY)
    return _game(bench, streets.splits, settings, classes=classes, redraw=chosen.redraw)


def game_at_home(bench: Bench, settings: LoopSettings, *, guided: bool, redraw: bool) -> SurrogateGame:
    """The surrogate game on D_T, D_S and D_R, with what guides expect of the regions played on, or without."""
    guide_RC = guide_of_games(bench, redraw) if guided else None
    return _game(bench, {split: bench.split(split) for split in CITY}, settings, guide_RC=guide_RC, redraw=redraw)


def _game(bench: Bench, splits: Mapping[str, ImageSource], settings: LoopSettings, **chosen: Any) -> SurrogateGame:
    segmenter = theta_pre(bench, 0)
    pool, state, reward = (freeze(segmenter, splits[split], settings) for split in ("train", "state", "reward"))
    return SurrogateGame(pool=pool, state=state, reward=reward, segmenter=segmenter, settings=settings, **chosen)


def _city(source: str, classes: ClassSet) -> tuple[int, list[int] | None]:
    """The seed of a city, and the classes to play with there; None: all."""
    found = _STREETS.fullmatch(source)
    if found is None:
        raise ValueError(f'A policy plays on "own" or on "streets:SEED" or "streets:SEED:0-1-3", not on {source!r}.')
    if classes.names != CAMVID.names:
        raise ValueError(
            f"The source {source!r} has CamVid's {len(CAMVID)} classes, {', '.join(CAMVID.names)}, and the experiment "
            f'{", ".join(classes.names)}: set the policy\'s sources to ["own"].'
        )
    kept = [int(each) for each in found[2].split("-")] if found[2] else None
    if kept is not None and (len(kept) < 2 or len(set(kept)) < len(kept) or max(kept) >= len(classes)):
        raise ValueError(
            f"The source {source!r} should name two or more different classes from 0 to {len(classes) - 1}."
        )
    return int(found[1]), kept


def policy_trainer(bench: Bench, name: str, seed: int) -> PolicyTrainer:
    """The trainer of one of the experiment's policies, at its beginning."""
    start = theta_pre(bench, 0).state_dict()

    def begin() -> Segmenter:
        segmenter = fresh(bench, 0)
        segmenter.load_state_dict(start)
        return segmenter

    return PolicyTrainer(
        start=begin,
        images=bench.split("train"),
        state=bench.split("state"),
        reward=bench.split("reward"),
        settings=bench.experiment.episodes(bench.classes, name),
        seed=seed,
        device=bench.device,
    )


def untrained_policy(bench: Bench, name: str, seed: int) -> Policy:
    """The control: the policy's architecture with weights as they are before training, drawn from the seed."""
    return network_of(bench, name, seed).eval()


def policy_of_score(name: str) -> Policy:
    """A policy that knows one acquisition score and nothing else. Raises ValueError for a name that is not in SCORES."""
    if name not in SCORES:
        raise ValueError(f"There is no acquisition score {name!r}; there are {', '.join(SCORES)}.")
    network = RegionwiseNetwork(RegionwiseSettings(deep=False, dueling=False))
    with torch.no_grad():
        network.scores.weight.copy_(torch.eye(len(SCORES))[SCORES.index(name)])
    return network.eval()


def network_of(bench: Bench, name: str, seed: int) -> Policy:
    """A policy's network as it is before training."""
    settings, generator = bench.experiment.policy(name), torch_generator(seed, "policy")
    network: Policy
    if settings.network == "paper":
        network = QueryNetwork(bench.classes, state_regions(bench), generator=generator)
    else:
        # Only what depends on identities or on order is bound to this data set's classes and D_S.
        listed = settings.state_encoder == "list"
        shape = RegionwiseSettings(
            view=settings.view(),
            deep=settings.deep,
            width=settings.width,
            dueling=settings.dueling,
            state_encoder=settings.state_encoder,
            classes=bench.classes if listed or not settings.class_relative else None,
            state_rows=state_regions(bench) + bench.classes if listed else None,
        )
        network = RegionwiseNetwork(shape, generator)
    return network.to(torch.device(bench.device))


def state_regions(bench: Bench) -> int:
    """How many regions D_S has."""
    source = bench.split("state")
    return sum(bench.experiment.grid(source.size(number)).cells for number in range(len(source)))
