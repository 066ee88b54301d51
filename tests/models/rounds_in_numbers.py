"""A round in random numbers: candidates, D_S and what is known of the classes, which may be put in another order."""

import dataclasses

import torch
from torch import Tensor

from models.features import RegionRows
from models.observation import RoundContext


def some_rows(regions: int, classes: int, generator: torch.Generator) -> RegionRows:
    """Class parts, uncertainties, runners-up and class masses of regions."""
    return RegionRows(
        class_part_RC=(3 * torch.randn(regions, classes, generator=generator)).softmax(1),
        uncertainty_RU=torch.rand(regions, 192, generator=generator),
        statistics={"bvsb_mean": torch.rand(regions, generator=generator)},
        vectors={"class_mass": (2 * torch.randn(regions, classes, generator=generator)).softmax(1)},
    )


def some_context(
    classes: int, generator: torch.Generator, *, labelled: int = 7, state_regions: int = 4
) -> RoundContext:
    """The last class was never labelled, and never predicted on D_S."""
    counts_C = torch.randint(1, 9000, (classes,), generator=generator)
    confusion_CC = torch.randint(0, 99, (classes, classes), generator=generator)
    counts_C[-1], confusion_CC[:, -1] = 0, 0
    return RoundContext(
        labelled_LC=torch.rand(labelled, classes, generator=generator).softmax(1),
        labelled_counts_C=counts_C,
        budget_share=0.25,
        state_truth_SC=torch.randint(0, 99, (state_regions, classes), generator=generator),
        state_confusion_CC=confusion_CC,
    )


def reordered_rows(rows: RegionRows, order_C: Tensor) -> RegionRows:
    """The same regions where classes have other numbers."""
    vectors = {name: mass_RC[:, order_C] for name, mass_RC in rows.vectors.items()}
    return dataclasses.replace(rows, class_part_RC=rows.class_part_RC[:, order_C], vectors=vectors)


def reordered_context(context: RoundContext, order_C: Tensor) -> RoundContext:
    """The same round where classes have other numbers."""
    assert context.state_truth_SC is not None
    assert context.state_confusion_CC is not None
    return RoundContext(
        labelled_LC=context.labelled_LC[:, order_C],
        labelled_counts_C=context.labelled_counts_C[order_C],
        budget_share=context.budget_share,
        state_truth_SC=context.state_truth_SC[:, order_C],
        state_confusion_CC=context.state_confusion_CC[order_C][:, order_C],
    )
