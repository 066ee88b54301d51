"""Cross-validation over labelled images: heads that have not seen an image judge what is labelled in it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.frozen import FrozenSegmenter
from models.head import REACH
from models.inference import evaluating
from models.label_maps import likeliest_classes
from models.refit import RefitSettings, Refitting, refit
from service.domain.classes import IGNORE
from service.domain.metrics import confusion_matrix
from service.domain.regions import Box
from workers.chance import derived_seed, numpy_generator, torch_generator
from workers.training.building import with_fresh_head
from workers.training.refitting import Key, LabelledCells, Part

# Heads that judge take this share of the steps of a first fit.
SHARE = 4
# Of each fold about so many regions are judged.
JUDGED = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A head, and the labelled cells of the images that it has not seen, of which it judges some that follow from the seed."""

    head: FrozenSegmenter
    unseen: LabelledCells
    seed: int = 0

    def parts(self) -> Iterator[Part]:
        """The regions that are judged: those of one image and its neighbours would lie in one place of all images."""
        parts = list(self.unseen.parts())
        for place in sorted(numpy_generator(self.seed, "judged").permutation(len(parts))[:JUDGED]):
            yield parts[place]

    def logits_around(self, part: Part, around: int) -> Tensor:
        """(1, C, h, w) of a region's cells and so many around it, as far as they are there."""
        device = self.head.classifier.weight.device
        # The head reaches further than what is asked for.
        wide, wanted = part.inside(REACH + around), part.inside(around)
        logits_1Chw = self.head.cell_logits(part.seen_Fhw[(..., *wide)][None].to(device))
        rows, cols = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(wanted, wide, strict=True))
        return logits_1Chw[..., rows, cols]


def judges(
    segmenter: FrozenSegmenter,
    cells: LabelledCells,
    settings: RefitSettings,
    seed: int,
    *,
    steps: int,
    name: str = "fold",
    check: Callable[[], None] = lambda: None,
    begun: Callable[[str, Refitting], None] = lambda name, fit: None,
) -> Iterator[Judge]:
    """A head like the segmenter's for each fold of the labelled images, fitted to those of the others in so many steps.

    `check` is called in every step, and may raise; `begun` gets each fit by the `name` and its number, as that of `refit` does.
    """
    images = cells.images()
    order = numpy_generator(seed, "folds").permutation(len(images))
    for fold in range(settings.folds):
        held_out = {images[n] for n in order[fold :: settings.folds]}
        others = cells.of(key for key in images if key not in held_out)
        head = with_fresh_head(segmenter, seed)
        refit(
            head,
            others.draw,
            others.counts_C,
            settings,
            generator=torch_generator(seed, "fold", fold),
            steps=steps,
            on_step=lambda step: check(),
            begun=partial(begun, f"{name} {fold}"),
        )
        yield Judge(head=head, unseen=cells.of(held_out), seed=derived_seed(seed, "judged", fold))


def confusions_of(judge: Judge, label_map_of: Callable[[Key], NDArray[np.uint8]]) -> Mapping[Key, NDArray[np.int64]]:
    """(C, C) of each image of which a head is asked, rows = truth: at the labelled pixels of some regions that it has not seen.

    `label_map_of` gives an image's label map, height x width, IGNORE where it is not labelled.
    """
    head, found = judge.head, dict[Key, NDArray[np.int64]]()
    stride = head.stride
    with evaluating(head):
        for part in judge.parts():
            around, own = part.inside(1), part.inside()
            logits_1Chw = judge.logits_around(part, 1)  # what is interpolated between cells reaches one further
            size = [stride * side for side in logits_1Chw.shape[-2:]]
            likeliest_HW = likeliest_classes(logits_1Chw, stride, (size[0], size[1]))[0].cpu().numpy()
            truth_HW = _alone(label_map_of(part.key), part.box)[
                _pixels(part.rows, 0, stride), _pixels(part.cols, 0, stride)
            ]
            rows, cols = (_pixels(a, b.start, stride) for a, b in zip(own, around, strict=True))
            predicted_HW = likeliest_HW[rows, cols][: truth_HW.shape[0], : truth_HW.shape[1]]
            confusion_CC = confusion_matrix(truth_HW, predicted_HW, head.classes)
            found[part.key] = found.get(part.key, 0) + confusion_CC
    return found


def _alone(label_map_HW: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """A region's labels alone: whole cells reach beyond it, further where they are coarse."""
    alone_HW = np.full_like(label_map_HW, IGNORE)
    alone_HW[box.slices] = label_map_HW[box.slices]
    return alone_HW


def _pixels(cells: slice, first: int, stride: int) -> slice:
    """Cells as pixels, from the cell on that is `first`."""
    return slice(stride * (cells.start - first), stride * (cells.stop - first))
