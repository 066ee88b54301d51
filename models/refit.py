"""How the head of a frozen segmenter is fitted to all that is labelled: a few hundred steps on windows of features.

Shapes: B windows of w x w cells, F features, C classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.fit import cosine_share
from models.frozen import FrozenSegmenter
from models.head import balancing_weights, soft_cross_entropy, soft_iou_loss

Windows = tuple[Tensor, Tensor]  # features (B, F, w, w) and shares of labelled pixels (B, C, w, w)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitSettings:
    """How a head is fitted; the defaults were measured on CamVid (docs/method.md, 11).

    first_steps, steps: of the first fit, and of each that goes on from it. balance: the power of its share that a class is
    weighted against. overlap: what the soft IoU weighs beside cross-entropy. average: of weights from step to step; the mean
    is kept. hide, noise: the chance that a feature is hidden in a window, and the deviation of what is added to features.
    folds: of the cross-validation that finds the temperature; 0: there is none, and it stays as it is.
    """

    first_steps: int = 1200
    steps: int = 150
    lr: float = 3e-3
    next_lr: float = 2e-3
    weight_decay: float = 1e-2
    batch: int = 4
    window: int = 24
    balance: float = 0.2
    overlap: float = 1.0
    average: float = 0.98
    hide: float = 0.1
    noise: float = 0.1
    warm_up: int = 20
    folds: int = 0


def refit(
    segmenter: FrozenSegmenter,
    draw: Callable[[int, int, torch.Generator], Windows],
    counts_C: Tensor,
    settings: RefitSettings,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    on_step: Callable[[int], None] = lambda step: None,
) -> float:
    """Fit the head, in place, to windows that `draw(batch, window, generator)` gives; the mean loss of the last tenth.

    Goes on from the weights that the head has, in `steps` steps or as many as the settings say. `counts_C`: labelled pixels
    of each class. `on_step` hears the number of each step, and may raise: the head is of no use then.
    """
    first = not bool(segmenter.fitted)
    total = steps or (settings.first_steps if first else settings.steps)
    rate = settings.lr if first else settings.next_lr
    device = segmenter.classifier.weight.device
    weights_C = balancing_weights(counts_C, settings.balance).to(device)
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=rate, weight_decay=settings.weight_decay, fused=True)
    mean = Average(segmenter, settings.average)
    losses: list[Tensor] = []
    segmenter.train()
    for step in range(total):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / settings.warm_up) * cosine_share(step / total)
        features_BFww, shares_BCww = (each.to(device) for each in draw(settings.batch, settings.window, generator))
        perturbed_BFww = _perturbed(features_BFww.float(), settings, generator)
        logits_BCww = segmenter.cell_logits(perturbed_BFww, generator)
        loss = soft_cross_entropy(logits_BCww, shares_BCww, weights_C)
        if settings.overlap:
            loss = loss + settings.overlap * soft_iou_loss(logits_BCww, shares_BCww)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        mean.add(step)
        losses.append(loss.detach())
        on_step(step + 1)
    mean.keep()
    segmenter.fitted.fill_(True)
    segmenter.eval()
    last = losses[-max(1, total // 10) :]
    return float(torch.stack(last).mean()) if last else math.nan


class Average:
    """The exponential mean of a network's weights and statistics over its steps (Polyak & Juditsky 1992)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self._mean = {key: value.clone() for key, value in network.state_dict().items()}

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Take the weights after a step in; the first ones count less and less, however few there are."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for key, value in self._network.state_dict().items():
            if value.dtype.is_floating_point:
                self._mean[key].lerp_(value, 1 - decay)
            else:
                self._mean[key].copy_(value)

    def keep(self) -> None:
        """Give the network the mean."""
        self._network.load_state_dict(self._mean)


def _perturbed(features_BFww: Tensor, settings: RefitSettings, generator: torch.Generator) -> Tensor:
    """Whole features hidden from a window, and noise: there are few labelled images, met again and again."""
    device = features_BFww.device
    if settings.hide:
        kept_BF = torch.rand(features_BFww.shape[:2], generator=generator) >= settings.hide
        features_BFww = features_BFww * (kept_BF.to(device)[..., None, None] / (1 - settings.hide))
    if settings.noise:
        features_BFww = features_BFww + settings.noise * torch.randn(features_BFww.shape, generator=generator).to(
            device
        )
    return features_BFww
