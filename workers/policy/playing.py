"""Policy training that can be put away between any two rounds or games of a trial, wherever the state is kept."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from workers.files import StateStore
from workers.policy.progress import Progress
from workers.policy.trials import Trying
from workers.training.checkpoints import from_bytes, to_bytes

log = logging.getLogger(__name__)

# What is put away holds the replay buffers, which may be some hundred megabytes.
SAVE_SECONDS = 30.0


class PolicyTrainer(Protocol):
    """What makes a policy by playing, of either kind: the DQN's Trainer, or a Search."""

    @property
    def episodes(self) -> int:
        """Games in all."""

    @property
    def returns(self) -> Sequence[float]:
        """Of the games that are played."""

    @property
    def trials(self) -> Sequence[float]:
        """What policies reached without chance, in points."""

    @property
    def best_value(self) -> float:
        """The best of the trials; without any, of the returns."""

    @property
    def done(self) -> bool:
        """Whether all is played."""

    def play_round(self, trying: Trying) -> Progress:
        """Play on; where `trying` raises, the next call goes on from there."""

    def best_policy(self) -> nn.Module:
        """The policy to be kept, in evaluation mode."""

    def summary(self) -> dict[str, Any]:
        """How the games went, for a checkpoint's description."""

    def meta(self) -> dict[str, Any]:
        """The numbers of where the training is, for JSON, the `format` among them."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensors beside them."""

    def is_at(self, meta: Mapping[str, Any]) -> bool:
        """Whether the training is where it was when it gave `meta`."""

    def load(self, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `meta` and `tensors` gave."""


def play_resumably(
    trainer: PolicyTrainer,
    store: StateStore,
    keep_going: Callable[[Progress], bool] = lambda progress: True,
    *,
    made_of: str = "",
    keep_trying: Callable[[int, int], bool] = lambda played, games: True,
    called_off: Callable[[], bool] = lambda: False,
) -> bool:
    """Play rounds until all episodes are played, saved every half minute; False where it was stopped before the end.

    `keep_going` is asked after each round; `keep_trying` between two games of a trial, how many are played of how many.
    `called_off` is asked in each round of a trial: yes costs what is played of its game. `made_of` names what the games were
    made of: what was put away of others is begun anew.
    """
    _take_up(trainer, store, made_of)
    last_save, played = time.monotonic(), not trainer.done

    def saved_if_due() -> bool:
        nonlocal last_save
        if time.monotonic() - last_save <= SAVE_SECONDS:
            return False
        _put_away(trainer, store, made_of)
        last_save = time.monotonic()
        return True

    def on_round() -> None:
        if called_off():
            raise _Stopped

    def on_game(played: int, games: int) -> None:
        if not keep_trying(played, games):
            raise _Stopped
        saved_if_due()

    while not trainer.done:
        try:
            progress = trainer.play_round(Trying(on_round=on_round, on_game=on_game))
        except _Stopped:
            _put_away(trainer, store, made_of)
            return False
        saved = saved_if_due()
        if not keep_going(progress) and not trainer.done:
            if not saved:
                _put_away(trainer, store, made_of)
            return False
    if played:
        _put_away(trainer, store, made_of)  # whoever plays on with the policy may be stopped too
    return True


class _Stopped(Exception):
    """Whoever hears of a trial wants it to end for now."""


def describe_progress(trainer: PolicyTrainer, progress: Progress) -> str:
    """One line for people."""
    where = f"episode {progress.episode + 1} of {trainer.episodes}, round {progress.round_number + 1}"
    last = f", last return {trainer.returns[-1]:+.2f}" if trainer.returns else ""
    tried = f", best trial {trainer.best_value:.1f}" if trainer.trials else ""
    return f"{where}, mIoU {100 * progress.miou:.1f}{last}{tried}"


def _take_up(trainer: PolicyTrainer, store: StateStore, made_of: str) -> None:
    saved = store.load()
    if saved is None:
        return
    checkpoint = from_bytes(saved)
    meta = checkpoint.description["trainer"]
    if meta.get("format") != trainer.meta()["format"]:
        log.warning("What was put away of a policy's training is of an earlier version; it begins anew.")
        return
    if checkpoint.description.get("made_of", "") != made_of:
        log.warning("What a policy's games are made of has changed since its training was put away; it begins anew.")
        return
    if not trainer.is_at(meta):  # else it is the very trainer that was put away, still in memory
        trainer.load(meta, checkpoint.extra)


def _put_away(trainer: PolicyTrainer, store: StateStore, made_of: str) -> None:
    store.save(to_bytes({"trainer": trainer.meta(), "made_of": made_of}, {}, trainer.tensors()))
