"""Training that can be put away at any epoch and continued exactly, wherever the state is kept."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from models.fit import FitState
from models.segmenter import Segmenter
from workers.datasets.base import ImageSource
from workers.files import StateStore
from workers.training.checkpoints import from_bytes, to_bytes
from workers.training.convergence import ConvergeSettings, Material, converge, momentum_tensors

SAVE_SECONDS = 10.0


def converge_resumably(
    segmenter: Segmenter,
    material: Material,
    *,
    reward: ImageSource,
    classes: int,
    settings: ConvergeSettings,
    seed: int,
    store: StateStore,
    keep_going: Callable[[FitState], bool] = lambda fit: True,
) -> FitState | None:
    """As `converge`, saved every few seconds and at the end; None where `keep_going` said no: the next call continues.

    Whoever keeps the outcome clears the store after that, so that a process that dies in between trains nothing again.
    """
    saved = store.load()
    state: tuple[FitState, dict[str, Tensor]] | None = None
    if saved is not None:
        checkpoint = from_bytes(saved)
        segmenter.load_state_dict(checkpoint.weights)
        momentum = {k: v for k, v in checkpoint.extra.items() if k.startswith("momentum.")}
        fit_tensors = {k.removeprefix("fit."): v for k, v in checkpoint.extra.items() if k.startswith("fit.")}
        state = (FitState.from_parts(fit_tensors, checkpoint.description["fit"]), momentum)
    interrupted = False
    used: torch.optim.Optimizer | None = None
    last_save = time.monotonic()

    def save(fit: FitState, optimizer: torch.optim.Optimizer) -> None:
        extra = momentum_tensors(optimizer) | {f"fit.{k}": v for k, v in fit.tensors().items()}
        store.save(to_bytes({"fit": fit.meta()}, segmenter.state_dict(), extra))

    def on_epoch(fit: FitState, optimizer: torch.optim.Optimizer) -> bool:
        nonlocal interrupted, last_save, used
        used = optimizer
        due = time.monotonic() - last_save > SAVE_SECONDS
        if due:
            save(fit, optimizer)
            last_save = time.monotonic()
        interrupted = not keep_going(fit)
        if interrupted and not due:
            save(fit, optimizer)
        return not interrupted

    fit = converge(
        segmenter,
        material,
        reward=reward,
        classes=classes,
        settings=settings,
        seed=seed,
        state=state,
        on_epoch=on_epoch,
    )
    if interrupted:
        return None
    if used is not None:  # else there was nothing left to train
        save(fit, used)
    return fit
