"""The stages before a trajectory, each kept in a cache by the hash of what it depends on: theta_pre, theta_0, the policy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.query_network import QueryNetwork
from models.segmenter import Segmenter, build
from service.domain.metrics import mean_iou
from workers.chance import torch_generator
from workers.checkpoints import load_policy, load_segmenter, save_policy, save_segmenter
from workers.datasets import open_dataset
from workers.datasets.base import Cached, Dataset, ImageSource, Subset
from workers.datasets.streets import Streets
from workers.episodes import PolicyProgress, PolicyTrainer
from workers.experiment import Convergence, Experiment
from workers.proposal import groups_of
from workers.resume import FileState, converge_resumably, describe_progress, play_resumably, write_atomically
from workers.training import measure, source_images, source_labels, whole_images

# Of the synthetic scenes, one in this many is held out to tell when to stop.
HELD_OUT = 8
# The source domain's own seed: the target's streets come from another city and other numbers.
SOURCE_SEED = 20_000

Report = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where stages run: the experiment, its data, the cache folder, a device, and whom to tell of progress."""

    experiment: Experiment
    dataset: Dataset
    cache: Path
    device: str
    report: Report

    @property
    def classes(self) -> int:
        """C."""
        return len(self.dataset.classes)

    def split(self, name: str) -> ImageSource:
        """A split's images; of D_R only as many as the experiment looks at, evenly spaced."""
        source = self.dataset.splits[name]
        wanted = self.experiment.reward_images
        if name != "reward" or wanted is None or wanted >= len(source):
            return source
        return Subset(source, [n * len(source) // wanted for n in range(wanted)])

    def path(self, stage: str, key: str) -> Path:
        """Where a stage's outcome is kept."""
        return self.cache / f"{stage}-{key}.safetensors"


def open_experiment_data(experiment: Experiment, root: Path | None) -> Dataset:
    """The data set at the experiment's size, decoded once and kept in memory."""
    options: dict[str, Any] = {"counts": experiment.counts} if experiment.counts else {}
    dataset = open_dataset(experiment.dataset, root, height=experiment.height, width=experiment.width, **options)
    splits = {name: Cached(source) for name, source in dataset.splits.items()}
    return Dataset(name=dataset.name, classes=dataset.classes, splits=splits)


def fresh(bench: Bench, seed: int) -> Segmenter:
    """The experiment's architecture with weights drawn from the seed."""
    each = bench.experiment
    generator = torch_generator(seed, "segmenter")
    return build(
        each.segmenter, classes=bench.classes, width=each.segmenter_width, dropout=each.dropout, generator=generator
    ).to(bench.device)


def theta_pre(bench: Bench, seed: int) -> Segmenter:
    """The segmenter of the source domain: where policy episodes start."""
    experiment = bench.experiment
    path = bench.path("source", experiment.key("source", seed))
    if path.exists():
        return load_segmenter(path.read_bytes(), bench.dataset.classes, bench.device)[0]
    segmenter = fresh(bench, seed)
    if experiment.source.images:
        size = bench.split("train").size(0)
        streets = Cached(Streets(experiment.source.images, SOURCE_SEED, size[0], size[1]))
        numbers = range(len(streets))
        _converge(
            bench,
            segmenter,
            Subset(streets, [n for n in numbers if n % HELD_OUT]),
            score=Subset(streets, numbers[::HELD_OUT]),
            settings=experiment.source,
            seed=seed,
            path=path,
            name="theta_pre (source domain)",
        )
    write_atomically(path, save_segmenter(segmenter, bench.dataset.classes, stage="source"))
    return segmenter


def theta_0(bench: Bench, seed: int) -> Segmenter:
    """Where every trajectory starts: theta_pre, fine-tuned on D_T unless the experiment keeps D_T's labels from it."""
    experiment = bench.experiment
    if experiment.theta0 == "source":
        return theta_pre(bench, seed)
    path = bench.path("theta0", experiment.key("theta0", seed))
    if path.exists():
        return load_segmenter(path.read_bytes(), bench.dataset.classes, bench.device)[0]
    segmenter = theta_pre(bench, seed)
    _converge(
        bench,
        segmenter,
        bench.split("train"),
        score=bench.split("reward"),
        settings=experiment.theta0_training,
        seed=seed,
        path=path,
        name="theta_0 (fine-tuned on D_T)",
    )
    write_atomically(path, save_segmenter(segmenter, bench.dataset.classes, stage="theta0"))
    return segmenter


def _converge(
    bench: Bench,
    segmenter: Segmenter,
    images: ImageSource,
    *,
    score: ImageSource,
    settings: Convergence,
    seed: int,
    path: Path,
    name: str,
) -> None:
    state = FileState(path.with_suffix(".state"))

    def keep_going(fit: object) -> bool:
        epoch, best = getattr(fit, "epoch", 0), getattr(fit, "best_score", None)
        bench.report(epoch / settings.max_epochs, name + ("" if best is None else f", mIoU {100 * best:.1f}"))
        return True

    bench.report(0.0, name)
    converge_resumably(
        segmenter,
        examples=whole_images(images),
        images=source_images(images),
        labels=source_labels(images),
        reward=score,
        classes=bench.classes,
        settings=settings.converge(),
        seed=seed,
        store=state,
        keep_going=keep_going,
    )
    state.clear()


def trained_policy(bench: Bench, seed: int) -> QueryNetwork:
    """The policy whose episodes on D_T brought most; played from theta_pre, which has not seen D_T's labels."""
    path = bench.path("policy", bench.experiment.key("policy", seed))
    if path.exists():
        return load_policy(path.read_bytes(), bench.dataset.classes, state_regions(bench), bench.device)[0]
    trainer = policy_trainer(bench, seed)
    state = FileState(path.with_suffix(".state"))

    def report(progress: PolicyProgress) -> bool:
        text = describe_progress(progress, trainer.settings.episodes)
        bench.report(progress.rounds_done / progress.rounds_total, text)
        return True

    play_resumably(trainer, state, report)
    policy = trainer.best_policy()
    summary: dict[str, Any] = {"returns": trainer.returns, "best_mean_return": trainer.best_return}
    write_atomically(path, save_policy(policy, bench.dataset.classes, **summary))
    state.clear()
    return policy


def policy_trainer(bench: Bench, seed: int) -> PolicyTrainer:
    """The trainer of the experiment's policy, at its beginning."""
    start = theta_pre(bench, seed).state_dict()

    def begin() -> Segmenter:
        segmenter = fresh(bench, seed)
        segmenter.load_state_dict(start)
        return segmenter

    return PolicyTrainer(
        start=begin,
        images=bench.split("train"),
        state=bench.split("state"),
        reward=bench.split("reward"),
        settings=bench.experiment.episodes(bench.classes),
        seed=seed,
        device=bench.device,
    )


def untrained_policy(bench: Bench, seed: int) -> QueryNetwork:
    """The control: the policy's architecture with the weights it had before training."""
    return (
        QueryNetwork(bench.classes, state_regions(bench), generator=torch_generator(seed, "policy"))
        .to(bench.device)
        .eval()
    )


def state_regions(bench: Bench) -> int:
    """How many regions D_S has."""
    groups = groups_of(bench.split("state"), bench.experiment.loop(bench.classes))
    return sum(group.images * group.cells for group in groups)


def test_miou(bench: Bench, segmenter: Segmenter) -> float:
    """mIoU on the test split."""
    return mean_iou(measure(segmenter, bench.split("test"), classes=bench.classes))
