"""Owns how sure a segmenter is of each pixel: maps of entropy, margin, runner-up ratio and BALD, and predicted classes.

Shape suffixes: B images, C classes, H x W pixels, N = H * W, P pixels of one strip, F features of height h and width w.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.inference import evaluating, spread
from models.segmenter import Segmenter

MC_PASSES = 20

# Logits worked on at a time: a strip and what is computed from it stay in a core's cache, or fill a GPU.
_STRIP = {"cpu": 2**19}
_STRIP_ELSEWHERE = 2**25
_TINY, _FAR = 1e-30, 1e38


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """What one exponential tells of the softmax of some pixels: p1 = 1 / total, the total being of exp(z - max z)."""

    logits_CP: Tensor
    maximum_P: Tensor
    total_P: Tensor
    nats_P: Tensor
    classes_P: Tensor

    def write_entropy(self, out_P: Tensor) -> None:
        torch.mul(self.nats_P, 1 / math.log(len(self.logits_CP)), out=out_P)

    def write_classes(self, out_P: Tensor) -> None:
        out_P.copy_(self.classes_P)

    def write_margin(self, out_P: Tensor) -> None:
        self.write_bvsb(out_P)
        out_P.neg_().add_(1).div_(self.total_P)

    def write_bvsb(self, out_P: Tensor) -> None:
        others_CP = self.logits_CP.scatter(0, self.classes_P.long()[None], -math.inf)
        torch.exp(others_CP.amax(0) - self.maximum_P, out=out_P)

    def write_mass(self, out_CP: Tensor) -> None:
        torch.sub(self.logits_CP, self.maximum_P, out=out_CP).exp_().div_(self.total_P)


_MAPS: dict[str, Callable[[_Strip, Tensor], None]] = {
    "entropy": _Strip.write_entropy,
    "classes": _Strip.write_classes,
    "margin": _Strip.write_margin,
    "bvsb": _Strip.write_bvsb,
    "mass": _Strip.write_mass,
}


def entropy_and_classes(logits_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's entropy over ln C, (B, H, W) float32 in [0, 1], and likeliest class, (B, H, W) uint8."""
    maps = pixel_maps(logits_BCHW, ("entropy", "classes"))
    return maps["entropy"], maps["classes"]


def pixel_maps(logits_BCHW: Tensor, names: Collection[str]) -> dict[str, Tensor]:
    """Compute several maps of the softmax p, p1 >= p2 >= ..., in one pass over the logits.

    Args:
        logits_BCHW: floating point, of 2 to 255 classes.
        names: among "entropy" (Shannon, divided by ln C), "margin" (p1 - p2; Scheffer 2001), "bvsb" (p2 / p1; Cai et
            al. 2021), "classes" (index of p1, the lowest of equals) and "mass" (p itself).

    Returns:
        (B, H, W) by name, mass (B, C, H, W): float32, classes uint8. Logits that are not finite give an entropy
        that is not a number.

    Raises:
        ValueError: a name or a number of classes that there is not.
    """
    unknown = sorted(set(names) - set(_MAPS))
    if unknown:
        raise ValueError(f"there is no pixel map {', '.join(unknown)}; there are {', '.join(_MAPS)}")
    batch, classes, height, width = logits_BCHW.shape
    maps = {
        name: torch.empty(
            (batch, classes, height * width) if name == "mass" else (batch, height * width),
            dtype=torch.uint8 if name == "classes" else torch.float32,
            device=logits_BCHW.device,
        )
        for name in names
    }

    indices_C1 = torch.arange(classes, dtype=torch.float32, device=logits_BCHW.device)[:, None]

    def fill(image: int, pixels: slice, logits_CP: Tensor) -> None:
        strip = _softmax(logits_CP, indices_C1)
        for name, map_ in maps.items():
            _MAPS[name](strip, map_[image, ..., pixels])

    _for_each_strip(logits_BCHW.flatten(2), fill)
    return {name: map_.view(*map_.shape[:-1], height, width) for name, map_ in maps.items()}


def bald_map(
    segmenter: Segmenter,
    features_BFhw: Tensor,
    size: tuple[int, int],
    *,
    passes: int = MC_PASSES,
    generator: torch.Generator,
    asked: Sequence[Tensor] | None = None,
) -> Tensor:
    """Return H(E p) - E H(p) over Monte Carlo dropout, divided by ln C: (B, H, W) float32 (Gal et al. 2017, BALD).

    Only the classifier, before which dropout stands, is repeated; dropout alone is in training mode meanwhile. Images
    take their masks from the generator one after the other, so that how many are encoded together changes nothing.
    Where `asked` has for each image the int64 indices of some of its H * W pixels, those are looked at, and the others are 0.

    Raises:
        ValueError: the segmenter has no dropout, so that all passes are equal.
    """
    if segmenter.dropout.p == 0:
        raise ValueError("BALD needs a segmenter built, and trained, with dropout")
    with evaluating(segmenter):
        segmenter.dropout.train()
        maps_N = [
            _bald_of_image(segmenter, one_1Fhw, size, passes, generator, None if asked is None else asked[number])
            for number, one_1Fhw in enumerate(torch.split(features_BFhw, 1))
        ]
    return torch.stack(maps_N).view(-1, *size)


def _bald_of_image(
    segmenter: Segmenter,
    features_1Fhw: Tensor,
    size: tuple[int, int],
    passes: int,
    generator: torch.Generator,
    asked_N: Tensor | None,
) -> Tensor:
    count = size[0] * size[1] if asked_N is None else len(asked_N)
    probability_CN = features_1Fhw.new_zeros(segmenter.classes, count, dtype=torch.float32)
    nats_N = torch.zeros_like(probability_CN[0])

    def add(_image: int, pixels: slice, logits_CP: Tensor) -> None:
        logits_CP = logits_CP.float()
        log_weights_CP = logits_CP - logits_CP.amax(0)
        weights_CP = log_weights_CP.exp()
        total_P = weights_CP.sum(0)
        probability_CN[:, pixels].addcdiv_(weights_CP, total_P)
        nats_N[pixels] += _nats(weights_CP, log_weights_CP, total_P)

    for _ in range(passes):
        logits_1CN = segmenter.classify(features_1Fhw, size, generator).flatten(2)  # draws its mask, whatever is asked
        _for_each_strip(logits_1CN if asked_N is None else logits_1CN[:, :, asked_N], add)
    if count == 0:
        return probability_CN.new_zeros(size[0] * size[1])
    # The softmax of ln p is p itself: the entropy of the mean is the entropy map of its logarithm.
    log_mean_1C1N = (probability_CN / passes).clamp_min(_TINY).log()[None, :, None]
    entropy_of_mean_N = entropy_and_classes(log_mean_1C1N)[0][0, 0]
    bald_N = (entropy_of_mean_N - nats_N / (passes * math.log(segmenter.classes))).clamp_min(0)
    return bald_N if asked_N is None else bald_N.new_zeros(size[0] * size[1]).index_copy(0, asked_N, bald_N)


def _for_each_strip(logits_BCN: Tensor, work: Callable[[int, slice, Tensor], None]) -> None:
    batch, classes, count = logits_BCN.shape
    if not 2 <= classes <= 255:
        raise ValueError(f"2 to 255 classes can be told apart, not {classes}")
    length = max(1, _STRIP.get(logits_BCN.device.type, _STRIP_ELSEWHERE) // classes)
    strips = [(image, slice(start, start + length)) for image in range(batch) for start in range(0, count, length)]
    spread(lambda strip: work(*strip, logits_BCN[strip[0], :, strip[1]]), strips, logits_BCN.device)


def _nats(weights_CP: Tensor, log_weights_CP: Tensor, total_P: Tensor) -> Tensor:
    """Entropy of w / sum w from w and ln w, ln(sum w) - sum(w ln w) / sum w; the weights are written over."""
    moment_P = weights_CP.mul_(log_weights_CP).sum(0)
    return torch.addcdiv(total_P.log(), moment_P, total_P, value=-1)


def _softmax(logits_CP: Tensor, indices_C1: Tensor) -> _Strip:
    """Work out entropy and argmax from w = exp(z - max z)."""
    logits_CP = logits_CP.float()
    maximum_P = logits_CP.amax(0)
    log_weights_CP = logits_CP - maximum_P
    weights_CP = log_weights_CP.exp()
    total_P = weights_CP.sum(0)
    nats_P = _nats(weights_CP, log_weights_CP, total_P)
    # Indices of classes below the maximum are sent far up; the smallest that is left is the first of equals. This goes
    # by whole vectors, where torch's own argmax goes pixel by pixel.
    classes_P = torch.add(indices_C1, log_weights_CP, alpha=-_FAR, out=log_weights_CP).amin(0).nan_to_num_(nan=0.0)
    return _Strip(logits_CP=logits_CP, maximum_P=maximum_P, total_P=total_P, nats_P=nats_P, classes_P=classes_P)
