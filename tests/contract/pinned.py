"""What is pinned: keys of every preset, and records of a tiny run. `python -m tests.contract.pinned` pins anew."""

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from service.domain.methods import Method
from tests.workers.tiny import tiny_preset
from workers.experiments.presets import preset_names, read_preset
from workers.experiments.settings import Experiment
from workers.runs.perform import perform
from workers.runs.works import Run, methods_of, stage_works, trajectory_works
from workers.training.checkpoints import from_bytes

PINS = Path(__file__).parent / "pins"
SEEDS = (0, 3)
# The tiny run: a baseline that chance alone decides, the paper's policy, and ours.
POLICIES = ("paper", "regionwise")
METHODS = ("random", *(f"learned:{name}" for name in POLICIES))
BUDGETS = (8, 12)
_TELLING = ("vendor_id", "cpu family", "model", "stepping", "cache size", "flags")
OVERRIDES = (
    "budget=12",
    "policies.paper.updates_per_round=2",
    "policies.regionwise.episodes=3",
    "policies.regionwise.budget=8",
    "policies.regionwise.batch_size=4",
    "policies.regionwise.pool_size=3",
    "policies.regionwise.batch=4",
    "policies.regionwise.sync_every=2",
    "policies.regionwise.width=4",
)


def keys() -> dict[str, dict[str, str]]:
    """`policy_key` of every policy and `method_key` of every method, for each preset and two seeds."""
    found = {}
    for name in preset_names():
        experiment = read_preset(name, name.rpartition("-")[2])
        methods = [*methods_of("all", experiment, {}), *methods_of("ablations", experiment, {})]
        found[name] = {
            f"policy {each} {seed}": experiment.policy_key(each, seed) for each in experiment.policies for seed in SEEDS
        }
        found[name] |= {
            f"method {each} {seed}": experiment.method_key(each, seed) for each in methods for seed in SEEDS
        }
    return found


def records(folder: Path) -> dict[str, bytes]:
    """Play the tiny run in a folder on one thread: the trajectory's JSON of each method, and the hashes of policies' weights."""
    experiment = tiny_experiment_of_pins(folder)
    run = Run(experiment=experiment, root=None, out=folder / "out", budgets=BUDGETS)
    methods = [Method.parse(text) for text in METHODS]
    with mock.patch.object(os, "cpu_count", return_value=1), _one_thread():
        for work in [*stage_works(experiment, "theta0"), *trajectory_works(experiment, methods, ["per-pool"], [1])]:
            perform(run, work, device="cpu", report=lambda done, text: None)
    found = {}
    for path in sorted((run.out / "trajectories").glob("*.json")):
        content = path.read_bytes()
        found[json.loads(content)["method"].replace(":", "-")] = content
    policies = {name: run.out / "cache" / f"policy-{experiment.policy_key(name, 0)}.safetensors" for name in POLICIES}
    hashes = {name: _hash_of_weights(path) for name, path in policies.items()}
    return {**found, "policies": json.dumps(hashes, indent=1).encode()}


def _hash_of_weights(path: Path) -> str:
    weights = from_bytes(path.read_bytes()).weights
    parts = [key.encode() + tensor.contiguous().numpy().tobytes() for key, tensor in sorted(weights.items())]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def tiny_experiment_of_pins(folder: Path) -> Experiment:
    """The tiny preset, with our policy as small."""
    folder.mkdir(parents=True, exist_ok=True)
    return read_preset(str(tiny_preset(folder)), "streets", OVERRIDES)


def arithmetic() -> str:
    """Which processor and torch compute here: a hash of what a convolution and its gradient give, to the last bit."""
    with _one_thread():
        generator = torch.Generator().manual_seed(0)
        layer = torch.nn.Conv2d(3, 16, 3, padding=1)
        weight = torch.randn(layer.weight.shape, generator=generator)
        inputs = torch.randn(4, 3, 48, 64, generator=generator)
        assert layer.bias is not None
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.zero_()
        layer(inputs).log_softmax(1).exp().square().sum().backward()
        assert layer.weight.grad is not None
        flat = layer.weight.grad.flatten()
        product = flat.outer(flat) @ torch.randn(len(flat), 64, generator=generator)
        values = torch.cat([flat, product.flatten(), inputs.exp().flatten()])
    return f"torch {torch.__version__}, {hashlib.sha256(_processor() + values.numpy().tobytes()).hexdigest()[:16]}"


def _processor() -> bytes:
    """What the system says of the first core, its speed left out: two kinds may agree here and round otherwise elsewhere."""
    listed = Path("/proc/cpuinfo")
    if not listed.exists():
        return platform.processor().encode()
    first = listed.read_text().partition("\n\n")[0].splitlines()
    return "\n".join(line for line in first if line.startswith(_TELLING)).encode()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    """Write what is computed now as what is pinned."""
    PINS.mkdir(exist_ok=True)
    (PINS / "keys.json").write_text(json.dumps(keys(), indent=1) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in records(Path(folder)).items():
            (PINS / f"{name}.json").write_bytes(content)
    (PINS / "arithmetic.txt").write_text(arithmetic() + "\n")


if __name__ == "__main__":
    main()
