"""A stand-in for segmentation_models_pytorch's encoders: one small encoder in the library's manner."""

import types
from typing import Any

import torch
from torch import Tensor, nn

NAME = "smp:fpn:small"
NORMAL = {"input_space": "RGB", "input_range": [0, 1], "mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]}


class SmallBody(nn.Module):
    """The image, a level of no channels as the library's transformers have, and maps at strides 4, 8, 16 and 32."""

    out_channels = (3, 0, 4, 5, 6, 7)

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        steps = ((3, 4, 4), (4, 5, 2), (5, 6, 2), (6, 7, 2))
        self.steps = nn.ModuleList(nn.Conv2d(before, after, stride, stride) for before, after, stride in steps)
        for parameter in self.parameters():
            parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator)

    def forward(self, images: Tensor) -> list[Tensor]:
        height, width = images.shape[-2:]
        levels = [images, images.new_empty(len(images), 0, height // 2, width // 2)]
        maps = images
        for step in self.steps:
            maps = step(maps)
            levels.append(maps)
        return levels


class SmallLibrary(types.ModuleType):
    """What is used of the library; `published` draws the weights that its hub has, None stands for no network."""

    def __init__(self, published: int | None = 1, **normal: object) -> None:
        super().__init__("segmentation_models_pytorch")
        self.encoders, self.published, self.normal = self, published, {**NORMAL, **normal}
        self.asked: list[str | bool | None] = []

    def get_preprocessing_params(self, encoder: str, pretrained: str) -> dict[str, Any]:
        assert pretrained == "imagenet"
        return self.normal

    def get_encoder(self, encoder: str, *, in_channels: int, depth: int, weights: str | bool | None) -> nn.Module:
        self.asked.append(weights)
        assert (in_channels, depth) == (3, 5)
        if not encoder.endswith("small"):
            raise KeyError(f"Wrong encoder name `{encoder}`")
        if weights and self.published is None:
            raise FileNotFoundError("no such file in the cache, and no network")
        return SmallBody(self.published or 0) if weights else SmallBody(0)
