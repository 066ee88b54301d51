"""The adapter to segmentation_models_pytorch: our dropout for its own, sentences for its errors, any image size."""

import subprocess
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from models import smp
from models.segmenter import build


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


class StandIn(types.ModuleType):
    """What the adapter uses of segmentation_models_pytorch: an encoder, a decoder with dropout, a head at stride 4."""

    MODEL_ARCHITECTURES_MAPPING = types.MappingProxyType({"fpn": object, "dpt": object})

    def create_model(self, architecture: str, encoder: str, *, encoder_weights: str | None, classes: int) -> nn.Module:
        if encoder != "small":
            raise KeyError(f"Wrong encoder name `{encoder}`")
        model: Any = nn.Module()
        model.encoder = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.ReLU())
        model.decoder = nn.Sequential(nn.Conv2d(6, 6, 1), nn.Dropout2d(0.5))
        model.segmentation_head = nn.Sequential(nn.Conv2d(6, classes, 1), nn.Upsample(scale_factor=4), nn.Identity())
        model.weights = encoder_weights
        return cast(nn.Module, model)


class TestSmp:
    @pytest.fixture
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(smp, "_library", lambda: StandIn("segmentation_models_pytorch"))

    def test_that_is_not_installed_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"need the extra smp: pip install 'regionwise\[smp\]'"):
            build("smp:unet:resnet18", classes=3)

    def test_gets_our_dropout_and_loses_its_own(self, installed: None) -> None:
        segmenter = build("smp:fpn:small", classes=3, dropout=0.3)
        assert [part.p for part in segmenter.modules() if isinstance(part, nn.Dropout2d)] == [0.0]
        assert segmenter.dropout.p == 0.3
        features = segmenter.encode(images(1, 3, 130, 161))
        assert features.shape == (1, 6, 160 // 4, 192 // 4)  # padded to multiples of 32
        assert segmenter.classify(features, (130, 161)).shape == (1, 3, 130, 161)

    def test_asks_for_pretrained_weights_only_when_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str | None] = []

        class Asked(StandIn):
            def create_model(
                self, architecture: str, encoder: str, *, encoder_weights: str | None, classes: int
            ) -> nn.Module:
                asked.append(encoder_weights)
                return super().create_model(architecture, encoder, encoder_weights=encoder_weights, classes=classes)

        monkeypatch.setattr(smp, "_library", lambda: Asked("segmentation_models_pytorch"))
        build("smp:fpn:small", classes=3)
        build("smp:fpn:small", classes=3, pretrained=True)
        assert asked == [None, "imagenet"]

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("smp:fpn", "should read smp:ARCH:ENCODER"),
            ("smp::small", "should read smp:ARCH:ENCODER"),
            ("smp:dpt:small", "no architecture 'dpt'.* There are: fpn"),
            ("smp:fpn:huge", "cannot build 'smp:fpn:huge': .*Wrong encoder name"),
        ],
    )
    def test_a_wrong_name_is_a_sentence(self, installed: None, name: str, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            build(name, classes=3)

    @pytest.mark.skipif(find_spec("segmentation_models_pytorch") is None, reason="the extra smp is not installed")
    @pytest.mark.parametrize("name", ["smp:unet:resnet18", "smp:fpn:resnet18", "smp:pan:resnet18"])
    def test_segments_at_any_size_with_the_real_thing(self, name: str) -> None:
        segmenter = build(name, classes=3).train()
        assert segmenter(images(2, 3, 70, 90)).shape == (2, 3, 70, 90)
        assert not [part for part in segmenter.decoder.modules() if isinstance(part, nn.Dropout2d) and part.p > 0]

    def test_declares_the_operators_that_torchvision_stops_at(self, tmp_path: Path) -> None:
        package = tmp_path / "torchvision"
        package.mkdir()
        (package / "part.py").write_text("")
        (package / "__init__.py").write_text(
            "import torch, torchvision.part\n"
            "for name in ('nms', 'qnms'):\n"
            "    torch.library.register_fake(f'torchvision::{name}')(lambda *given: None)\n"
        )
        code = "from models import smp; smp._import_torchvision(); import torchvision; print(torchvision.__file__)"
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == str(package / "__init__.py"), done.stderr
