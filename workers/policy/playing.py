"""Policy training that can be put away between any two rounds, wherever the state is kept."""

import time
from collections.abc import Callable

from workers.files import StateStore
from workers.policy.real import PolicyProgress, PolicyTrainer
from workers.training.checkpoints import from_bytes, to_bytes

SAVE_SECONDS = 10.0


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
