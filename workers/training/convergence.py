"""Training and measuring a segmenter on image sources: what the loop, the simulation and the jobs share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.evaluation import evaluate
from models.fit import (
    Batch,
    Convergence,
    Example,
    FitState,
    TrainSettings,
    cosine_share,
    crops,
    fit_to_convergence,
    make_optimizer,
    set_rate,
)
from models.inference import evaluating
from models.segmenter import Segmenter
from service.domain.metrics import mean_iou
from workers.chance import derived_seed, torch_generator
from workers.datasets.base import ImageSource
from workers.datasets.on_device import image_tensor, stack_label_maps
from workers.training.looking import seen

# Images of one forward pass together hold at most this many pixels: bounds memory at any image size.
PIXELS_PER_BATCH = 2_000_000
# Where training is counted in steps, an epoch is this many: how often the rate is lowered and progress told.
STEPS_PER_EPOCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvergeSettings:
    """Training until the score on D_R stops rising (docs/method.md, 8), or for a number of steps.

    With `steps` above 0 it is that many, and `steps_per_region` more for each example, at a rate that falls along half a
    cosine; D_R is looked at only at the end, and the last weights are kept.
    """

    train: TrainSettings = field(default_factory=TrainSettings)
    patience: int = 150
    max_epochs: int = 1000
    evaluate_every: int = 1
    steps: int = 0
    steps_per_region: float = 0.0

    def epochs(self, examples: int) -> int:
        """At most this many epochs for so many examples."""
        if not self.steps:
            return self.max_epochs
        return max(1, round((self.steps + self.steps_per_region * examples) / STEPS_PER_EPOCH))


def same_size_runs(source: ImageSource, numbers: Sequence[int]) -> Iterator[list[int]]:
    """Consecutive numbers whose images have one size, in runs that fit a forward pass."""
    run: list[int] = []
    size: tuple[int, int] | None = None
    for number in numbers:
        here = source.size(number)
        if run and (here != size or (len(run) + 1) * here[0] * here[1] > PIXELS_PER_BATCH):
            yield run
            run = []
        run.append(number)
        size = here
    if run:
        yield run


def measure(segmenter: Segmenter, source: ImageSource, *, classes: int) -> NDArray[np.int64]:
    """The confusion matrix (C, C), rows = truth, of the segmenter on all images of a source."""
    return np.asarray(confusions(segmenter, source, classes=classes).sum(axis=0), np.int64)


def confusions(segmenter: Segmenter, source: ImageSource, *, classes: int) -> NDArray[np.int64]:
    """The confusion matrices (N, C, C), rows = truth, of the segmenter on each of N images of a source."""
    device = device_of(segmenter)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for run in same_size_runs(source, range(len(source))):
            yield seen(segmenter, source, run, device), stack_label_maps(source, run)

    return np.asarray(evaluate(segmenter, batches(), classes).cpu().numpy(), np.int64)


def predicted_label_map(segmenter: Segmenter, source: ImageSource, number: int) -> NDArray[np.uint8]:
    """(H, W) class indices that the segmenter predicts of an image."""
    predicted_HW = np.zeros(source.size(number), np.uint8)
    with evaluating(segmenter):
        for band in segmenter.bands(seen(segmenter, source, [number], device_of(segmenter)), source.size(number)):
            predicted_HW[band.rows] = segmenter.band_classes(band)[0].cpu().numpy()
    return predicted_HW


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What is trained on: crops around the examples, each of an image of the source."""

    source: ImageSource
    examples: Sequence[Example]

    @classmethod
    def whole(cls, source: ImageSource) -> "Material":
        """One example per image: its crop may lie anywhere in it."""
        return cls(source=source, examples=[Example(image=n, box=(0, 0, *source.size(n))) for n in range(len(source))])

    def crops(self, settings: TrainSettings, generator: torch.Generator) -> Iterator[Batch]:
        """One pass over the examples."""
        return crops(self.examples, self._image, self._label_map, settings, generator)

    def _image(self, number: int) -> Tensor:
        return image_tensor(self.source.image(number))

    def _label_map(self, number: int) -> Tensor:
        return torch.from_numpy(np.array(self.source.label_map(number)))


def converge(
    segmenter: Segmenter,
    material: Material,
    *,
    reward: ImageSource,
    classes: int,
    settings: ConvergeSettings,
    seed: int,
    state: tuple[FitState, dict[str, Tensor]] | None = None,
    on_epoch: Callable[[FitState, torch.optim.Optimizer], bool] | None = None,
) -> FitState:
    """Train on crops of the material until mIoU on the reward images stops rising; ends with the best weights.

    `on_epoch` sees the state after each epoch and may stop by returning False. To go on from a stop, load the segmenter's
    weights of that moment and pass the state and the momentum that `momentum_tensors` gave.
    """
    optimizer = make_optimizer(segmenter, settings.train)
    if state is not None:
        load_momentum(optimizer, state[1])
    epochs = settings.epochs(len(material.examples))

    def passes(generator: torch.Generator) -> Iterator[Batch]:
        while True:
            yield from material.crops(settings.train, generator)

    def epoch_batches(epoch: int) -> Iterator[Batch]:
        generator = torch_generator(seed, "converge", epoch)
        if not settings.steps:
            return material.crops(settings.train, generator)
        set_rate(optimizer, settings.train.lr * cosine_share((epoch - 0.5) / epochs))
        return islice(passes(generator), STEPS_PER_EPOCH if material.examples else 0)

    return fit_to_convergence(
        segmenter,
        optimizer,
        epoch_batches,
        lambda: mean_iou(measure(segmenter, reward, classes=classes)),
        Convergence(
            train=settings.train,
            patience=epochs if settings.steps else settings.patience,
            max_epochs=epochs,
            evaluate_every=epochs if settings.steps else settings.evaluate_every,
        ),
        seed=derived_seed(seed, "dropout") % 2**40,
        state=None if state is None else state[0],
        on_epoch=(lambda fit: on_epoch(fit, optimizer)) if on_epoch else (lambda fit: True),
    )


def device_of(network: torch.nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device


def momentum_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that the optimizer remembers, by name and the place of the parameter: `momentum.NAME.PLACE`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"momentum.{name}.{n}": kept.detach().clone()
        for n, parameter in enumerate(parameters)
        for name, kept in optimizer.state.get(parameter, {}).items()
        if isinstance(kept, Tensor)
    }


def load_momentum(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of momentum_tensors, for an optimizer of the same network; raises ValueError where shapes differ."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, tensor in tensors.items():
        *_, name, place = key.split(".")
        parameter = parameters[int(place)]
        if tensor.ndim and parameter.shape != tensor.shape:
            raise ValueError("The saved momentum belongs to another network.")
        # Checkpoints of earlier versions name no buffer: theirs is SGD's. AdamW counts its steps on the CPU.
        name = "momentum_buffer" if name == "momentum" else name
        optimizer.state[parameter][name] = (tensor.to(parameter.device) if tensor.ndim else tensor.cpu()).clone()
