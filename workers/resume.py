"""Training that can be put away at any epoch and continued exactly, wherever the state is kept."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from models.fit import Example, FitState
from models.segmenter import Segmenter
from workers.checkpoints import from_bytes, to_bytes
from workers.datasets.base import ImageSource
from workers.episodes import PolicyProgress, PolicyTrainer
from workers.training import ConvergeSettings, converge, momentum_tensors

SAVE_SECONDS = 10.0


class StateStore(Protocol):
    """Keeps the bytes of one unfinished piece of work."""

    def load(self) -> bytes | None:
        """What was saved last, or None."""

    def save(self, data: bytes) -> None:
        """Keep these bytes in place of the last; a crash leaves the one or the other."""

    def clear(self) -> None:
        """Forget; the work is done."""


class FileState:
    """A state in a file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> bytes | None:
        """The file's bytes, or None."""
        return self.path.read_bytes() if self.path.exists() else None

    def save(self, data: bytes) -> None:
        """Write beside the file, flush to the disk, then rename."""
        write_atomically(self.path, data)

    def clear(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that a reader, or a crash, sees the old bytes or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def converge_resumably(
    segmenter: Segmenter,
    *,
    examples: Sequence[Example],
    images: Callable[[int], Tensor],
    labels: Callable[[int], Tensor],
    reward: ImageSource,
    classes: int,
    settings: ConvergeSettings,
    seed: int,
    store: StateStore,
    keep_going: Callable[[FitState], bool] = lambda fit: True,
) -> FitState | None:
    """As `converge`, saved every few seconds; None where `keep_going` said no (the state is saved, the next call continues)."""
    saved = store.load()
    state: tuple[FitState, dict[str, Tensor]] | None = None
    if saved is not None:
        checkpoint = from_bytes(saved)
        segmenter.load_state_dict(checkpoint.weights)
        momentum = {k: v for k, v in checkpoint.extra.items() if k.startswith("momentum.")}
        fit_tensors = {k.removeprefix("fit."): v for k, v in checkpoint.extra.items() if k.startswith("fit.")}
        state = (FitState.from_parts(fit_tensors, checkpoint.description["fit"]), momentum)
    interrupted = False
    last_save = time.monotonic()

    def save(fit: FitState, optimizer: torch.optim.Optimizer) -> None:
        extra = momentum_tensors(optimizer) | {f"fit.{k}": v for k, v in fit.tensors().items()}
        store.save(to_bytes({"fit": fit.meta()}, segmenter.state_dict(), extra))

    def on_epoch(fit: FitState, optimizer: torch.optim.Optimizer) -> bool:
        nonlocal interrupted, last_save
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
        examples=examples,
        images=images,
        labels=labels,
        reward=reward,
        classes=classes,
        settings=settings,
        seed=seed,
        state=state,
        on_epoch=on_epoch,
    )
    return None if interrupted else fit


def play_resumably(
    trainer: PolicyTrainer, store: StateStore, keep_going: Callable[[PolicyProgress], bool] = lambda progress: True
) -> bool:
    """Play episodes until all are played, saved every few seconds; False where `keep_going` said no before the end."""
    saved = store.load()
    if saved is not None:
        checkpoint = from_bytes(saved)
        trainer.load(checkpoint.description["trainer"], checkpoint.extra)
    last_save = time.monotonic()
    while not trainer.done:
        progress = trainer.play_round()
        due = time.monotonic() - last_save > SAVE_SECONDS
        if due:
            _put_away(trainer, store)
            last_save = time.monotonic()
        if not keep_going(progress) and not trainer.done:
            if not due:
                _put_away(trainer, store)
            return False
    return True


def describe_progress(progress: PolicyProgress, episodes: int) -> str:
    """One line for people."""
    last = f", last return {progress.returns[-1]:+.2f}" if progress.returns else ""
    where = f"episode {progress.episode + 1} of {episodes}, round {progress.round_number + 1}"
    return f"policy: {where}, mIoU {progress.miou:.3f}{last}"


def _put_away(trainer: PolicyTrainer, store: StateStore) -> None:
    store.save(to_bytes({"trainer": trainer.meta()}, {}, trainer.tensors()))
