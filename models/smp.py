"""The door to segmentation-models-pytorch (extra `smp`): its encoders and decoders under our classifier."""

import importlib
import importlib.util
import sys
from types import ModuleType

import torch
from torch import nn

from models.fpn import Parts

PREFIX = "smp:"
HOW_TO_INSTALL = "Segmenters named smp:... need the extra smp: pip install 'regionwise[smp]'."
OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_fragments: list[torch.library.Library] = []  # a definition lasts as long as the object that made it


def smp_parts(name: str, *, pretrained: bool = False) -> Parts:
    """Encoder and decoder of "smp:ARCH:ENCODER", e.g. "smp:unet:resnet18"; `pretrained` downloads the ImageNet encoder.

    Raises ImportError with the way to install the extra, ValueError for names that it does not have.
    """
    architecture, encoder = _split(name)
    library = _library()
    known = [known for known in library.MODEL_ARCHITECTURES_MAPPING if known != "dpt"]  # DPT's decoder wants tokens too
    if architecture not in known:
        raise ValueError(f"There is no architecture {architecture!r} in {name!r}. There are: {', '.join(known)}.")
    weights = "imagenet" if pretrained else None
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
