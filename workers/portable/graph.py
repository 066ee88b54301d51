"""A segmenter as one graph for images of one size, in TorchScript or ONNX, and the check that it predicts the same.

Shapes: C classes, H x W pixels.
"""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.frozen import FrozenSegmenter
from models.inference import evaluating
from models.segmenter import Segmenter

INPUT, OUTPUT = "image", "logits"
OPSET = 18
# Logits that are so close are a tie: features are rounded to 16 bits, where another order of summing may round the other way.
TIE = 0.02


class Graph(nn.Module):
    """An image to its logits, the frozen encoder included."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter
        # Here torch looks for it: its weights become the graph's.
        self.encoder = segmenter.eye.encoder if isinstance(segmenter, FrozenSegmenter) else None

    def forward(self, image_13HW: Tensor) -> Tensor:
        """(1, C, H, W) float32 of a uint8 image."""
        logits: Tensor = self.segmenter(image_13HW)
        return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Pixels of the example image, and those of them where a graph has the class that the service predicts."""

    pixels: int
    equal: int


def torchscript(segmenter: Segmenter, image_3HW: Tensor) -> bytes:
    """The graph of images of this size, traced, as TorchScript."""
    buffer = io.BytesIO()
    with _quiet(), evaluating(segmenter):
        traced = torch.jit.trace(Graph(segmenter).eval(), image_3HW[None])  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def run_torchscript(data: bytes, image_3HW: Tensor) -> NDArray[np.float32]:
    """(C, H, W) logits."""
    with _quiet(), torch.no_grad():
        graph = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
        return np.asarray(graph(image_3HW[None])[0].numpy())


def onnx(segmenter: Segmenter, image_3HW: Tensor) -> bytes:
    """The same as ONNX. Raises ValueError where the packages for it are not installed."""
    _onnxruntime()
    with _quiet(), evaluating(segmenter):
        program = torch.onnx.export(
            Graph(segmenter).eval(),
            (image_3HW[None],),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None  # as it is for the older exporter
    return bytes(program.model_proto.SerializeToString())


def run_onnx(data: bytes, image_3HW: Tensor) -> NDArray[np.float32]:
    """(C, H, W) logits, by onnxruntime on the CPU. Raises ValueError where it is not installed."""
    session = _onnxruntime().InferenceSession(data, providers=["CPUExecutionProvider"])
    (logits_1CHW,) = session.run([OUTPUT], {INPUT: image_3HW[None].numpy()})
    return np.asarray(logits_1CHW[0])


def agreement(
    logits_CHW: NDArray[np.float32], reference_CHW: NDArray[np.float32], predicted_HW: NDArray[np.uint8]
) -> Agreement:
    """How a graph's logits compare with the network's own, and with the classes that the service predicts.

    Raises ValueError where they have another class at a pixel whose logits are no tie.
    """
    found_HW = logits_CHW.argmax(0)
    differ_HW = found_HW != predicted_HW
    of_found, of_predicted = (
        np.take_along_axis(reference_CHW, each[None].astype(np.int64), 0)[0] for each in (found_HW, predicted_HW)
    )
    wrong = int((differ_HW & (np.abs(of_predicted - of_found) > TIE)).sum())
    if wrong:
        raise ValueError(
            f"The exported graph has other classes than the network at {wrong} of {differ_HW.size} pixels of the example: it is "
            "not kept. Export without --format, and predict with regionwise."
        )
    return Agreement(pixels=differ_HW.size, equal=int(differ_HW.size - differ_HW.sum()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says to whoever works on it: that tracing is old, that values become constants, what it lacks."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _onnxruntime() -> Any:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise ValueError(f"ONNX needs the package {package}: pip install 'regionwise[onnx]'.")
    import onnxruntime

    return onnxruntime


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form that a graph may have: the file's name, how it is made of a segmenter and an image, and how it is run."""

    file: str
    make: Callable[[Segmenter, Tensor], bytes]
    run: Callable[[bytes, Tensor], NDArray[np.float32]]


FORMS = {
    "torchscript": Form(file="model.torchscript", make=torchscript, run=run_torchscript),
    "onnx": Form(file="model.onnx", make=onnx, run=run_onnx),
}
