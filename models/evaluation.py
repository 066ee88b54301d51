"""How a segmenter is measured: a confusion matrix for each image.

Shapes: B images of a batch, N images in all, C classes, H rows, W columns; h rows of a band.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from models.fit import IGNORE, Batch
from models.segmenter import Segmenter


def evaluate(segmenter: Segmenter, batches: Iterable[Batch], classes: int) -> Tensor:
    """Confusions N x C x C, int64, on the CPU, one for each image: rows are the truth, columns the prediction.

    Batches hold what the segmenter's `look` gives of images, and their labels; pixels of IGNORE are not counted. The
    segmenter is in eval mode meanwhile, and afterwards as it was. Raises ValueError for a label that is no class.
    """
    device = segmenter.classifier.weight.device
    # Where the bins of each label begin; those of IGNORE come after all others, and are dropped.
    firsts = torch.arange(256, device=device).clamp(max=classes) * classes
    bins, counts = (classes + 1) * classes, [torch.zeros(0, classes * classes, dtype=torch.int64)]
    was_training = segmenter.training
    segmenter.eval()
    try:
        with torch.no_grad():
            for seen, labels_BHW in batches:
                size = (int(labels_BHW.shape[-2]), int(labels_BHW.shape[-1]))
                truth_BHW = labels_BHW.to(device)
                foreign_BHW = (truth_BHW >= classes) & (truth_BHW != IGNORE)
                if bool(foreign_BHW.any()):
                    raise ValueError(f"A label map holds {int(truth_BHW[foreign_BHW].max())}, of {classes} classes.")
                found_BN = torch.zeros(len(labels_BHW), bins, dtype=torch.int64, device=device)
                for band in segmenter.bands(seen.to(device), size):
                    predicted_BhW = segmenter.band_classes(band)
                    numbers = range(*band.images.indices(len(labels_BHW)))
                    for number, predicted_hW in zip(numbers, predicted_BhW, strict=True):
                        places_N = firsts[truth_BHW[number, band.rows].flatten().long()].add_(predicted_hW.flatten())
                        found_BN[number] += torch.bincount(places_N, minlength=bins)
                counts.append(found_BN[:, : classes * classes].cpu())
    finally:
        segmenter.train(was_training)
    return torch.cat(counts).view(-1, classes, classes)
