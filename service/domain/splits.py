"""Splits of a dataset: from explicit lists of names, or a state set drawn to look like the whole."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Shapes: N images, C classes.

Values = NDArray[np.float64]


def draw_state_set(
    histograms_NC: ArrayLike, size: int, rng: np.random.Generator, *, trials: int = 8
) -> NDArray[np.int64]:
    """Choose `size` images whose pixels, taken together, have a class distribution like that of all images.

    `histograms_NC`: pixels of each class in each image. The criterion is the Jensen-Shannon divergence between the
    distribution over classes of the chosen images' pixels and that of all pixels, minimised from `trials` random sets
    by exchanging one chosen image after another for whichever lowers it most, until no exchange does.
    Returns image numbers, sorted: int64, `size` values. Raises ValueError for a size or counts that make no sense.
    The paper (4.1) asks for "a similar class distribution" and leaves the criterion open.
    """
    counts_NC = _checked(histograms_NC)
    images = counts_NC.shape[0]
    if not 1 <= size <= images:
        raise ValueError(f"A state set has 1 to {images} images, the images there are, not {size}.")
    if trials < 1:
        raise ValueError(f"At least one trial is made, not {trials}.")
    whole_C = counts_NC.sum(axis=0)
    best, least = np.arange(size, dtype=np.int64), np.inf
    for _ in range(trials):
        chosen, divergence = _exchange(counts_NC, whole_C, rng.permutation(images)[:size])
        if divergence < least:
            best, least = chosen, divergence
    return np.sort(best)


def jensen_shannon(weights_NC: ArrayLike, reference_C: ArrayLike) -> Values:
    """Jensen-Shannon divergence, in nats, of each row's distribution from the reference's: float64, N values.

    Rows and reference need not be normalised. A row of zeros has the greatest divergence, ln 2.
    """
    weights, reference = np.asarray(weights_NC, dtype=np.float64), np.asarray(reference_C, dtype=np.float64)
    totals = weights.sum(axis=-1, keepdims=True)
    p = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
    q = reference / reference.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.where(totals[..., 0] > 0, np.maximum(divergence, 0.0), np.log(2.0)))


def split_by_names(names: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """The numbers (places in `names`) of the images that each split lists, in the order listed.

    Raises ValueError naming what is missing from `names`, held by it more than once, or listed more than once, be it
    in one split or in two: an image in two splits would leak labels from one into the other.
    """
    _refuse(_repeated(names), "The dataset holds more than one image named")
    number = {name: place for place, name in enumerate(names)}
    listed = [name for split in wanted.values() for name in split]
    _refuse([name for name in dict.fromkeys(listed) if name not in number], "The dataset has no image named")
    _refuse(_repeated(listed), "The splits list more than once")
    return {split: [number[name] for name in chosen] for split, chosen in wanted.items()}


def _exchange(counts_NC: Values, whole_C: Values, start: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """Replace one chosen image after another by the best for its place until a whole turn changes nothing."""
    chosen = start.astype(np.int64)
    pooled_C = counts_NC[chosen].sum(axis=0)
    least = float(jensen_shannon(pooled_C[None], whole_C)[0])
    unchanged = place = 0
    while unchanged < chosen.size:
        others_C = pooled_C - counts_NC[chosen[place]]
        divergence_N = jensen_shannon(others_C + counts_NC, whole_C)
        divergence_N[chosen] = np.inf
        candidate = int(divergence_N.argmin())
        # Strictly better by more than rounding, or two equal images would be exchanged for ever.
        if divergence_N[candidate] < least - 1e-12:
            chosen[place], least = candidate, float(divergence_N[candidate])
            pooled_C = counts_NC[chosen].sum(axis=0)
            unchanged = 0
        else:
            unchanged += 1
        place = (place + 1) % chosen.size
    return chosen, least


def _relative_entropy(p: Values, q: Values) -> Values:
    ratio = np.divide(p, q, out=np.ones_like(q), where=(p > 0) & (q > 0))
    return np.asarray((p * np.log(ratio)).sum(axis=-1))


def _checked(histograms_NC: ArrayLike) -> Values:
    counts_NC = np.asarray(histograms_NC, dtype=np.float64)
    if counts_NC.ndim != 2:
        raise ValueError(f"Histograms are images x classes, not of shape {counts_NC.shape}.")
    if not np.isfinite(counts_NC).all() or (counts_NC < 0).any() or not counts_NC.any():
        raise ValueError("Histograms hold pixel counts: none negative, and not all of them zero.")
    return counts_NC


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _refuse(names: Sequence[str], complaint: str) -> None:
    if names:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        raise ValueError(f"{complaint} {', '.join(names[:10])}{more}.")
