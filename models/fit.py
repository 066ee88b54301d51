"""How a segmenter learns: crops around regions, one pass, training to convergence.

Shapes: B images, C classes, H rows, W columns; h and w are the rows and columns of a crop, h also the rows of a band,
N the bins of a confusion matrix.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.head import soft_iou_loss
from models.segmenter import Segmenter

IGNORE = 255  # in label maps: pixels that nobody labelled, and void
PADDING = 124  # grey, near the mean colour that the segmenter pads with
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How the segmenter is trained; defaults are the paper's for CamVid (appendix, "Segmentation training").

    "adamw" (Loshchilov & Hutter 2019) takes the momentum as its first beta; small networks converge in fewer steps with it.
    """

    crop: tuple[int, int] = (224, 224)
    batch: int = 32
    lr: float = 1e-3
    momentum: float = 0.95
    weight_decay: float = 1e-4
    clip: float = 4.0  # largest norm of the gradient
    flip: bool = True
    optimizer: Literal["sgd", "adamw"] = "sgd"
    class_weights: tuple[float, ...] = ()  # of the cross-entropy; none: all alike
    overlap: float = 0.0  # what the soft IoU weighs beside the cross-entropy


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A labelled region to learn from: its image's number and its (row, col, height, width) there, in pixels."""

    image: int
    box: tuple[int, int, int, int]


def crops(
    examples: Sequence[Example],
    image: Callable[[int], Tensor],
    labels: Callable[[int], Tensor],
    settings: TrainSettings,
    generator: torch.Generator,
) -> Iterator[Batch]:
    """Batches of (images B x 3 x h x w, labels B x h x w), both uint8: each example once, in an order that is drawn.

    A crop contains its example's box, or lies within a box larger than it; where, and whether it is mirrored, is
    drawn from `generator` too. `image(number)` is uint8 3 x H x W, `labels(number)` uint8 H x W with IGNORE outside
    what is labelled. Images smaller than the crop are padded, their labels with IGNORE.
    """
    order = torch.randperm(len(examples), generator=generator).tolist()
    for start in range(0, len(order), settings.batch):
        pairs = [_crop(examples[n], image, labels, settings, generator) for n in order[start : start + settings.batch]]
        yield torch.stack([pixels for pixels, _ in pairs]), torch.stack([truth for _, truth in pairs])


def _crop(
    example: Example,
    image: Callable[[int], Tensor],
    labels: Callable[[int], Tensor],
    settings: TrainSettings,
    generator: torch.Generator,
) -> Batch:
    pixels_3HW, labels_HW = image(example.image), labels(example.image)
    row, col, height, width = example.box
    top = window_start(labels_HW.shape[0], settings.crop[0], row, height, generator)
    left = window_start(labels_HW.shape[1], settings.crop[1], col, width, generator)
    window = (..., slice(top, top + settings.crop[0]), slice(left, left + settings.crop[1]))
    pixels, truth = (
        _padded(pixels_3HW[window].contiguous(), settings.crop, PADDING),
        _padded(labels_HW[window], settings.crop, IGNORE),
    )
    if settings.flip and _draw(0, 1, generator):
        pixels, truth = pixels.flip(-1), truth.flip(-1)
    return pixels, truth


def window_start(length: int, crop: int, start: int, size: int, generator: torch.Generator) -> int:
    """Where along one side of `length` pixels a window of `crop` begins, for a box of `size` at `start`."""
    if length <= crop:
        return 0
    if size > crop:
        return _draw(start, start + size - crop, generator)
    return _draw(max(0, start + size - crop), min(start, length - crop), generator)


def _draw(least: int, most: int, generator: torch.Generator) -> int:
    return int(torch.randint(least, most + 1, (), generator=generator))


def _padded(window: Tensor, crop: tuple[int, int], value: int) -> Tensor:
    height, width = window.shape[-2:]
    return F.pad(window, (0, crop[1] - width, 0, crop[0] - height), value=value)


def make_optimizer(segmenter: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """SGD with momentum and weight decay, or AdamW, at a rate that stays unless `set_rate` moves it."""
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(
            segmenter.parameters(),
            lr=settings.lr,
            betas=(settings.momentum, 0.999),
            weight_decay=settings.weight_decay,
        )
    return torch.optim.SGD(
        segmenter.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the optimizer step at this learning rate from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def cosine_share(done: float) -> float:
    """The share of the learning rate left when `done`, in [0, 1], of the training is over: half a cosine, 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * done))


def train_pass(
    segmenter: Segmenter,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    settings: TrainSettings,
    *,
    generator: torch.Generator,
) -> float:
    """One step per batch, dropout drawn from `generator`; the mean of their cross-entropies (nats), NaN if none.

    A batch without a labelled pixel is left out: it would teach BatchNorm and momentum, but nothing about classes.
    """
    segmenter.train()
    device = segmenter.classifier.weight.device
    losses = []
    for images_B3HW, labels_BHW in batches:
        if bool((labels_BHW == IGNORE).all()):
            continue
        loss = _loss(segmenter(images_B3HW.to(device), generator), labels_BHW.to(device, torch.int64), settings)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(segmenter.parameters(), settings.clip)
        optimizer.step()
        losses.append(loss.detach())
    if not losses:
        return math.nan
    segmenter.note_learned()
    return float(torch.stack(losses).mean())


def _loss(logits_BCHW: Tensor, labels_BHW: Tensor, settings: TrainSettings) -> Tensor:
    weights_C = logits_BCHW.new_tensor(settings.class_weights) if settings.class_weights else None
    loss = F.cross_entropy(logits_BCHW, labels_BHW, weight=weights_C, ignore_index=IGNORE)
    if settings.overlap:
        classes = logits_BCHW.shape[1]
        shares_BCHW = F.one_hot(labels_BHW.clamp(max=classes), classes + 1)[..., :classes].permute(0, 3, 1, 2)
        loss = loss + settings.overlap * soft_iou_loss(logits_BCHW, shares_BCHW.float())
    return loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch of training to convergence: its mean loss, and its score if it was measured."""

    number: int
    loss: float
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitState:
    """How far training to convergence is; with the segmenter's and optimizer's own states, all that a resume needs."""

    epoch: int = 0
    best_score: float | None = None
    best_epoch: int = 0
    best_weights: Mapping[str, Tensor] | None = None
    history: tuple[Epoch, ...] = ()

    def tensors(self) -> dict[str, Tensor]:
        """The best weights, on the CPU, by their names in the segmenter's state dict."""
        return dict(self.best_weights or {})

    def meta(self) -> dict[str, Any]:
        """Everything else, ready for JSON (which knows no NaN: a loss that is none is null)."""
        history = [[e.number, None if math.isnan(e.loss) else e.loss, e.score] for e in self.history]
        return {
            "epoch": self.epoch,
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "history": history,
        }

    @classmethod
    def from_parts(cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Self:
        """The state that `tensors` and `meta` were taken from."""
        history = (
            Epoch(number=number, loss=math.nan if loss is None else loss, score=score)
            for number, loss, score in meta["history"]
        )
        return cls(
            epoch=meta["epoch"],
            best_score=meta["best_score"],
            best_epoch=meta["best_epoch"],
            best_weights=dict(tensors) or None,
            history=tuple(history),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """How long training goes on: until the score has not risen for `patience` epochs, or for `max_epochs`."""

    train: TrainSettings
    patience: int
    max_epochs: int
    evaluate_every: int = 1


def fit_to_convergence(
    segmenter: Segmenter,
    optimizer: torch.optim.Optimizer,
    epoch_batches: Callable[[int], Iterable[Batch]],
    score: Callable[[], float],
    settings: Convergence,
    *,
    seed: int,
    state: FitState | None = None,
    on_epoch: Callable[[FitState], bool] | None = None,
) -> FitState:
    """Train until the score stops rising, as the settings say; then load the best weights.

    `epoch_batches(epoch)`, epochs from 1, and `seed`, for dropout, decide an epoch alone: begun again from a saved
    `state`, and the segmenter's and optimizer's states of the same moment, training goes on as if it had never stopped.
    `score()` is asked every `evaluate_every` epochs and at the last one; higher is better, NaN is never best. After
    each epoch `on_epoch` gets the state, while the segmenter still has that epoch's weights; its False ends training.
    """
    now = state or FitState()
    while now.epoch < settings.max_epochs and now.epoch - now.best_epoch < settings.patience:
        epoch = now.epoch + 1
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        loss = train_pass(segmenter, optimizer, epoch_batches(epoch), settings.train, generator=generator)
        measured = score() if epoch % settings.evaluate_every == 0 or epoch == settings.max_epochs else None
        if measured is not None and math.isnan(measured):
            measured = None
        now = _after_epoch(now, Epoch(number=epoch, loss=loss, score=measured), segmenter)
        if on_epoch is not None and not on_epoch(now):
            break
    if now.best_weights is not None:
        segmenter.load_state_dict(now.best_weights)
    return now


def _after_epoch(before: FitState, epoch: Epoch, segmenter: Segmenter) -> FitState:
    now = replace(before, epoch=epoch.number, history=(*before.history, epoch))
    if epoch.score is None or (before.best_score is not None and epoch.score <= before.best_score):
        return now
    weights = {key: value.detach().to("cpu", copy=True) for key, value in segmenter.state_dict().items()}
    return replace(now, best_score=epoch.score, best_epoch=epoch.number, best_weights=weights)
