"""Regions as the frozen encoder of the surrogate game sees them: features at points of each, and the true classes there.

Shapes: R regions, P = 64 points of a region, G = 8 points along a side, E feature channels, C classes,
X labelled points.
"""

from collections.abc import Sequence
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
from workers.datasets.on_device import stack_images
from workers.loop.round import LoopSettings
from workers.training.convergence import same_size_runs

POINTS = GRID * GRID
LEVEL_CHANNELS = 64
COMPONENTS = 96
_SAMPLE = 40_000  # points that components are found from


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenRegions:
    """Regions as the frozen encoder sees them: features at 8 x 8 points of each, the true class there, IGNORE for none.

    image_R: the number of each region's image.
    """

    features_RPE: Tensor
    labels_RP: Tensor
    image_R: Tensor

    @classmethod
    def joined(cls, parts: Sequence["FrozenRegions"]) -> "FrozenRegions":
        """The regions of several sources one after the other; images are numbered through."""
        images = [int(part.image_R.max()) + 1 for part in parts]
        return cls(
            features_RPE=torch.cat([part.features_RPE for part in parts]),
            labels_RP=torch.cat([part.labels_RP for part in parts]),
            image_R=torch.cat([part.image_R + sum(images[:place]) for place, part in enumerate(parts)]),
        )

    def __len__(self) -> int:
        return len(self.labels_RP)

    def counts(self, classes: int) -> Tensor:
        """(R, C) int64: points of each class in each region."""
        kept_RPC = F.one_hot(self.labels_RP.clamp(max=classes), classes + 1)[..., :classes]
        return kept_RPC.sum(1)

    def __getitem__(self, numbers: Tensor) -> "FrozenRegions":
        return FrozenRegions(
            features_RPE=self.features_RPE[numbers], labels_RP=self.labels_RP[numbers], image_R=self.image_R[numbers]
        )

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
    features, labels, regions = [], [], []
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
            regions.append(len(boxes_R4))
    return FrozenRegions(
        features_RPE=torch.cat(features),
        labels_RP=torch.cat(labels).long(),
        image_R=torch.arange(len(regions)).repeat_interleave(torch.tensor(regions)),
    )


def components(points_XE: Tensor) -> Tensor | None:
    """(E, COMPONENTS) orthonormal, onto which standardised features are projected; None where E is not larger.

    They span the main components, turned at random so that each holds about as much of the variance: to Adam, whose steps
    are alike in every direction, features look as they did.
    """
    if points_XE.shape[1] <= COMPONENTS:
        return None
    generator = torch_generator(0, "components")
    sample_XE = points_XE[torch.randint(len(points_XE), (_SAMPLE,), generator=generator)]
    _, vectors_EE = torch.linalg.eigh(sample_XE.T @ sample_XE)
    turn_MM = torch.linalg.qr(torch.randn(COMPONENTS, COMPONENTS, generator=generator))[0]
    components_EM: Tensor = vectors_EE[:, -COMPONENTS:] @ turn_MM
    return components_EM


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
