"""The policies of an experiment: trained ones, kept in the cache by the hash of what they depend on, and untrained controls."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache

from torch import nn

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from workers.experiments.scalars import add_progress
from workers.experiments.stages import Bench, fresh, state_beside, theta_pre
from workers.files import StateStore, write_atomically
from workers.policy.building import build_network, build_trainer, search
from workers.policy.contest import Contest
from workers.policy.ground import Ground, contests_of
from workers.policy.players import Players
from workers.policy.playing import PolicyTrainer, describe_progress, play_resumably
from workers.policy.progress import Progress
from workers.policy.shipped import shipped_bytes, shipped_policy
from workers.training.building import copy_of
from workers.training.checkpoints import Policy, load_policy, save_policy


def trained_policy(bench: Bench, name: str, seed: int, players: Callable[[], Players] | None = None) -> Policy:
    """The policy that plays best of those that its training went through; its games start from theta_pre, which has not
    seen D_T's labels. Those of a search may be played side by side by `players`.
    """
    path = bench.path("policy", bench.experiment.policy_key(name, seed))
    if bench.experiment.policy(name).ready:
        if not path.exists():
            write_atomically(path, shipped_bytes())
        return shipped_policy(bench.dataset.classes, bench.device)
    ground = ground_of(bench, name)
    if path.exists():
        return load_policy(path.read_bytes(), bench.dataset.classes, ground.state_regions, bench.device)[0]
    settings = bench.experiment.policy(name)
    with ExitStack() as stack:
        if players is not None and settings.searched:
            trainer: PolicyTrainer = search(settings, ground, seed, stack.enter_context(players()))
        else:
            trainer = build_trainer(settings, ground, seed)
        policy = _played(bench, name, trainer, state_beside(path))
    write_atomically(path, save_policy(policy, bench.dataset.classes, **trainer.summary()))
    state_beside(path).clear()
    return policy.to(bench.device)


def _played(bench: Bench, name: str, trainer: PolicyTrainer, state: StateStore) -> Policy:
    def report(progress: Progress) -> bool:
        add_progress(bench.scalars, progress)
        bench.report(progress.done, f"{name}: {describe_progress(trainer, progress)}")
        return True

    play_resumably(trainer, state, report)
    policy = trainer.best_policy()
    assert isinstance(policy, Policy)
    return policy


def contests_and_network(bench: Bench, name: str, seed: int) -> tuple[list[Contest], nn.Module]:
    """What a player of a search needs."""
    settings, ground = bench.experiment.policy(name), ground_of(bench, name)
    return contests_of(settings, ground, seed), build_network(settings, bench.classes, 0, seed).to(bench.device)


def ground_of(bench: Bench, name: str) -> Ground:
    """What the games of a policy stand on."""

    @cache
    def first() -> Segmenter:
        return theta_pre(bench, 0)

    def start() -> Segmenter:
        looking = first()
        if isinstance(looking, FrozenSegmenter):
            return copy_of(looking)
        segmenter = fresh(bench, 0)
        segmenter.load_state_dict(looking.state_dict())
        return segmenter

    refit = bench.experiment.refit
    return Ground(
        splits={split: bench.split(split) for split in ("train", "state", "reward")},
        classes=bench.dataset.classes,
        start=start,
        loop=bench.experiment.loop(bench.classes, policy=name),
        device=bench.device,
        # Of D_T, on which the games are played, they know nothing; of D_S what trajectories do.
        known=[bench.split(name) for name in bench.experiment.known_splits if name != "train"],
        beginning=refit.long(refit.theta0_steps),
    )


def untrained_policy(bench: Bench, name: str, seed: int) -> Policy:
    """The control: the policy's architecture with weights as they are before training, drawn from the seed."""
    regions = ground_of(bench, name).state_regions
    network = build_network(bench.experiment.policy(name), bench.classes, regions, seed)
    return network.to(bench.device).eval()
