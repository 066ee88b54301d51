"""The stages before a trajectory, each kept in a cache by the hash of what it depends on: theta_pre and theta_0."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.fit import FitState
from models.refit import RefitSettings
from models.segmenter import Segmenter
from service.domain.classes import CAMVID
from service.domain.methods import Method
from workers.datasets import open_dataset
from workers.datasets.base import SPLITS, Dataset, ImageSource, Subset
from workers.datasets.forwarding import Cached
from workers.datasets.streets import Streets
from workers.experiments.parts import Convergence
from workers.experiments.scalars import NullScalars, Scalars
from workers.experiments.settings import Experiment
from workers.files import FileState, write_atomically
from workers.loop.labelled import LabelledSet
from workers.loop.learner import Learner
from workers.training.building import fresh_segmenter
from workers.training.checkpoints import load_segmenter, save_segmenter
from workers.training.convergence import Material
from workers.training.resumable import converge_resumably

# Of the synthetic scenes, one in this many is held out to tell when to stop.
HELD_OUT = 8
# The source domain's own seed: the target's streets come from another city and other numbers.
SOURCE_SEED = 20_000

Report = Callable[[float, str], None]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where stages run: the experiment, its data, the cache folder, a device, and whom to tell of progress and figures."""

    experiment: Experiment
    dataset: Dataset
    cache: Path
    device: str
    report: Report
    scalars: Scalars = field(default_factory=NullScalars)

    @property
    def classes(self) -> int:
        """C."""
        return len(self.dataset.classes)

    def split(self, name: str) -> ImageSource:
        """A split's images; of D_R only as many as the experiment looks at, evenly spaced."""
        if name not in self.dataset.splits:
            raise ValueError(no_split(self.dataset, name))
        source = self.dataset.splits[name]
        wanted = self.experiment.reward_images
        if name != "reward" or wanted is None or wanted >= len(source):
            return source
        return Subset(source, [n * len(source) // wanted for n in range(wanted)])

    def path(self, stage: str, key: str) -> Path:
        """Where a stage's outcome is kept."""
        return self.cache / f"{stage}-{key}.safetensors"


def no_split(dataset: Dataset, name: str) -> str:
    """What is said of a data set without a split that is looked at."""
    return (
        f"The data set {dataset.name} has no split `{name}`: a simulation needs label maps for at least as many images as splits "
        f"are drawn from, or a splits.json that lists {', '.join(SPLITS)}, each perhaps empty."
    )


def open_experiment_data(experiment: Experiment, root: Path | None) -> Dataset:
    """The data set at the experiment's size, decoded once and kept in memory."""
    options: dict[str, Any] = {"counts": experiment.counts} if experiment.counts else {}
    if experiment.dataset == "folder":
        options["reading"] = experiment.reading.built()
    dataset = open_dataset(experiment.dataset, root, height=experiment.height, width=experiment.width, **options)
    splits = {name: Cached(source) for name, source in dataset.splits.items()}
    return Dataset(name=dataset.name, classes=dataset.classes, splits=splits)


def fresh(bench: Bench, seed: int) -> Segmenter:
    """The experiment's architecture with weights drawn from the seed, a frozen encoder's projection fitted to D_V and D_T."""
    images = [bench.split(name) for name in ("pool", "train") if name in bench.dataset.splits]
    built = fresh_segmenter(bench.experiment.architecture, bench.classes, images, seed, bench.device)
    return accelerated(bench, built)


def accelerated(bench: Bench, segmenter: Segmenter) -> Segmenter:
    """The segmenter as the experiment's `amp` and `compile` want it on CUDA; on a CPU as it was."""
    if not bench.device.startswith("cuda"):
        return segmenter
    segmenter.half_precision = bench.experiment.amp
    if bench.experiment.compile:
        # In place, and without new names in the state dict; of any size, since the last batch of a pass is smaller.
        segmenter.encoder.compile(dynamic=True)
        segmenter.decoder.compile(dynamic=True)
    return segmenter


def theta_pre(bench: Bench, seed: int) -> Segmenter:
    """The segmenter of the source domain, where policy episodes start; of a frozen encoder one with a fresh head.

    Raises ValueError for a data set of fewer classes than the source domain has.
    """
    experiment = bench.experiment
    path = bench.path("source", experiment.key("source", seed))
    if path.exists():
        return _kept(bench, path)
    trains = experiment.encoder == "trained" and experiment.source.images > 0
    if trains and bench.classes < len(CAMVID):
        raise ValueError(
            f"theta_pre is trained on synthetic streets of {len(CAMVID)} classes, and {bench.dataset.name} has "
            f"{bench.classes}: set source.images to 0."
        )
    segmenter = fresh(bench, seed)
    if trains:
        size = bench.split("train").size(0)
        streets = Cached(Streets(experiment.source.images, SOURCE_SEED, size[0], size[1]))
        numbers = range(len(streets))
        train_and_keep(
            bench,
            segmenter,
            Material.whole(Subset(streets, [n for n in numbers if n % HELD_OUT])),
            score=Subset(streets, numbers[::HELD_OUT]),
            settings=experiment.source,
            seed=seed,
            path=path,
            name="theta_pre (source domain)",
        )
    _keep(bench, path, segmenter, "source")
    return segmenter


def theta_0(bench: Bench, seed: int) -> Segmenter:
    """Where every trajectory starts: theta_pre, fine-tuned on D_T unless the experiment keeps D_T's labels from it."""
    experiment = bench.experiment
    if experiment.theta0 == "source":
        return theta_pre(bench, seed)
    path = bench.path("theta0", experiment.key("theta0", seed))
    if path.exists():
        return _kept(bench, path)
    segmenter = theta_pre(bench, seed)
    if experiment.learning == "refit":
        bench.report(0.0, f"theta_0 (fitted to {' and '.join(experiment.known_splits)})")
        known = [bench.split(name) for name in experiment.known_splits]
        long = experiment.long_fit(experiment.refit.theta0_steps)
        segmenter = fit_head(bench, segmenter, known=known, seed=seed, settings=long)
        _keep(bench, path, segmenter, "theta0")
        return segmenter
    train_and_keep(
        bench,
        segmenter,
        Material.whole(bench.split("train")),
        score=bench.split("reward"),
        settings=experiment.theta0_training,
        seed=seed,
        path=path,
        name="theta_0 (fine-tuned on D_T)",
    )
    _keep(bench, path, segmenter, "theta0")
    return segmenter


def _kept(bench: Bench, path: Path) -> Segmenter:
    return accelerated(bench, load_segmenter(path.read_bytes(), bench.dataset.classes, bench.device)[0])


def _keep(bench: Bench, path: Path, segmenter: Segmenter, stage: str) -> None:
    write_atomically(path, save_segmenter(segmenter, bench.dataset.classes, stage=stage))
    state_beside(path).clear()


def fit_head(
    bench: Bench,
    segmenter: Segmenter,
    *,
    known: Sequence[ImageSource],
    seed: int,
    labelled: LabelledSet | None = None,
    settings: RefitSettings | None = None,
) -> Segmenter:
    """Fit a frozen segmenter's head to all that is labelled: known images as a whole, and regions of D_V.

    As the experiment's rounds do, unless there are other settings. Returns what is fitted: another segmenter where labels show
    that finer features are better.
    """
    loop = bench.experiment.loop(bench.classes, Method(name="random"))
    learner = Learner(
        segmenter=segmenter,
        labelled=labelled or LabelledSet(bench.classes),
        images=bench.split("pool"),
        reward=None,
        settings=loop if settings is None else replace(loop, refit=settings),
        seed=seed,
        known=known,
    )
    learner.learn_known()
    return learner.segmenter


def train_and_keep(
    bench: Bench,
    segmenter: Segmenter,
    material: Material,
    *,
    score: ImageSource,
    settings: Convergence,
    seed: int,
    path: Path,
    name: str,
) -> None:
    """Train on labels as the settings say; begun again after a stop, it goes on from beside `path` (see `state_beside`)."""
    epochs = settings.converge().epochs(len(material.examples))

    def keep_going(fit: FitState) -> bool:
        text = name if fit.best_score is None else f"{name}, mIoU {100 * fit.best_score:.1f}"
        bench.report(fit.epoch / epochs, text)
        return True

    bench.report(0.0, name)
    converge_resumably(
        segmenter,
        material,
        reward=score,
        classes=bench.classes,
        settings=settings.converge(),
        seed=seed,
        store=state_beside(path),
        keep_going=keep_going,
    )


def state_beside(path: Path) -> FileState:
    """Where the training of what will lie at `path` is kept; to be cleared once that lies there."""
    return FileState(path.with_suffix(".state"))
