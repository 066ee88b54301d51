"""Owns how sure a segmenter is of each pixel: maps of entropy, margin, runner-up ratio and BALD, and predicted classes.

Shape suffixes: B images, C classes, H x W pixels, N = H * W, P pixels of one strip, F features of height h and width w.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from models.inference import evaluating, spread
from models.segmenter import Segmenter

MC_PASSES = 20

# Logits worked on at a time: a strip and what is computed from it stay in a core's cache, or fill a GPU.
_STRIP = {"cpu": 3 * 2**16}
_STRIP_ELSEWHERE = 2**25
_TINY = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """The softmax of some pixels, left undivided: a pixel's likeliest class has weight 1, p = weight / total."""

    weights_CP: Tensor
    total_P: Tensor
    entropy_P: Tensor
    classes_P: Tensor

    def runner_up_P(self) -> Tensor:
        """Return the second largest weight, which is p2 / p1. Where two classes share the first place it is 1."""
        return self.weights_CP.scatter(0, self.classes_P.long()[None], 0.0).amax(0)


_MAPS: dict[str, Callable[[_Strip], Tensor]] = {
    "entropy": lambda strip: strip.entropy_P,
    "classes": lambda strip: strip.classes_P,
    "margin": lambda strip: (1 - strip.runner_up_P()) / strip.total_P,
    "bvsb": _Strip.runner_up_P,
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
            al. 2021) and "classes" (index of p1, the lowest of equals).

    Returns:
        (B, H, W) by name: float32, classes uint8. Logits that are not finite give an entropy that is not a number.

    Raises:
        ValueError: a name or a number of classes that there is not.
    """
    unknown = sorted(set(names) - set(_MAPS))
    if unknown:
        raise ValueError(f"there is no pixel map {', '.join(unknown)}; there are {', '.join(_MAPS)}")
    batch, _, height, width = logits_BCHW.shape
    maps_BN = {
        name: torch.empty(
            batch, height * width, dtype=torch.uint8 if name == "classes" else torch.float32, device=logits_BCHW.device
        )
        for name in names
    }

    def fill(image: int, pixels: slice, strip: _Strip) -> None:
        for name, map_BN in maps_BN.items():
            map_BN[image, pixels] = _MAPS[name](strip)

    _for_each_strip(logits_BCHW, fill)
    return {name: map_BN.view(batch, height, width) for name, map_BN in maps_BN.items()}


def bald_map(
    segmenter: Segmenter,
    features_BFhw: Tensor,
    size: tuple[int, int],
    *,
    passes: int = MC_PASSES,
    generator: torch.Generator,
) -> Tensor:
    """Return H(E p) - E H(p) over Monte Carlo dropout, divided by ln C: (B, H, W) float32 (Gal et al. 2017, BALD).

    Only the classifier, before which dropout stands, is repeated; dropout alone is in training mode meanwhile. Images
    take their masks from the generator one after the other, so that how many are encoded together changes nothing.

    Raises:
        ValueError: the segmenter has no dropout, so that all passes are equal.
    """
    if segmenter.dropout.p == 0:
        raise ValueError("BALD needs a segmenter built, and trained, with dropout")
    with evaluating(segmenter):
        segmenter.dropout.train()
        maps = [_bald_of_image(segmenter, one, size, passes, generator) for one in torch.split(features_BFhw, 1)]
    return torch.cat(maps)


def _bald_of_image(
    segmenter: Segmenter, features_1Fhw: Tensor, size: tuple[int, int], passes: int, generator: torch.Generator
) -> Tensor:
    probability_CN = features_1Fhw.new_zeros(segmenter.classes, size[0] * size[1], dtype=torch.float32)
    entropy_N = torch.zeros_like(probability_CN[0])

    def add(_image: int, pixels: slice, strip: _Strip) -> None:
        probability_CN[:, pixels].addcdiv_(strip.weights_CP, strip.total_P)
        entropy_N[pixels] += strip.entropy_P

    for _ in range(passes):
        _for_each_strip(segmenter.classify(features_1Fhw, size, generator), add)
    # The softmax of ln p is p itself: the entropy of the mean is the entropy map of its logarithm.
    log_mean_1CHW = (probability_CN / passes).clamp_min(_TINY).log().view(1, -1, *size)
    entropy_of_mean_1HW, _ = entropy_and_classes(log_mean_1CHW)
    return (entropy_of_mean_1HW - entropy_N.view(1, *size) / passes).clamp_min(0)


def _for_each_strip(logits_BCHW: Tensor, work: Callable[[int, slice, _Strip], None]) -> None:
    batch, classes, height, width = logits_BCHW.shape
    if not 2 <= classes <= 255:
        raise ValueError(f"2 to 255 classes can be told apart, not {classes}")
    logits_BCN = logits_BCHW.flatten(2)
    length = max(1, _STRIP.get(logits_BCHW.device.type, _STRIP_ELSEWHERE) // classes)
    strips = [
        (image, slice(start, start + length)) for image in range(batch) for start in range(0, height * width, length)
    ]
    spread(lambda strip: work(*strip, _softmax(logits_BCN[strip[0], :, strip[1]])), strips, logits_BCHW.device)


def _softmax(logits_CP: Tensor) -> _Strip:
    """Work out all of a strip from one exponential: H = ln(sum w) - sum(w ln w) / sum w, where w = exp(z - max z)."""
    classes = len(logits_CP)
    log_weights_CP = logits_CP.float() - logits_CP.amax(0).float()
    weights_CP = log_weights_CP.exp()
    total_P = weights_CP.sum(0)
    # Of the classes that reach the maximum the first is marked with the largest number (argmax is 10 times slower).
    ranks_C = torch.arange(classes, 0, -1, dtype=torch.uint8, device=logits_CP.device)
    classes_P = classes - (log_weights_CP >= 0).view(torch.uint8).mul_(ranks_C[:, None]).amax(0)
    moment_P = log_weights_CP.mul_(weights_CP).sum(0)
    entropy_P = (total_P.log() - moment_P.div_(total_P)).div_(math.log(classes))
    return _Strip(weights_CP=weights_CP, total_P=total_P, entropy_P=entropy_P, classes_P=classes_P)
