"""Run folders as the simulation writes them, with figures that grow as real ones do."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workers.report.analysis.paper_claims import CAMVID_BUDGETS

CLASSES = ["Sky", "Building", "Pole", "Road", "Pedestrian"]
THETA_0, FULL = 0.30, 0.56
GAINS = {"learned:regionwise": 0.0016, "learned:paper": 0.0012, "entropy": 0.0013, "random": 0.0009, "bald": 0.0011}


def measured(regions: int, miou: float, entropy: float, classes: int = 5, **changes: Any) -> dict[str, Any]:
    """What a trajectory holds at a budget."""
    return {
        "regions": regions,
        "pixels": regions * 1152,
        "clicks": regions * 21,
        "miou": miou,
        "iou_per_class": [max(0.0, miou + 0.1 * (2 - n)) for n in range(classes - 1)] + [None],
        "class_counts": [100] * classes,
        "class_entropy": entropy,
        "epochs": 12,
        **changes,
    }


def trajectory(method: str, seed: int, mious: Mapping[int, float], **changes: Any) -> dict[str, Any]:
    """A trajectory of these mIoU by budget."""
    return {
        "dataset": "camvid",
        "preset": "lite-camvid",
        "method": method,
        "protocol": "per-pool",
        "seed": seed,
        "group": "main",
        "experiment": {"batch_size": 24, "cell_height": 36, "cell_width": 32, "policy": {"episodes": 10}},
        "budgets": {str(budget): measured(budget, miou, 1.5 + 0.1 * seed) for budget, miou in mious.items()},
        "rounds": [],
        **changes,
    }


def headroom(**changes: Any) -> dict[str, Any]:
    """What a run knows of theta_0 and full supervision."""
    labels = {"regions": 240, "pixels": 276_480, "clicks": 5040}
    return {
        "dataset": "camvid",
        "preset": "lite-camvid",
        "classes": CLASSES,
        "theta_0": {"miou": [THETA_0, THETA_0], "iou_per_class": [0.3, 0.3, 0.3, 0.3, None]},
        "full": {
            "miou": [FULL - 0.01, FULL + 0.01],
            "iou_per_class": [[0.5, 0.6, 0.7, 0.5, None], [0.7, 0.6, 0.5, 0.5, 0.4]],
            "regions": 6168,
            "pixels": 7_105_536,
            "clicks": 129_528,
        },
        "labels": {"train": labels, "reward": labels, "state": labels},
        "std": 0.01,
        "informative": True,
        **changes,
    }


def write_run(folder: Path, trajectories: Sequence[Mapping[str, Any]], **files: Mapping[str, Any]) -> Path:
    """A run folder: trajectories, and other files by name without .json."""
    (folder / "trajectories").mkdir(parents=True)
    for n, each in enumerate(trajectories):
        (folder / "trajectories" / f"{n}.json").write_text(json.dumps(each))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def play(
    dataset: str, methods: Sequence[str], seeds: Sequence[int], budgets: Sequence[int], **changes: Any
) -> list[dict[str, Any]]:
    """Trajectories that rise from theta_0 towards full supervision, each method at its own rate, each seed with its luck."""
    played = []
    for method in methods:
        for seed in seeds:
            luck = np.random.default_rng([seed, len(method), len(dataset)]).normal(0, 0.004, size=len(budgets))
            gain = GAINS.get(method, 0.00085)
            mious = {
                b: THETA_0 + (FULL - THETA_0) * (1 - float(np.exp(-gain * b))) + float(e)
                for b, e in zip(budgets, luck, strict=True)
            }
            each = trajectory(method, seed, mious, dataset=dataset, preset=f"lite-{dataset}", **changes)
            for n, at in enumerate(each["budgets"].values()):
                at["class_entropy"] = 1.4 + 300 * gain + 0.01 * n + 0.02 * seed
            played.append(each)
    return played


def flat(levels: Mapping[str, float], bumps: Mapping[tuple[str, int], float] | None = None) -> list[dict[str, Any]]:
    """Three seeds of each method at the paper's budgets, flat at its level but where bumped, with noise that seeds share."""
    return [
        trajectory(m, s, {b: level + 0.001 * s + (bumps or {}).get((m, b), 0.0) for b in CAMVID_BUDGETS})
        for m, level in levels.items()
        for s in range(3)
    ]
