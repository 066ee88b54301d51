"""A frozen segmenter made trainable: the same predictions at first, then an encoder that learns."""

import pytest
import torch

from models.enlarging import EnlargingEncoder
from models.fit import TrainSettings, make_optimizer, train_pass
from models.frozen import FrozenSegmenter
from models.segmenter import build
from models.tuned import take_over, tuned_name
from tests.workers.conftest import Rectangles
from workers.datasets.on_device import image_tensor
from workers.training.building import Architecture, fresh_segmenter
from workers.training.encoders import pretrained_encoder

SOURCE = Rectangles(2, 0, (64, 96))


def frozen(stride: int, magnification: float) -> FrozenSegmenter:
    architecture = Architecture(
        name="efficientnet-lite0", frozen=True, width=8, dropout=0.2, stride=stride, magnification=magnification
    )
    made = fresh_segmenter(architecture, 3, [SOURCE], 0, "cpu")
    assert isinstance(made, FrozenSegmenter)
    made.temperature.fill_(2.0)
    return made.eval()


@pytest.mark.parametrize(("stride", "magnification"), [(8, 1.5), (4, 1.0)])
def test_it_predicts_what_the_frozen_one_did(stride: int, magnification: float) -> None:
    segmenter = frozen(stride, magnification)
    tuned = build(tuned_name(segmenter), classes=3, width=segmenter.width).eval()
    take_over(tuned, segmenter, pretrained_encoder("efficientnet-lite0"))
    images = image_tensor(SOURCE.image(0))[None]
    with torch.no_grad():
        torch.testing.assert_close(tuned(images), segmenter(images), rtol=0, atol=5e-3)


def test_its_encoder_learns_while_its_norms_keep_their_statistics() -> None:
    segmenter = frozen(8, 1.0)
    tuned = build(tuned_name(segmenter), classes=3, width=segmenter.width)
    take_over(tuned, segmenter, pretrained_encoder("efficientnet-lite0"))
    assert isinstance(tuned.encoder, EnlargingEncoder)
    before = {key: value.clone() for key, value in tuned.encoder.state_dict().items()}
    settings = TrainSettings(optimizer="adamw", lr=1e-3, momentum=0.9, class_weights=(1.0, 2.0, 2.0), overlap=1.0)
    images = torch.stack([image_tensor(SOURCE.image(n)) for n in range(2)])
    labels = torch.stack([torch.from_numpy(SOURCE.label_map(n)) for n in range(2)])
    train_pass(
        tuned, make_optimizer(tuned, settings), [(images, labels)], settings, generator=torch.Generator().manual_seed(0)
    )
    changed = {key for key, value in tuned.encoder.state_dict().items() if not torch.equal(value, before[key])}
    assert "encoder.stem.conv.weight" in changed
    assert not [key for key in changed if "running" in key]


def test_a_name_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="should read tuned:NAME:STRIDE:MAGNIFICATION"):
        build("tuned:resnet:8:1.5", classes=2)
