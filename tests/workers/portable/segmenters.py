"""The two kinds of segmenters that are exported: small, and trained to nothing but to predict several classes."""

import torch

from models.segmenter import Segmenter, build
from tests.models.eyes import seeded, some_segmenter

KINDS = ("fpn", "frozen")


def segmenter_of(kind: str) -> Segmenter:
    """In evaluation mode, of three classes, surer of itself than a fresh one."""
    if kind == "frozen":
        return some_segmenter(stride=8, magnification=1.5, components=16)
    segmenter = build("fpn", classes=3, width=4, generator=seeded(3)).eval()
    with torch.no_grad():
        segmenter.classifier.weight *= 20
    return segmenter
