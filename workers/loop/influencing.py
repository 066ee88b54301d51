"""The influence of labels, for a segmenter as it is: on images that are measured, and of regions whose labels are known."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.head import class_shares
from models.inference import evaluating
from models.influence import Cells, Influence, influence, no_influence
from models.segmenter import Segmenter
from service.domain.classes import IGNORE
from service.domain.regions import Box
from workers.datasets.base import ImageSource
from workers.training.convergence import device_of
from workers.training.looking import seen

# Shapes: X cells with labelled pixels, H hidden channels, C classes, h x w cells, R regions.

# So many images that are labelled, and that are measured, are looked at in a round; where there are more, drawn ones.
IMAGES = 32

Places = Sequence[tuple[ImageSource, int]]
"""Images, each by its source and its number there."""


def influence_of(segmenter: Segmenter, labelled: Places, measured: Places, rng: np.random.Generator) -> Influence:
    """Of labels for the segmenter, which is fitted to what is labelled in `labelled`, on soft mIoU of `measured`.

    Every pixel is worth 0 where nothing of either is labelled.
    """
    cells = [[cells_of(segmenter, *place) for place in _some(places, rng)] for places in (labelled, measured)]
    found = influence(cells[0], cells[1])
    if found is None:
        found = no_influence(segmenter.classifier.in_channels, segmenter.classes)
    return found.to(device_of(segmenter))


def region_gains(
    known: Influence, segmenter: Segmenter, source: ImageSource, boxes: Mapping[int, Sequence[Box]]
) -> Tensor:
    """(R,) float64: what each region's true labels would do, image by image; `boxes` by the number of their image."""
    gains = []
    for number, of_image in boxes.items():
        hidden_Hhw, probabilities_Chw = _predicted(segmenter, source, number)
        label_map_HW = source.label_map(number)
        for box in of_image:
            part, labels = _around(box, label_map_HW, segmenter.stride)
            cells = _labelled(hidden_Hhw[(..., *part)], probabilities_Chw[(..., *part)], labels, segmenter.stride)
            gains.append(known.gains(cells).double().sum())
    return torch.stack(gains) if gains else torch.zeros(0, dtype=torch.float64)


def _some(places: Places, rng: np.random.Generator) -> Places:
    if len(places) <= IMAGES:
        return places
    return [places[place] for place in np.sort(rng.choice(len(places), IMAGES, replace=False))]


def cells_of(segmenter: Segmenter, source: ImageSource, number: int) -> Cells:
    """The cells of an image that hold labelled pixels."""
    return _labelled(*_predicted(segmenter, source, number), source.label_map(number), segmenter.stride)


def _predicted(segmenter: Segmenter, source: ImageSource, number: int) -> tuple[Tensor, Tensor]:
    """(H, h, w) hidden channels and (C, h, w) probabilities of an image's cells."""
    hidden, probabilities = [], []
    with evaluating(segmenter):
        for band in segmenter.bands(seen(segmenter, source, [number], device_of(segmenter)), source.size(number)):
            own_1Hhw = band.features_BFhw[:, :, band.own]
            hidden.append(own_1Hhw[0])
            probabilities.append(segmenter.coarse_logits(own_1Hhw)[0].softmax(0))
    return torch.cat(hidden, 1), torch.cat(probabilities, 1)


def _around(box: Box, label_map_HW: NDArray[np.uint8], stride: int) -> tuple[tuple[slice, slice], NDArray[np.uint8]]:
    """The rows and columns of cells that a box lies in, and their labels, of the box alone."""
    rows, cols = (slice(each.start // stride, -(-each.stop // stride)) for each in box.slices)
    labels = np.full([stride * (each.stop - each.start) for each in (rows, cols)], IGNORE, np.uint8)
    top, left = box.row - rows.start * stride, box.col - cols.start * stride
    labels[top : top + box.height, left : left + box.width] = label_map_HW[box.slices]
    return (rows, cols), labels


def _labelled(hidden_Hhw: Tensor, probabilities_Chw: Tensor, label_map_HW: NDArray[np.uint8], stride: int) -> Cells:
    """The cells that hold labelled pixels."""
    classes = len(probabilities_Chw)
    shares_Chw = class_shares(torch.from_numpy(np.array(label_map_HW)), classes, stride).to(probabilities_Chw.device)
    # An encoder that pads an image has more cells than the image.
    height, width = shares_Chw.shape[1:]
    kept_hw = shares_Chw.sum(0) > 0
    hidden_XH, probabilities_XC, shares_XC = (
        maps[:, :height, :width][:, kept_hw].T for maps in (hidden_Hhw, probabilities_Chw, shares_Chw)
    )
    return Cells(hidden_XH=hidden_XH, probabilities_XC=probabilities_XC, counts_XC=stride * stride * shares_XC)
