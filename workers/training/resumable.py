"""Training that can be put away and continued exactly, at any epoch or any step of a head's fit, wherever the state is kept."""

import logging
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.fit import FitState
from models.refit import FORMAT, Refitting
from models.segmenter import Segmenter
from workers.datasets.base import ImageSource
from workers.files import StateStore
from workers.training.checkpoints import CheckpointError, from_bytes, to_bytes
from workers.training.convergence import ConvergeSettings, Material, converge, momentum_tensors

log = logging.getLogger(__name__)

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


class KeptFits:
    """Fits of heads that one piece of work makes one after the other, each under its name, put away between any two steps."""

    def __init__(self, store: StateStore, made_of: str) -> None:
        """`made_of` names what the work is made of: what was put away of another is begun anew."""
        self._store, self._made_of = store, made_of
        self._parts = self._read()
        self._now: tuple[str, Refitting] | None = None
        self._kept_at, self._is_new = (
            0,
            False,
        )  # the step of that fit that is put away, and whether one before it is not
        self._last_save = time.monotonic()

    def take_up(self, name: str, fit: Refitting) -> None:
        """Have a fit that is about to begin go on from where it was put away; from now on it is the one under way."""
        self._is_new = self._has_more()
        self._note()
        if name in self._parts and not _loaded(fit, self._parts[name]):
            self._parts = {}
        self._now, self._kept_at = (name, fit), fit.step

    def save_if_due(self) -> None:
        """Put all away, every few seconds, where a step was taken since: what saves the same again and again comes no further."""
        if time.monotonic() - self._last_save > SAVE_SECONDS and self._has_more():
            self.save()

    def save(self) -> None:
        """Put all away: the fit that is under way, and those that ended before it."""
        self._note()
        tensors = {f"{name}/{key}": value for name, part in self._parts.items() for key, value in part.items()}
        self._store.save(to_bytes({"made_of": self._made_of, "fits": FORMAT}, {}, tensors))
        self._last_save, self._is_new = time.monotonic(), False
        self._kept_at = 0 if self._now is None else self._now[1].step

    def _has_more(self) -> bool:
        return self._is_new or (self._now is not None and self._now[1].step > self._kept_at)

    def _note(self) -> None:
        if self._now is not None:
            name, fit = self._now
            self._parts[name] = fit.tensors()

    def _read(self) -> dict[str, dict[str, Tensor]]:
        parts: dict[str, dict[str, Tensor]] = {}
        saved = self._store.load()
        if saved is None:
            return parts
        try:
            checkpoint = from_bytes(saved)
        except CheckpointError as error:
            log.warning("What was put away of a head's fit cannot be read (%s); it begins anew.", error)
            return parts
        said = checkpoint.description
        if (said.get("made_of"), said.get("fits")) != (self._made_of, FORMAT):
            return parts
        for key, tensor in checkpoint.extra.items():
            name, _, of_fit = key.partition("/")
            parts.setdefault(name, {})[of_fit] = tensor
        return parts


def _loaded(fit: Refitting, put_away: Mapping[str, Tensor]) -> bool:
    """Whether the fit goes on from what was put away; where that does not fit it is as it was."""
    fresh = fit.tensors()
    try:
        fit.load(put_away)
    except (KeyError, RuntimeError, ValueError) as error:
        log.warning("What was put away of a head's fit does not fit it (%s); it begins anew.", error)
        fit.load(fresh)
        return False
    return True
