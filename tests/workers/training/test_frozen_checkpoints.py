"""Checkpoints of frozen segmenters: small, the same predictions back, and a sentence for what does not fit."""

import pytest
import torch

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from tests.models.eyes import some_images, some_segmenter
from tests.workers.conftest import CLASSES
from workers.training.checkpoints import (
    CheckpointError,
    from_bytes,
    load_segmenter,
    save_segmenter,
    segmenter_description,
    to_bytes,
)


def some() -> FrozenSegmenter:
    segmenter = some_segmenter(stride=4, magnification=1.5, components=96, dropout=0.3)
    segmenter.temperature.fill_(1.7)
    segmenter.fitted.fill_(True)
    return segmenter


@torch.no_grad()
def test_a_frozen_segmenter_comes_back_small_and_predicts_the_same() -> None:
    segmenter, images = some(), some_images(50, 61)
    data = save_segmenter(segmenter, CLASSES, {"momentum.0": torch.arange(3.0)}, miou=0.5)
    assert len(data) < 1_000_000
    loaded, checkpoint = load_segmenter(data, CLASSES)
    assert isinstance(loaded, FrozenSegmenter)
    assert loaded.sight == segmenter.sight
    assert (loaded.stride, loaded.eye.magnification, loaded.dropout.p) == (4, 1.5, 0.3)
    assert bool(loaded.fitted)
    assert float(loaded.temperature) == pytest.approx(1.7)
    assert torch.equal(loaded(images), segmenter(images))
    assert checkpoint.description["miou"] == 0.5


def test_what_was_saved_beside_it_comes_back_without_the_projection() -> None:
    _, checkpoint = load_segmenter(save_segmenter(some(), CLASSES, {"momentum.0": torch.arange(3.0)}), CLASSES)
    assert {name: tensor.tolist() for name, tensor in checkpoint.extra.items()} == {"momentum.0": [0, 1, 2]}


def changed(segmenter: Segmenter, **frozen: object) -> bytes:
    """A checkpoint that says something else of its frozen encoder."""
    data = from_bytes(save_segmenter(segmenter, CLASSES))
    description = segmenter_description(segmenter, CLASSES)
    description["architecture"]["frozen"].update(frozen)
    return to_bytes(description, data.weights, data.extra)


def test_a_checkpoint_made_with_other_weights_is_refused_with_a_sentence() -> None:
    with pytest.raises(CheckpointError, match=r"made with other weights of .*SHA-256 0123456789ab\.\.\..*pretrain job"):
        load_segmenter(changed(some(), sha256="0123456789abcdef"), CLASSES)


def test_a_checkpoint_without_its_projection_is_refused_with_a_sentence() -> None:
    segmenter = some()
    data = to_bytes(segmenter_description(segmenter, CLASSES), segmenter.state_dict())
    with pytest.raises(CheckpointError, match="lacks its projection"):
        load_segmenter(data, CLASSES)


def test_a_head_that_does_not_fit_its_projection_is_refused() -> None:
    segmenter, narrow = some(), some_segmenter(components=8)
    extra = {f"projection.{name}": tensor for name, tensor in narrow.projection.tensors().items()}
    data = to_bytes(segmenter_description(segmenter, CLASSES), segmenter.state_dict(), extra)
    with pytest.raises(CheckpointError, match="does not fit its own architecture"):
        load_segmenter(data, CLASSES)
