"""The door to segmentation-models-pytorch (extra `smp`): its encoders and decoders under our classifier."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from models.encoder import Encoder
from models.fpn import Parts

PREFIX = "smp:"
WEIGHTS = "imagenet"
HOW_TO_INSTALL = "Segmenters named smp:... need the extra smp: pip install 'regionwise[smp]'."
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# Answers of a server that stand: to ask again brings no other.
STANDING = range(400, 500)
PASSING = (408, 429)
_fragments: list[torch.library.Library] = []  # a definition lasts as long as the object that made it


class EncoderOutOfReach(ConnectionError):
    """An encoder's weights cannot be downloaded right now; the message says what to do, and later they may be had."""


def smp_parts(name: str, *, pretrained: bool = False) -> Parts:
    """Encoder and decoder of "smp:ARCH:ENCODER", e.g. "smp:unet:resnet18"; `pretrained` downloads the ImageNet encoder.

    Raises ImportError with the way to install the extra, ValueError for names that it does not have.
    """
    architecture, encoder = _split(name)
    library = _library()
    known = [known for known in library.MODEL_ARCHITECTURES_MAPPING if known != "dpt"]  # DPT's decoder wants tokens too
    if architecture not in known:
        raise ValueError(f"There is no architecture {architecture!r} in {name!r}. There are: {', '.join(known)}.")
    weights = WEIGHTS if pretrained else None
    try:
        model = library.create_model(architecture, encoder, encoder_weights=weights, classes=2)
    except (KeyError, ValueError) as error:
        raise ValueError(f"segmentation-models-pytorch cannot build {name!r}: {error}") from error
    for part in model.decoder.modules():
        if isinstance(part, nn.Dropout | nn.Dropout2d):
            part.p = 0.0  # ours, before the classifier, is the only one
    head, upsampling = model.segmentation_head[0], model.segmentation_head[1]
    return Parts(
        encoder=model.encoder,
        decoder=model.decoder,
        channels=head.in_channels,
        stride=int(getattr(upsampling, "scale_factor", 1)),
        multiple=32,
        least_side=128,  # PAN pools what is at stride 16 three times over
    )


class SmpEncoder(Encoder):
    """An encoder of the library without its level 0, which is the image itself, and without levels of no channels."""

    def __init__(self, body: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.body = body
        channels: Sequence[int] = body.out_channels  # type: ignore[assignment]
        self._kept = [level for level, count in enumerate(channels) if level > 0 and count > 0]
        self.strides = tuple(2**level for level in self._kept)
        self.channels = tuple(channels[level] for level in self._kept)
        self.mean, self.std = (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])

    def forward(self, images_B3HW: Tensor) -> list[Tensor]:
        """Maps at the strides, finest first: of most encoders 2, 4, 8, 16 and 32."""
        levels: list[Tensor] = self.body(images_B3HW)
        return [levels[level] for level in self._kept]


def smp_encoder(name: str, *, pretrained: bool = False) -> SmpEncoder:
    """The encoder of "smp:ARCH:ENCODER" alone, whatever ARCH is; `pretrained` downloads its ImageNet weights.

    Raises ImportError with the way to install the extra, ValueError where it has no such weights, and EncoderOutOfReach
    where they cannot be had right now.
    """
    _, encoder = _split(name)
    library = _library().encoders
    weights: str | bool | None = WEIGHTS if pretrained else None
    if pretrained and encoder.startswith("tu-"):
        weights = True  # timm's have theirs in their name
    try:
        normal = library.get_preprocessing_params(encoder, pretrained=WEIGHTS)
        body = library.get_encoder(encoder, in_channels=3, depth=5, weights=weights)
    except OSError as error:
        if _stands(error):
            raise ValueError(f"The Hugging Face hub has no ImageNet weights of {name}: {error}") from error
        raise EncoderOutOfReach(
            f"The ImageNet weights of {name} cannot be had from the Hugging Face hub: let this machine reach it, or let "
            "HF_HOME name a copy of a cache that has them."
        ) from error
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"segmentation-models-pytorch has no ImageNet weights of {name}: {error}") from error
    if normal["input_space"] != "RGB":
        raise ValueError(f"{name} wants its pixels as {normal['input_space']}; only encoders for RGB can stay frozen.")
    largest = float(normal["input_range"][1])
    mean, std = ([float(each) / largest for each in normal[which]] for which in ("mean", "std"))
    return SmpEncoder(body, mean, std)


def _stands(error: OSError) -> bool:
    """Whether a server has answered, with what it will answer again."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status in STANDING and status not in PASSING


def _split(name: str) -> tuple[str, str]:
    architecture, _, encoder = name.removeprefix(PREFIX).partition(":")
    if not architecture or not encoder:
        raise ValueError(f"{name!r} should read smp:ARCH:ENCODER, for example smp:unet:resnet18.")
    return architecture.lower(), encoder


def _library() -> ModuleType:
    """segmentation_models_pytorch, imported when first asked for: it is an extra, and takes seconds."""
    if importlib.util.find_spec("segmentation_models_pytorch") is None:
        raise ImportError(HOW_TO_INSTALL)
    _import_torchvision()
    return importlib.import_module("segmentation_models_pytorch")


def _import_torchvision() -> None:
    """Import torchvision, whose 0.28 stops at two operators that its compiled part lacks beside torch's CPU build.

    Only detection models call them, so that a declaration without a kernel is enough.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        _declare_operators()
        for module in [module for module in sys.modules if module.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        importlib.import_module("torchvision")


def _declare_operators() -> None:
    if not _fragments:
        fragment = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for signature in OPERATORS:
            fragment.define(signature)  # type: ignore[no-untyped-call]
        _fragments.append(fragment)
