"""Owns how alike regions are: the KL divergences of class distributions, summarised as histograms over fixed bins.

Shape suffixes: M regions compared (p), L regions compared with (q), C classes, D = C + 1, K = BINS; small letters for
the part of M or L that a tile has.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.inference import on_one_thread, spread

BINS = 32
EPSILON = 1e-6

# Bins are half an octave wide, so a divergence's bin is the binary exponent of its square: no logarithm is needed, and
# an edge is exact. The bound on KL, 13.8, lies in the last bin, [11.3, 16).
_TOP_EXPONENT = 8
_SMALLEST, _LARGEST = 2.0 ** (_TOP_EXPONENT - BINS), 2.0**_TOP_EXPONENT * (1 - 2.0**-24)
_MANTISSA_BITS, _EXPONENT_BIAS = 23, 127

# Rows of p and of q in a tile of divergences: small enough for a core's cache, large enough to fill a GPU.
_TILE = {"cpu": (128, 1024)}
_TILE_ELSEWHERE = (4096, 4096)
_WORTH_A_THREAD = 2**19


def bin_edges() -> Tensor:
    """Return the (BINS + 1,) edges in nats, float64: 0, then 2**(-23/2), 2**(-22/2), ... 2**4, one every half octave.

    They are the same for every candidate, round and project, in training and in serving. Bin 0 holds all that lies
    below 3.5e-4 nats: regions whose predicted distributions are equal but for rounding.
    """
    exponents = torch.arange(_TOP_EXPONENT - BINS, _TOP_EXPONENT + 1, dtype=torch.float64)
    edges = torch.exp2(exponents / 2)
    edges[0] = 0.0
    return edges


def kl_histogram(p_MC: Tensor, q_LC: Tensor, *, leave_self_out: bool = False) -> Tensor:
    """Summarise KL(p_i || q_j) over all j as one histogram (paper, section 4.2, action representation).

    Both sides are smoothed alike, q <- (q + eps) / (1 + C eps), which bounds the divergence by ln((1 + eps) / eps).

    With KL = sum p ln p - p . ln q the work is one matrix product. In float32 its error is at most
    (C + 1) 2**-24 sum |terms|: below 3e-5 nats for 19 classes where distributions differ most, and below 8e-6 for
    nearly equal ones, whose terms add up to 2 ln C at most: a fiftieth of the lowest edge.

    Args:
        p_MC: class distributions, non-negative, each adding up to 1.
        q_LC: the distributions compared with, on the same device.
        leave_self_out: p and q are the same regions in the same order, and none is compared with itself.

    Returns:
        (M, BINS) float32, each row adding up to 1; zeros where there is nothing to compare with.

    Raises:
        ValueError: shapes that do not fit, or values that are negative or not numbers.
    """
    _check(p_MC, q_LC, leave_self_out)
    compared = len(q_LC) - int(leave_self_out)
    if compared < 1 or not len(p_MC):
        return torch.zeros(len(p_MC), BINS, device=p_MC.device)
    left_DM, right_LD = _factors(p_MC, q_LC)
    rows, columns = _TILE.get(p_MC.device.type, _TILE_ELSEWHERE)
    if len(p_MC) * len(q_LC) < _WORTH_A_THREAD:
        rows = len(p_MC)

    def count(start: int) -> Tensor:
        own_row = start if leave_self_out else None
        return _count_into_bins(left_DM[:, start : start + rows].contiguous(), torch.split(right_LD, columns), own_row)

    counts_MK = torch.cat(spread(count, range(0, len(p_MC), rows), p_MC.device))
    return (counts_MK / compared).float()


def _check(p_MC: Tensor, q_LC: Tensor, leave_self_out: bool) -> None:
    if p_MC.ndim != 2 or q_LC.ndim != 2 or p_MC.shape[1] != q_LC.shape[1]:
        raise ValueError(
            f"class distributions of shapes {tuple(p_MC.shape)} and {tuple(q_LC.shape)} cannot be compared"
        )
    if leave_self_out and len(p_MC) != len(q_LC):
        raise ValueError(f"leaving self out needs the same regions on both sides, not {len(p_MC)} and {len(q_LC)}")
    if not (bool((p_MC >= 0).all()) and bool((q_LC >= 0).all())):
        raise ValueError("class distributions must be non-negative numbers")


@on_one_thread()
def _factors(p_MC: Tensor, q_LC: Tensor) -> tuple[Tensor, Tensor]:
    """Return two float32 matrices whose product holds the divergences, made in float64."""
    p_MC, log_q_LC = _smoothed(p_MC), _smoothed(q_LC).log()
    # The negative entropy of p rides along as one more class, against ones.
    left_MD = torch.cat([p_MC, (p_MC * p_MC.log()).sum(1, keepdim=True)], 1)
    right_LD = torch.cat([-log_q_LC, torch.ones_like(log_q_LC[:, :1])], 1)
    return left_MD.float().T, right_LD.float()


def _smoothed(distributions_NC: Tensor) -> Tensor:
    return (distributions_NC.double() + EPSILON) / (1 + distributions_NC.shape[1] * EPSILON)


def _count_into_bins(left_Dm: Tensor, right_tiles_lD: Sequence[Tensor], own_row: int | None) -> Tensor:
    """Count (m, BINS) divergences; own_row is where in all of q the first of the m regions stands, to be left out."""
    regions = left_Dm.shape[1]
    lowest_exponent = _EXPONENT_BIAS + _TOP_EXPONENT - BINS
    offsets_m = torch.arange(regions, dtype=torch.int32, device=left_Dm.device) * BINS - lowest_exponent
    counts = torch.zeros(regions * BINS, dtype=torch.int64, device=left_Dm.device)
    # Regions of p lie side by side, so that neighbours are counted in different bins: the counter of one bin, hit
    # again and again, would be waited for.
    tile_lm = left_Dm.new_empty(len(right_tiles_lD[0]), regions)
    first = 0
    for right_lD in right_tiles_lD:
        divergences_lm = torch.mm(right_lD, left_Dm, out=tile_lm[: len(right_lD)])
        if own_row is not None:
            # Exactly zero, whatever the product's rounding, so that the count taken off below was put into bin 0.
            divergences_lm.diagonal(first - own_row).zero_()
        # Rounding may have made a zero negative: squares are not, and the clamp puts them into bin 0.
        bins_lm = divergences_lm.square_().clamp_(_SMALLEST, _LARGEST).view(torch.int32)
        keys_lm = bins_lm.bitwise_right_shift_(_MANTISSA_BITS).add_(offsets_m)
        counts += torch.bincount(keys_lm.view(-1), minlength=len(counts))
        first += len(right_lD)
    counts_mK = counts.view(regions, BINS)
    if own_row is not None:
        counts_mK[:, 0] -= 1
    return counts_mK
