"""What is kept of a frozen encoder's levels: all resampled to one stride, standardised, projected to main components.

Shapes: B images, E channels of all levels together, F components, h x w cells, X sampled cells.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

COMPONENTS = 96
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """features = ((levels - mean) / deviation) @ components."""

    mean_E: Tensor
    deviation_E: Tensor
    components_EF: Tensor

    def __call__(self, levels_BEhw: Tensor) -> Tensor:
        """(B, F, h, w): the three steps as one product."""
        weight_EF, offset_F = self.linear()
        return torch.einsum("behw,ef->bfhw", levels_BEhw, weight_EF) - offset_F[:, None, None]

    def of_levels(
        self, levels: Sequence[Tensor], strides: Sequence[float], stride: float, cells: tuple[slice, slice]
    ) -> Tensor:
        """As of `resampled` levels, one after the other: coarser ones are projected first, so that little is held at a time."""
        weight_EF, offset_F = self.linear()
        parts = torch.split(weight_EF, [level.shape[1] for level in levels])
        size = [each.stop - each.start for each in cells]
        features_BFhw = -offset_F[:, None, None].expand(len(levels[0]), -1, *size).contiguous()
        for level_BDhw, own, weight_DF in zip(levels, strides, parts, strict=True):
            if own < stride:
                level_BDhw = _at(level_BDhw, own, stride, cells)
            level_BFhw = torch.einsum("bdhw,df->bfhw", level_BDhw, weight_DF)
            features_BFhw += level_BFhw if own < stride else _at(level_BFhw, own, stride, cells)
        return features_BFhw

    def linear(self) -> tuple[Tensor, Tensor]:
        """(E, F) and (F,): features = levels @ weight - offset."""
        weight_EF = self.components_EF / self.deviation_E[:, None]
        return weight_EF, self.mean_E @ weight_EF

    def to(self, device: torch.device) -> "Projection":
        """The same on a device."""
        return Projection(**{name: tensor.to(device) for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """By the names that `Projection` takes them under."""
        return {"mean_E": self.mean_E, "deviation_E": self.deviation_E, "components_EF": self.components_EF}


def fit_projection(samples_XE: Tensor, components: int, generator: torch.Generator) -> Projection:
    """The main components of standardised samples, turned at random so that each holds about as much of the variance.

    Turned, since to Adam, whose steps are alike in every direction, all features should be of one size. All channels are
    kept where there are no more than `components`. Raises ValueError for fewer than two samples.
    """
    if len(samples_XE) < 2:
        raise ValueError("A projection is fitted to at least two cells of images.")
    mean_E, deviation_E = samples_XE.mean(0), samples_XE.std(0) + _LEAST_DEVIATION
    standard_XE = (samples_XE - mean_E) / deviation_E
    values_E, vectors_EE = _axes(standard_XE.T @ standard_XE / len(samples_XE))
    kept = min(components, len(mean_E))
    turn_FF = torch.linalg.qr(torch.randn(kept, kept, generator=generator))[0].to(samples_XE)
    scale = values_E[-kept:].mean().clamp_min(1e-12).sqrt()
    return Projection(mean_E=mean_E, deviation_E=deviation_E, components_EF=vectors_EE[:, -kept:] @ turn_FF / scale)


def _axes(covariance_EE: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, smallest first, and their vectors; in double precision where single fails, as it may of a low rank."""
    with suppress(RuntimeError):  # torch.linalg.LinAlgError is one
        values_E, vectors_EE = torch.linalg.eigh(covariance_EE)
        if bool(values_E.isfinite().all() & vectors_EE.isfinite().all()):
            return values_E, vectors_EE
    values_E, vectors_EE = torch.linalg.eigh(covariance_EE.double())
    return values_E.to(covariance_EE), vectors_EE.to(covariance_EE)


def resampled(levels: Sequence[Tensor], strides: Sequence[float], stride: float, cells: tuple[slice, slice]) -> Tensor:
    """(B, E, h, w) of levels at `strides`, brought to one stride: finer ones averaged, coarser ones interpolated.

    `cells` are the rows and columns that are wanted; levels that reach further are cut. Sampling is by cell centres, as if maps
    were images at their scale: that padding shifts what deep layers see by up to half a cell was measured to matter less
    than undoing it.
    """
    return torch.cat([_at(level, own, stride, cells) for level, own in zip(levels, strides, strict=True)], 1)


def _at(level_BDhw: Tensor, own: float, stride: float, cells: tuple[slice, slice]) -> Tensor:
    """Some cells of one level of stride `own` at another."""
    times = int(stride / own + 1e-6)
    if times >= 2:
        level_BDhw = F.avg_pool2d(level_BDhw, times, ceil_mode=True, count_include_pad=False)
        own *= times
    sides = zip(cells, level_BDhw.shape[-2:], strict=True)
    rows, cols = (_places(wanted, stride / own, there, level_BDhw) for wanted, there in sides)
    return torch.einsum("hi,bdij,wj->bdhw", rows, level_BDhw, cols)


def _places(wanted: slice, step: float, there: int, like: Tensor) -> Tensor:
    """(wanted, there): how much each of the cells there is in the linear interpolation at places that are `step` apart."""
    at = ((torch.arange(wanted.start, wanted.stop, device=like.device, dtype=like.dtype) + 0.5) * step - 0.5).clamp(
        0, there - 1
    )
    below = at.floor().long().clamp(max=there - 1)
    above = (below + 1).clamp(max=there - 1)
    share = (at - below)[:, None]
    each = torch.eye(there, device=like.device, dtype=like.dtype)
    return each[below] * (1 - share) + each[above] * share
