"""Policy training that can be put away between any two rounds, wherever the state is kept."""

import logging
import time
from collections.abc import Callable

from workers.files import StateStore
from workers.policy.trainer import FORMAT, Progress, Trainer
from workers.training.checkpoints import from_bytes, to_bytes

log = logging.getLogger(__name__)

# What is put away holds the replay buffers, some ten megabytes.
SAVE_SECONDS = 30.0


def play_resumably(
    trainer: Trainer, store: StateStore, keep_going: Callable[[Progress], bool] = lambda progress: True
) -> bool:
    """Play rounds until all episodes are played, saved every half minute; False where `keep_going` said no before the end."""
    _take_up(trainer, store)
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


def describe_progress(trainer: Trainer, progress: Progress) -> str:
    """One line for people."""
    where = f"episode {progress.episode + 1} of {trainer.settings.episodes}, round {progress.round_number + 1}"
    last = f", last return {trainer.returns[-1]:+.2f}" if trainer.returns else ""
    tried = f", best trial {trainer.best_value:.1f}" if trainer.trials else ""
    return f"{where}, mIoU {100 * progress.miou:.1f}{last}{tried}"


def _take_up(trainer: Trainer, store: StateStore) -> None:
    saved = store.load()
    if saved is None:
        return
    checkpoint = from_bytes(saved)
    meta = checkpoint.description["trainer"]
    if meta.get("format") != FORMAT:
        log.warning("What was put away of a policy's training is of an earlier version; it begins anew.")
        return
    trainer.load(meta, checkpoint.extra)


def _put_away(trainer: Trainer, store: StateStore) -> None:
    store.save(to_bytes({"trainer": trainer.meta()}, {}, trainer.tensors()))
