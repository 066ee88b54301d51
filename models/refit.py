"""How the head of a frozen segmenter is fitted to all that is labelled: a few hundred steps on windows of features.

Shapes: B windows of w x w cells, F features, C classes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.fit import cosine_share
from models.frozen import FrozenSegmenter
from models.head import balancing_weights, soft_cross_entropy, soft_iou_loss

Windows = tuple[Tensor, Tensor]  # features (B, F, w, w) and shares of labelled pixels (B, C, w, w)
# Of what a fit puts away; another version's is not gone on with.
FORMAT = 1
Draw = Callable[[int, int, torch.Generator], Windows]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitSettings:
    """How a head is fitted; the defaults were measured on CamVid (docs/method.md, 11).

    first_steps, steps: of the first fit, and of each that goes on from it. balance: the power of its share that a class is
    weighted against. overlap: what the soft IoU weighs beside cross-entropy. average: of weights from step to step; the mean
    is kept. hide, noise: the chance that a feature is hidden in a window, and the deviation of what is added to features.
    hold: what the weights before a fit that goes on count in the mean of those and its own; such means fall less (Izmailov et
    al. 2018; Wortsman et al. 2022). folds: of the cross-validation that finds the temperature; 0: there is none, and it stays
    as it is.
    """

    first_steps: int = 1200
    steps: int = 150
    lr: float = 3e-3
    next_lr: float = 4e-3
    weight_decay: float = 1e-2
    batch: int = 4
    window: int = 24
    balance: float = 0.2
    overlap: float = 1.0
    average: float = 0.98
    hide: float = 0.1
    noise: float = 0.1
    warm_up: int = 20
    hold: float = 0.6
    folds: int = 0


def refit(
    segmenter: FrozenSegmenter,
    draw: Draw,
    counts_C: Tensor,
    settings: RefitSettings,
    *,
    generator: torch.Generator,
    steps: int | None = None,
    on_step: Callable[[int], None] = lambda step: None,
    begun: "Callable[[Refitting], None]" = lambda fit: None,
) -> float:
    """Fit the head, in place, to windows that `draw(batch, window, generator)` gives; the mean loss of the last tenth.

    Goes on from the weights that the head has, in `steps` steps or as many as the settings say. `counts_C`: labelled pixels
    of each class. `on_step` hears the number of each step, and may raise: the head is of no use then. `begun` gets the fit
    before its first step, and may load what was put away of it.
    """
    fit = Refitting(segmenter, draw, counts_C, settings, generator=generator, steps=steps)
    begun(fit)
    segmenter.train()
    while fit.step < fit.steps:
        fit.go_on()
        on_step(fit.step)
    return fit.end()


class Refitting:
    """A fit of a head under way. Between two steps it can be put away as tensors, and goes on from them bit for bit."""

    def __init__(
        self,
        segmenter: FrozenSegmenter,
        draw: Draw,
        counts_C: Tensor,
        settings: RefitSettings,
        *,
        generator: torch.Generator,
        steps: int | None = None,
    ) -> None:
        """As `refit`."""
        first = not bool(segmenter.fitted)
        self.step, self.steps = 0, steps or (settings.first_steps if first else settings.steps)
        self._segmenter, self._draw, self._settings, self._generator = segmenter, draw, settings, generator
        self._rate = settings.lr if first else settings.next_lr
        self._device = segmenter.classifier.weight.device
        self._weights_C = balancing_weights(counts_C, settings.balance).to(self._device)
        self._optimizer = torch.optim.AdamW(
            segmenter.parameters(), lr=self._rate, weight_decay=settings.weight_decay, fused=True
        )
        self._mean = Average(segmenter, settings.average)
        self._losses: list[Tensor] = []

    def go_on(self) -> None:
        """One step. The segmenter is in training mode."""
        settings, step = self._settings, self.step
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * min(1.0, (step + 1) / settings.warm_up) * cosine_share(step / self.steps)
        windows = self._draw(settings.batch, settings.window, self._generator)
        features_BFww, shares_BCww = (each.to(self._device) for each in windows)
        perturbed_BFww = _perturbed(features_BFww.float(), settings, self._generator)
        logits_BCww = self._segmenter.cell_logits(perturbed_BFww, self._generator)
        loss = soft_cross_entropy(logits_BCww, shares_BCww, self._weights_C)
        if settings.overlap:
            loss = loss + settings.overlap * soft_iou_loss(logits_BCww, shares_BCww)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._mean.add(step)
        self._losses.append(loss.detach())
        self.step = step + 1

    def end(self) -> float:
        """Give the head the mean of its weights; the mean loss of the last tenth of the steps."""
        self._mean.keep()
        self._segmenter.note_learned()
        self._segmenter.eval()
        last = self._losses[-max(1, self.steps // 10) :]
        return float(torch.stack(last).mean()) if last else math.nan

    def tensors(self) -> dict[str, Tensor]:
        """All that the fit goes on from: weights, their mean, the optimizer's memory, losses and the generator's state."""
        kept = {"generator": self._generator.get_state()}
        if self._losses:
            kept["losses"] = torch.stack(self._losses)
        kept |= {f"weights.{key}": value for key, value in self._segmenter.state_dict().items()}
        kept |= {f"mean.{key}": value for key, value in self._mean.state_dict().items()}
        remembered = self._optimizer.state_dict()["state"]
        kept |= {f"optimizer.{place}.{key}": value for place, of in remembered.items() for key, value in of.items()}
        return {key: value.detach().clone() for key, value in kept.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from where a fit of the same segmenter, labels and settings was when `tensors` were taken from it."""
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "mean": {}, "optimizer": {}}
        for key, value in tensors.items():
            part, _, name = key.partition(".")
            if name:
                parts[part][name] = value.clone()
        self._segmenter.load_state_dict(parts["weights"])
        self._mean.load_state_dict(parts["mean"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            place, _, key = name.partition(".")
            state.setdefault(int(place), {})[key] = value
        self._optimizer.load_state_dict({"state": state, "param_groups": self._optimizer.state_dict()["param_groups"]})
        self._losses = list(tensors["losses"].to(self._device)) if "losses" in tensors else []
        self.step = len(self._losses)
        self._generator.set_state(tensors["generator"].cpu())


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

    def state_dict(self) -> dict[str, Tensor]:
        """The mean so far, by the names of the network's own."""
        return dict(self._mean)

    def load_state_dict(self, mean: Mapping[str, Tensor]) -> None:
        """Go on from a mean."""
        for key, value in self._mean.items():
            value.copy_(mean[key])

    def keep(self) -> None:
        """Give the network the mean."""
        self._network.load_state_dict(self._mean)


@torch.no_grad()
def mix_in(network: nn.Module, earlier: Mapping[str, Tensor], share: float) -> None:
    """Make each weight, and each statistic, a mean of an earlier one, which counts `share`, and its own; in place."""
    for key, value in network.state_dict().items():
        if key in earlier and value.dtype.is_floating_point:
            value.lerp_(earlier[key], share)


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
