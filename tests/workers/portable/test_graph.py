"""Graphs predict what the network predicts, and one that does not is refused."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

from models.inference import evaluating
from tests.models.eyes import some_images
from tests.workers.portable.segmenters import KINDS, segmenter_of
from workers.portable import graph
from workers.portable.graph import FORMS, TIE, agreement
from workers.portable.one_image import OneImage, predicted

ONNX = find_spec("onnxruntime") is not None


@pytest.mark.parametrize(
    "form", ["torchscript", pytest.param("onnx", marks=pytest.mark.skipif(not ONNX, reason="needs the extra onnx"))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_has_the_classes_that_the_service_predicts(kind: str, form: str) -> None:
    segmenter, image = segmenter_of(kind), some_images(45, 70)[0]
    made = FORMS[form].make(segmenter, image)
    assert segmenter.training is False
    with evaluating(segmenter):
        reference = segmenter(image[None])[0].numpy()
    truth = predicted(segmenter, OneImage(image.permute(1, 2, 0).numpy()))
    assert len(np.unique(truth)) > 1
    logits = FORMS[form].run(made, image)
    assert logits.shape == (3, 45, 70)
    found = agreement(logits, reference, truth)
    assert found.pixels == 45 * 70
    assert found.equal >= 0.999 * found.pixels


def test_another_class_is_refused_unless_its_logits_are_a_tie() -> None:
    reference = np.zeros((3, 1, 2), np.float32)
    reference[0] = 1.0
    reference[1] = 1.0 - TIE / 2
    predicted_classes = np.zeros((1, 2), np.uint8)
    other = reference.copy()
    other[1, 0, 0] = 2.0
    assert agreement(other, reference, predicted_classes).equal == 1
    other[2, 0, 0] = 3.0
    with pytest.raises(ValueError, match="other classes than the network at 1 of 2 pixels"):
        agreement(other, reference, predicted_classes)


@pytest.mark.parametrize(
    "call",
    [
        lambda segmenter, image: graph.onnx(segmenter, image),
        lambda segmenter, image: graph.run_onnx(b"", image),
    ],
)
def test_what_onnx_needs_is_named_where_it_is_not_installed(
    call: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "find_spec", lambda package: None if package == "onnxscript" else object())
    with pytest.raises(ValueError, match=r"ONNX needs the package onnxscript: pip install 'regionwise\[onnx\]'"):
        call(segmenter_of("fpn"), some_images(16, 16)[0])
