"""A ResNet-50 and the library's encoders kept frozen: what they see, their checkpoints, and weights that are others."""

import dataclasses
import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from models import smp
from models.frozen import FrozenSegmenter, build_frozen
from models.resnet_fpn import RESNET50, ResNet50Encoder
from models.segmenter import build
from models.smp import EncoderOutOfReach, SmpEncoder
from models.tuned import take_over, tuned_name
from service.settings import get_settings
from tests.models.eyes import seeded, some_images, some_projection
from tests.models.small_library import NAME, SmallBody, SmallLibrary
from tests.workers.conftest import CLASSES, Rectangles
from workers.datasets.on_device import image_tensor
from workers.training import encoders
from workers.training.building import Architecture, fresh_segmenter, is_of
from workers.training.checkpoints import CheckpointError, load_segmenter, save_segmenter
from workers.training.encoders import PUBLISHED, EncoderError, frozen_eye, pretrained_encoder, state_digest

FILE = "resnet50-0676ba61.pth"
IMAGES = Rectangles(2, seed=1)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file like torchvision's, of weights that were drawn."""
    folder = tmp_path_factory.mktemp("weights")
    state = ResNet50Encoder().state_dict()
    for name in [name for name in state if "running" in name]:
        state[name] = torch.rand(state[name].shape, generator=seeded()) + 0.5
    torch.save(state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, folder / FILE)
    return folder


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees the settings or the encoders of another."""
    monkeypatch.delenv("REGIONWISE_ENCODER_WEIGHTS", raising=False)
    get_settings.cache_clear()
    encoders._folded.cache_clear()
    yield
    get_settings.cache_clear()
    encoders._folded.cache_clear()


@pytest.fixture
def resnet(published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, as if its bytes were the published ones."""
    sha256 = hashlib.sha256((published / FILE).read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED, RESNET50, dataclasses.replace(PUBLISHED[RESNET50], sha256=sha256))
    monkeypatch.setenv("REGIONWISE_ENCODER_WEIGHTS", str(published))
    return published / FILE


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SmallLibrary:
    made = SmallLibrary(published=1)
    monkeypatch.setattr(smp, "_library", lambda: made)
    return made


def frozen(name: str, stride: int = 8, magnification: float = 1.0) -> FrozenSegmenter:
    architecture = Architecture(
        name=name, frozen=True, width=8, dropout=0.2, stride=stride, magnification=magnification
    )
    segmenter = fresh_segmenter(architecture, len(CLASSES), [IMAGES], 0, "cpu")
    assert isinstance(segmenter, FrozenSegmenter)
    assert is_of(segmenter, architecture)
    assert not is_of(segmenter, dataclasses.replace(architecture, frozen=False))
    return segmenter.eval()


def on_resnet(stride: int = 8, magnification: float = 1.0, components: int = 8) -> FrozenSegmenter:
    """With a projection of random directions of 256 + 512 + 1024 + 2048 channels: to fit one takes a while."""
    eye = frozen_eye(RESNET50, stride=stride, magnification=magnification)
    return build_frozen(eye, some_projection(components, 3840), classes=len(CLASSES), hidden=16).eval()


def assert_comes_back(segmenter: FrozenSegmenter) -> None:
    """From a checkpoint, small and with the same predictions."""
    data, images = save_segmenter(segmenter, CLASSES), some_images(50, 61)
    assert len(data) < 3_000_000
    loaded, checkpoint = load_segmenter(data, CLASSES)
    assert isinstance(loaded, FrozenSegmenter)
    assert loaded.sight == segmenter.sight
    assert torch.equal(loaded(images), segmenter(images))
    described = {"stride": segmenter.stride, "magnification": 1.0, "sha256": segmenter.eye.sha256}
    assert checkpoint.description["architecture"]["frozen"] == described


def assert_tuned_predicts_the_same(segmenter: FrozenSegmenter) -> None:
    tuned = build(tuned_name(segmenter), classes=len(CLASSES), width=segmenter.width).eval()
    take_over(tuned, segmenter, pretrained_encoder(segmenter.name))
    images = torch.nn.functional.pad(image_tensor(IMAGES.image(0))[None], (0, 0, 0, 16), mode="reflect")  # 64 x 64
    with torch.no_grad():
        expected = segmenter(images)
        torch.testing.assert_close(tuned(images), expected, rtol=0, atol=0.02 * float(expected.std()))


@pytest.mark.parametrize(("stride", "magnification"), [(2, 1.0), (4, 1.5), (8, 1.0), (8, 2.0)])
def test_features_of_a_resnet_have_the_sides_of_odd_images_rounded_up(
    stride: int, magnification: float, resnet: Path
) -> None:
    segmenter = on_resnet(stride, magnification)
    seen = segmenter.look(some_images(51, 67, 2))
    assert seen.shape == (2, 8, -(-51 // stride), -(-67 // stride))
    assert bool(seen.isfinite().all())
    assert segmenter(some_images(51, 67)).shape == (1, 3, 51, 67)


def test_a_frozen_resnet_comes_back_from_its_checkpoint_and_can_be_tuned(resnet: Path) -> None:
    segmenter = on_resnet(components=96)
    assert segmenter.eye.sha256 == hashlib.sha256(resnet.read_bytes()).hexdigest()
    assert_comes_back(segmenter)
    assert_tuned_predicts_the_same(segmenter)


def test_another_file_than_torchvision_s_is_refused_and_never_unpickled(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGIONWISE_ENCODER_WEIGHTS", str(published / FILE))
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(EncoderError, match=r"is not the published file of fpn-resnet50: .* should be 0676ba61"):
        frozen_eye(RESNET50, stride=8, magnification=1.0)


@pytest.mark.parametrize("stride", [2, 8])
def test_an_encoder_of_the_library_sees_comes_back_and_can_be_tuned(stride: int, library: SmallLibrary) -> None:
    segmenter = frozen(NAME, stride)
    assert segmenter.look(some_images(51, 67)).shape == (1, 22, -(-51 // stride), -(-67 // stride))
    assert_comes_back(segmenter)
    assert_tuned_predicts_the_same(segmenter)


def test_weights_that_the_hub_has_changed_are_refused(library: SmallLibrary) -> None:
    data = save_segmenter(frozen(NAME), CLASSES)
    encoders._folded.cache_clear()
    library.published = 2
    with pytest.raises(CheckpointError, match=r"made with other weights of smp:fpn:small \(SHA-256 .*pretrain job"):
        load_segmenter(data, CLASSES)


def test_without_network_or_extra_it_is_said_what_to_do(library: SmallLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    data, library.published = save_segmenter(frozen(NAME), CLASSES), None
    encoders._folded.cache_clear()
    with pytest.raises(EncoderOutOfReach, match="let this machine reach it, or let HF_HOME"):
        frozen(NAME)
    with pytest.raises(EncoderOutOfReach, match="let this machine reach it, or let HF_HOME"):
        load_segmenter(data, CLASSES)
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match=r"need the extra smp: pip install 'regionwise\[smp\]'"):
        frozen_eye(NAME, stride=8, magnification=1.0)


def test_the_digest_of_weights_is_of_their_names_types_shapes_and_bytes_in_order_of_names() -> None:
    state = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor(3)}
    text = b"a torch.int64 ()\n" + (3).to_bytes(8, "little")
    text += b"b torch.float32 (2,)\n" + bytes.fromhex("0000803f00000040")  # IEEE 754, little-endian
    assert state_digest(state) == hashlib.sha256(text).hexdigest()
    assert state_digest(state) != state_digest(state | {"b": torch.tensor([[1.0, 2.0]])})
    assert state_digest(SmallBody(1).state_dict()) != state_digest(SmallBody(2).state_dict())


@pytest.mark.skipif(find_spec("segmentation_models_pytorch") is None, reason="the extra smp is not installed")
@pytest.mark.parametrize(("encoder", "channels"), [("resnet18", 1024), ("efficientnet-b0", 528), ("mit_b0", 512)])
def test_the_real_library_s_encoders_see(encoder: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = smp._library().encoders
    get_encoder, normal = real.get_encoder, SmallLibrary().normal
    monkeypatch.setattr(real, "get_encoder", lambda *given, **named: get_encoder(*given, **named | {"weights": None}))
    monkeypatch.setattr(real, "get_preprocessing_params", lambda *given, **named: normal)
    segmenter = frozen(f"smp:unet:{encoder}")
    assert isinstance(segmenter.eye.encoder, SmpEncoder)
    assert sum(segmenter.eye.encoder.channels) == channels
    assert segmenter.look(some_images(51, 67)).shape == (1, 96, 7, 9)
    assert_comes_back(segmenter)
