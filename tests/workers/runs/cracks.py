"""Somebody's folder of images with cracks, what may be wrong with it, and a simulation on it that takes a second."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from tests.workers.datasets.pictures import ids, picture, write
from workers.simulate import app

CLASSES = {"classes": [{"id": 0, "name": "Wall", "color": [0, 0, 0]}, {"id": 1, "name": "Crack", "color": [9, 9, 9]}]}
NAMES = [f"{number:02d}" for number in range(10)]


def cracks(root: Path) -> Path:
    """Ten images of two classes, without splits."""
    for number, name in enumerate(NAMES):
        write(root / "images" / f"{name}.png", picture(number, 24, 32))
        write(root / "labels" / f"{name}.png", ids(number, [0, 0, 1], 24, 32))
    (root / "classes.json").write_text(json.dumps(CLASSES))
    return root


def splits(root: Path, **changed: list[str]) -> None:
    """List splits, some of them changed."""
    listed = {"state": NAMES[:1], "train": NAMES[1:3], "reward": NAMES[3:4], "pool": NAMES[4:8], "test": NAMES[8:]}
    (root / "splits.json").write_text(json.dumps(listed | changed))


def recoded(root: Path, *, by: int) -> None:
    """Label maps whose values are multiplied."""
    for path in (root / "labels").iterdir():
        write(path, np.asarray(Image.open(path)) * np.uint8(by))


def cut_short(path: Path) -> None:
    """A file of which the second half is missing."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def deepened(root: Path, names: Sequence[str] = NAMES) -> None:
    """Images of 16 bits."""
    for path in (root / "images" / f"{name}.png" for name in names):
        write(path, np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 200)


def evaluated(
    root: Path, *options: str, start: str = "none", out: str = "../out", strategy: str = "random"
) -> tuple[int, str]:
    """The exit code, and all that is said, of methods at one budget. `out` is seen from the root."""
    cells = ("--set", "cell_height=8", "--set", "cell_width=8", "--set", "batch_size=2")
    quick = ("--set", "refit.first_steps=1", "--set", "refit.steps=1", "--set", "refit.judge_steps=1", "--jobs", "1")
    place = ("--preset", "folder", "--root", str(root), "--out", str(root / out), "--start", start)
    played = ("evaluate", "--strategy", strategy, "--budgets", "2")
    finished = CliRunner().invoke(app, [*place, *cells, *quick, *options, *played])
    return finished.exit_code, " ".join(finished.output.replace("│", " ").split())
