"""Training and measuring a segmenter on image sources: what the loop, the simulation and the jobs share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.fit import Example, FitState, TrainSettings, crops, evaluate, fit_to_convergence, make_optimizer
from models.segmenter import Segmenter
from service.domain.metrics import mean_iou
from workers.chance import derived_seed, torch_generator
from workers.datasets.base import ImageSource

# Images of one forward pass together hold at most this many pixels: bounds memory at any image size.
PIXELS_PER_BATCH = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvergeSettings:
    """Training until the score on D_R stops rising (docs/method.md, 8)."""

    train: TrainSettings = field(default_factory=TrainSettings)
    patience: int = 150
    max_epochs: int = 1000
    evaluate_every: int = 1


def image_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """height x width x 3 -> 3 x height x width, uint8."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


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


def stack_images(source: ImageSource, numbers: Sequence[int], device: torch.device | str) -> Tensor:
    """(B, 3, H, W) uint8 of images of one size."""
    return torch.stack([image_tensor(source.image(number)) for number in numbers]).to(device)


def measure(segmenter: Segmenter, source: ImageSource, *, classes: int) -> NDArray[np.int64]:
    """The confusion matrix (C, C), rows = truth, of the segmenter on all images of a source."""
    device = device_of(segmenter)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for run in same_size_runs(source, range(len(source))):
            labels = torch.stack([torch.from_numpy(np.array(source.label_map(number))) for number in run])
            yield stack_images(source, run, device), labels

    return np.asarray(evaluate(segmenter, batches(), classes).cpu().numpy(), np.int64)


def whole_images(source: ImageSource) -> list[Example]:
    """One example per image: its crop may lie anywhere in it."""
    return [Example(image=n, box=(0, 0, *source.size(n))) for n in range(len(source))]


def source_labels(source: ImageSource) -> Callable[[int], Tensor]:
    """Label maps of a source as tensors, by number."""
    return lambda number: torch.from_numpy(np.array(source.label_map(number)))


def source_images(source: ImageSource) -> Callable[[int], Tensor]:
    """Images of a source as tensors, by number."""
    return lambda number: image_tensor(source.image(number))


def converge(
    segmenter: Segmenter,
    *,
    examples: Sequence[Example],
    images: Callable[[int], Tensor],
    labels: Callable[[int], Tensor],
    reward: ImageSource,
    classes: int,
    settings: ConvergeSettings,
    seed: int,
    state: tuple[FitState, dict[str, Tensor]] | None = None,
    on_epoch: Callable[[FitState, torch.optim.Optimizer], bool] | None = None,
) -> FitState:
    """Train on crops of the examples until mIoU on the reward images stops rising; ends with the best weights.

    `on_epoch` sees the state after each epoch and may stop by returning False. To go on from a stop, load the segmenter's
    weights of that moment and pass the state and the momentum that `momentum_tensors` gave.
    """
    optimizer = make_optimizer(segmenter, settings.train)
    if state is not None:
        load_momentum(optimizer, state[1])

    def epoch_batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch_generator(seed, "converge", epoch)
        return crops(examples, images, labels, settings.train, generator)

    return fit_to_convergence(
        segmenter,
        optimizer,
        epoch_batches,
        lambda: mean_iou(measure(segmenter, reward, classes=classes)),
        settings.train,
        patience=settings.patience,
        max_epochs=settings.max_epochs,
        seed=derived_seed(seed, "dropout") % 2**40,
        evaluate_every=settings.evaluate_every,
        state=None if state is None else state[0],
        on_epoch=(lambda fit: on_epoch(fit, optimizer)) if on_epoch else (lambda fit: True),
    )


def device_of(network: torch.nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device


def momentum_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """SGD's momentum by the place of its parameter; all that the optimizer remembers."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    buffers = ((n, optimizer.state.get(p, {}).get("momentum_buffer")) for n, p in enumerate(parameters))
    return {f"momentum.{n}": buffer.detach().clone() for n, buffer in buffers if buffer is not None}


def load_momentum(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of momentum_tensors, for an optimizer of the same network; raises ValueError where shapes differ."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, tensor in tensors.items():
        parameter = parameters[int(key.rpartition(".")[2])]
        if parameter.shape != tensor.shape:
            raise ValueError("The saved momentum belongs to another network.")
        optimizer.state[parameter]["momentum_buffer"] = tensor.to(parameter.device).clone()
