"""Fits of heads that were put away: those that do not fit what goes on are begun anew, from where it was."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.refit import Refitting
from tests.models.test_refit import fitted, labels
from workers.files import FileState
from workers.training import resumable
from workers.training.checkpoints import from_bytes, to_bytes
from workers.training.resumable import KeptFits

STEPS = 6
Tensors = dict[str, Tensor]


def lacking(put_away: Tensors) -> Tensors:
    return {key: value for key, value in put_away.items() if key != "refit/generator"}


def of_other_sizes(put_away: Tensors) -> Tensors:
    return {key: value[:1] if key.endswith("classifier.weight") else value for key, value in put_away.items()}


def numbered_by_words(put_away: Tensors) -> Tensors:
    return {key.replace("optimizer.0.", "optimizer.first."): value for key, value in put_away.items()}


def kept_at(store: FileState, step: int) -> None:
    """Put a fit away in the middle."""
    kept = KeptFits(store, "labels")

    def stop(at: int) -> None:
        if at == step:
            kept.save()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(labels((1, 1)), begun=lambda fit: kept.take_up("refit", fit), on_step=stop, steps=STEPS)


def gone_on(store: FileState) -> tuple[Tensors, list[int]]:
    """The head of a fit that goes on from what is put away, and its steps from then on."""
    kept, heard = KeptFits(store, "labels"), list[int]()

    def begun(fit: Refitting) -> None:
        kept.take_up("refit", fit)

    segmenter, _ = fitted(labels((1, 1)), begun=begun, on_step=heard.append, steps=STEPS)
    return dict(segmenter.state_dict()), heard


@pytest.mark.parametrize("change", [lacking, of_other_sizes, numbered_by_words])
def test_a_fit_that_cannot_be_taken_up_begins_anew_as_if_nothing_had_been_put_away(
    change: Callable[[Tensors], Tensors], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileState(tmp_path / "fit")
    kept_at(store, 4)
    found = from_bytes(store.load() or b"")
    more = {key: value for key, value in found.description.items() if key != "format"}
    store.save(to_bytes(more, {}, change(found.extra)))
    with caplog.at_level(logging.WARNING):
        head, heard = gone_on(store)
    assert heard == [1, 2, 3, 4, 5, 6]
    assert "it begins anew" in caplog.text
    straight, _ = fitted(labels((1, 1)), steps=STEPS)
    assert all(torch.equal(value, head[name]) for name, value in straight.state_dict().items())


def test_a_fit_that_another_version_put_away_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileState(tmp_path / "fit")
    kept_at(store, 4)
    assert gone_on(store)[1] == [5, 6]
    monkeypatch.setattr(resumable, "FORMAT", 0)
    assert gone_on(store)[1] == [1, 2, 3, 4, 5, 6]


def test_nothing_is_put_away_again_before_a_step_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job counts its tries from what it saved last: one that is killed again and again before a step has come no further."""
    monkeypatch.setattr(resumable, "SAVE_SECONDS", -1.0)
    store = FileState(tmp_path / "fit")
    kept_at(store, 4)
    kept, saved, save = KeptFits(store, "labels"), list[int](), store.save

    def saving(data: bytes) -> None:
        saved.append(len(saved))
        save(data)

    monkeypatch.setattr(store, "save", saving)
    counts: list[int] = []

    def begun(fit: Refitting) -> None:
        kept.take_up("refit", fit)
        kept.save_if_due()
        counts.append(len(saved))

    def stepped(step: int) -> None:
        for _ in range(2):
            kept.save_if_due()
        counts.append(len(saved))

    fitted(labels((1, 1)), begun=begun, on_step=stepped, steps=STEPS)
    assert counts == [0, 1, 2]
