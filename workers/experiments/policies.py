"""The policies of an experiment: trained ones, kept in the cache by the hash of what they depend on, and untrained controls."""

from functools import cache

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from workers.experiments.scalars import add_progress
from workers.experiments.stages import Bench, fresh, state_beside, theta_pre
from workers.files import write_atomically
from workers.policy.building import build_network, build_trainer
from workers.policy.ground import Ground
from workers.policy.playing import describe_progress, play_resumably
from workers.policy.progress import Progress
from workers.policy.shipped import shipped_bytes, shipped_policy
from workers.training.building import copy_of
from workers.training.checkpoints import Policy, load_policy, save_policy


def trained_policy(bench: Bench, name: str, seed: int) -> Policy:
    """The policy that plays best of those that its training went through; its games start from theta_pre, which has not
    seen D_T's labels.
    """
    path = bench.path("policy", bench.experiment.policy_key(name, seed))
    if bench.experiment.policy(name).ready:
        if not path.exists():
            write_atomically(path, shipped_bytes())
        return shipped_policy(bench.dataset.classes, bench.device)
    ground = ground_of(bench, name)
    if path.exists():
        return load_policy(path.read_bytes(), bench.dataset.classes, ground.state_regions, bench.device)[0]
    trainer, state = build_trainer(bench.experiment.policy(name), ground, seed), state_beside(path)

    def report(progress: Progress) -> bool:
        add_progress(bench.scalars, progress)
        bench.report(progress.done, f"{name}: {describe_progress(trainer, progress)}")
        return True

    play_resumably(trainer, state, report)
    policy = trainer.best_policy()
    assert isinstance(policy, Policy)
    write_atomically(path, save_policy(policy, bench.dataset.classes, **trainer.summary()))
    state.clear()
    return policy.to(bench.device)


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
