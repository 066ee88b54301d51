"""Regions as the frozen encoder of the surrogate game sees them: features at points of each, and the true classes there.

Shapes: R regions, P = 64 points of a region, G = 8 points along a side, E feature channels, C classes,
X labelled points.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.inference import evaluating
from models.pooling import GRID
from models.segmenter import Segmenter
from service.domain.classes import IGNORE
from workers.chance import torch_generator
from workers.datasets.base import ImageSource
from workers.device_cache import stack_images
from workers.proposal import LoopSettings
from workers.training import same_size_runs

POINTS = GRID * GRID
LEVEL_CHANNELS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenRegions:
    """Regions as the frozen encoder sees them: features at 8 x 8 points of each, the true class there, IGNORE for none."""

    features_RPE: Tensor
    labels_RP: Tensor

    def __len__(self) -> int:
        return len(self.labels_RP)

    def counts(self, classes: int) -> Tensor:
        """(R, C) int64: points of each class in each region."""
        kept_RPC = F.one_hot(self.labels_RP.clamp(max=classes), classes + 1)[..., :classes]
        return kept_RPC.sum(1)

    def __getitem__(self, numbers: Tensor) -> "FrozenRegions":
        return FrozenRegions(features_RPE=self.features_RPE[numbers], labels_RP=self.labels_RP[numbers])

    def labelled_points(self) -> tuple[Tensor, Tensor]:
        """Features (X, E) and classes (X,) of all points that have a label."""
        labels_X = self.labels_RP.flatten()
        seen_X = labels_X != IGNORE
        return self.features_RPE.flatten(0, 1)[seen_X], labels_X[seen_X]


def freeze(segmenter: Segmenter, source: ImageSource, settings: LoopSettings) -> FrozenRegions:
    """Every region of a source, image by image: one forward pass for each image.

    The features are the decoder's and those of all the encoder's levels: a head on the decoder's alone could not learn
    what f can, and would not value the regions from which f learns it.
    """
    features, labels = [], []
    for run in same_size_runs(source, range(len(source))):
        with evaluating(segmenter):
            levels = segmenter.pyramid(stack_images(source, run, segmenter.classifier.weight.device))
            maps_BEhw = torch.cat([levels[0], *map(_narrowed, levels[1:])], 1).cpu()
        boxes_R4 = torch.from_numpy(settings.grid(source.size(run[0])).boxes())
        rows_RG, cols_RG = (_points(boxes_R4[:, side], boxes_R4[:, side + 2]) for side in (0, 1))
        for map_Ehw, number in zip(maps_BEhw, run, strict=True):
            fine = [(each // segmenter.stride) for each in (rows_RG, cols_RG)]
            features.append(map_Ehw[:, fine[0][:, :, None], fine[1][:, None, :]].permute(1, 2, 3, 0).flatten(1, 2))
            label_map_HW = torch.from_numpy(np.array(source.label_map(number)))
            labels.append(label_map_HW[rows_RG[:, :, None], cols_RG[:, None, :]].flatten(1))
    return FrozenRegions(features_RPE=torch.cat(features), labels_RP=torch.cat(labels).long())


def _narrowed(level_BEhw: Tensor) -> Tensor:
    """A level of at most LEVEL_CHANNELS, by a random projection, the same every time, where it has more."""
    channels = level_BEhw.shape[1]
    if channels <= LEVEL_CHANNELS:
        return level_BEhw
    projection = torch.randn(LEVEL_CHANNELS, channels, generator=torch_generator(0, "projection", channels))
    return torch.einsum("behw,fe->bfhw", level_BEhw, projection.to(level_BEhw) / channels**0.5)


def _points(starts_R: Tensor, sizes_R: Tensor) -> Tensor:
    """(R, 8): pixels in the middle of the eighths of each side."""
    return (starts_R[:, None] + (torch.arange(GRID) + 0.5) / GRID * sizes_R[:, None]).long()
