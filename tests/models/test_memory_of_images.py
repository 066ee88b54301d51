"""What describing an image takes beyond its pixels and its label map does not grow with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What the same work on four times as many pixels may take, to what it takes on these.
MOST = 2
SIDES = (1500, 3000)

PEAK = """
import re, sys, torch
from models.features import describe
from models.segmenter import build
from tests.models.eyes import some_segmenter
torch.set_num_threads(1)
name, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
segmenter = some_segmenter(components=8) if name == "frozen" else build(name, classes=11, width=8)
noise = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
status = lambda what: int(re.search(what + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
asked = dict(statistics=("entropy_sum", "margin_mean", "bvsb_mean"), vectors=("class_mass", "embedding"))
def work(images):
    size = tuple(images.shape[-2:])
    grid = [(row, col, 90, 80) for row in range(0, size[0] - 89, 90) for col in range(0, size[1] - 79, 80)]
    seen = segmenter.look(images)
    describe(segmenter, seen, [torch.tensor(grid).view(-1, 4)], size=size, **asked)
work(noise.repeat(1, 1, 2, 2))  # what is loaded by the first work of all
images = noise.repeat(1, 1, height // 64 + 1, width // 64 + 1)[..., :height, :width].contiguous()
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
work(images)
print(status("VmHWM") - before - height * width)
"""


def beyond_the_label_map(name: str, side: int) -> float:
    """Bytes at the peak of describing an image that is there already, without its label map's."""
    command = [sys.executable, "-c", PEAK, name, str(side), str(side - 1)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return float(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
@pytest.mark.parametrize("name", ["fpn", "frozen"])
def test_four_times_the_pixels_take_no_more_than_twice_as_much(name: str) -> None:
    small, large = (beyond_the_label_map(name, side) for side in SIDES)
    assert large < MOST * small, f"{small / 2**20:.0f} and {large / 2**20:.0f} MiB"
