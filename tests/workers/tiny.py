"""An experiment on synthetic streets so small that a whole run takes seconds."""

from collections.abc import Callable
from pathlib import Path

from workers.experiments.presets import read_preset
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, open_experiment_data

TINY = """
height = 48
width = 64
cell_height = 16
cell_width = 16
segmenter_width = 4
batch_size = 4
pool_size = 3
counts = { state = 2, train = 3, reward = 2, pool = 6, test = 2 }
[round]
crop_height = 32
crop_width = 32
batch = 4
[source]
images = 8
crop_height = 32
crop_width = 32
batch = 8
max_epochs = 2
[theta0_training]
crop_height = 32
crop_width = 32
batch = 4
max_epochs = 2
[converge]
crop_height = 32
crop_width = 32
batch = 4
max_epochs = 3
[policies.paper]
episodes = 2
budget = 8
pool_size = 3
batch = 4
"""
POOL_REGIONS = 6 * 3 * 4


def tiny_preset(folder: Path, more: str = "") -> Path:
    """The preset's file, written into a folder."""
    path = folder / "tiny.toml"
    path.write_text(TINY + more)
    return path


def tiny_experiment(folder: Path, *overrides: str) -> Experiment:
    """The preset, read."""
    return read_preset(str(tiny_preset(folder)), "streets", overrides)


def tiny_bench(
    experiment: Experiment, out: Path, report: Callable[[float, str], None] = lambda done, text: None
) -> Bench:
    """Where the experiment's stages run, with its cache in `out`."""
    return Bench(
        experiment=experiment,
        dataset=open_experiment_data(experiment, None),
        cache=out / "cache",
        device="cpu",
        report=report,
    )
