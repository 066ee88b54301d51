"""What methods can differ in: theta_0 below, full supervision above, and how far seeds spread."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models.fit import Example
from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from service.domain.metrics import class_counts, iou_per_class, mean_iou
from workers.chance import derived_seed
from workers.datasets.base import ImageSource, Joined
from workers.experiments.clicks import clicks_of_split, region_grids
from workers.experiments.settings import Experiment
from workers.experiments.stages import Bench, fit_head, state_beside, theta_0, train_and_keep
from workers.files import settings_hash, write_atomically
from workers.loop.labelled import example_of
from workers.training.building import with_fresh_head
from workers.training.convergence import Material, measure

# The pool is informative where full supervision lies this many std above theta_0.
INFORMATIVE_STD = 5.0

Record = dict[str, Any]


def full_supervision(bench: Bench, seed: int) -> Record:
    """mIoU and IoU per class on test of theta_0 trained to convergence on every region of D_V, and of D_T where it knows it."""
    path = bench.cache / f"full-{_full_key(bench, seed)}.json"
    if path.exists():
        kept: Record = json.loads(path.read_text())
        return kept
    splits = ["pool"] if bench.experiment.theta0 == "source" else ["train", "pool"]
    segmenter = theta_0(bench, 0)
    if isinstance(segmenter, FrozenSegmenter):
        splits = [*bench.experiment.known_splits, "pool"]
        bench.report(0.0, f"full supervision, seed {seed}")
        segmenter = with_fresh_head(segmenter, derived_seed(seed, "full"))
        known, long = (
            [bench.split(name) for name in splits],
            bench.experiment.long_fit(bench.experiment.refit.full_steps),
        )
        segmenter = fit_head(bench, segmenter, known=known, seed=derived_seed(seed, "full"), settings=long)
        found = _tested(bench, segmenter)
        write_atomically(path, json.dumps(found).encode())
        return found
    train_and_keep(
        bench,
        segmenter,
        Material(source=Joined([bench.split(name) for name in splits]), examples=_region_examples(bench, splits)),
        score=bench.split("reward"),
        settings=bench.experiment.converge,
        seed=derived_seed(seed, "full"),
        path=path,
        name=f"full supervision, seed {seed}",
    )
    found = _tested(bench, segmenter)
    write_atomically(path, json.dumps(found).encode())
    state_beside(path).clear()
    return found


def headroom(bench: Bench, seeds: Sequence[int], out: Path) -> Record:
    """The record of docs/metrics.md, "Headroom", written to out/headroom.json."""
    start = _tested(bench, theta_0(bench, 0))
    full = [full_supervision(bench, seed) for seed in seeds]
    labels = {
        split: found
        for split in ("train", "reward", "state", "pool")
        if split in bench.dataset.splits and (found := _labels(bench, split)) is not None
    }
    mious = [each["miou"] for each in full]
    spreads = [stdev(values) for values in (mious, random_mious(bench, out)) if len(values) > 1]
    std = max(spreads) if spreads else None
    gain = mean(mious) - start["miou"]
    record = {
        "dataset": bench.experiment.dataset,
        "preset": bench.experiment.name,
        **{
            name: getattr(bench.experiment, name) for name in ("theta0", "cell_height", "cell_width", "height", "width")
        },
        "classes": list(bench.dataset.classes.names),
        "theta_0": {"miou": [start["miou"]], "iou_per_class": start["iou_per_class"]},
        "full": {"miou": mious, "iou_per_class": [each["iou_per_class"] for each in full], **labels["pool"]},
        "labels": labels,
        "std": std,
        "informative": None if std is None else gain > 0 and gain >= INFORMATIVE_STD * std,
    }
    write_atomically(out / "headroom.json", json.dumps(record, indent=1).encode())
    return record


def headroom_table(record: Record) -> str:
    """The record for people: a table, and a sentence where the pool cannot tell methods apart."""
    start, full, std = record["theta_0"]["miou"][0], mean(record["full"]["miou"]), record["std"]
    rows = [("theta_0", start, record["theta_0"]["iou_per_class"])]
    rows += [
        (f"full supervision, seed {seed}", miou, record["full"]["iou_per_class"][seed])
        for seed, miou in enumerate(record["full"]["miou"])
    ]
    classes = " | ".join(name.replace("|", "\\|") for name in record["classes"])
    lines = [f"| | mIoU | {classes} |", "|---|---" + "|---" * len(record["classes"]) + "|"]
    lines += [f"| {name} | {_percent(miou)} | {' | '.join(map(_percent, ious))} |" for name, miou, ious in rows]
    spread = "unknown, of one seed" if std is None else f"{100 * std:.2f} points"
    lines += ["", f"Headroom {100 * (full - start):.2f} points, std from seed to seed {spread}."]
    if record["informative"] is False:
        little = f"less than {INFORMATIVE_STD:g} std" if full > start else "not above it at all"
        lines.append(
            f"uninformative: full supervision lies {100 * (full - start):.2f} points above theta_0, "
            f"{little}; this pool cannot tell methods apart."
        )
    lines += ["", "| labels | regions | pixels | clicks |", "|---|---|---|---|"]
    lines += [f"| {name} | {e['regions']} | {e['pixels']} | {e['clicks']} |" for name, e in record["labels"].items()]
    return "\n".join(lines)


def random_mious(bench: Bench, out: Path) -> list[float]:
    """mIoU of this experiment's `random` trajectories, one for each seed, at the last budget that all of them reached."""
    found = []
    for path in sorted((out / "trajectories").glob("*.json")):
        record = json.loads(path.read_text())
        if record["method"] == "random" and record["group"] == "main" and _same(record["experiment"], bench.experiment):
            found.append({int(budget): entry["miou"] for budget, entry in record["budgets"].items()})
    shared = set.intersection(*(set(each) for each in found)) if found else set()
    return [each[max(shared)] for each in found] if shared else []


def _same(recorded: Record, experiment: Experiment) -> bool:
    """Whether a record's settings, perhaps of an earlier version with fewer, are the experiment's but for its policies."""
    try:
        return Experiment.model_validate(recorded).model_copy(update={"policies": experiment.policies}) == experiment
    except ValidationError:
        return False


def _tested(bench: Bench, segmenter: Segmenter) -> Record:
    confusion = measure(segmenter, bench.split("test"), classes=bench.classes)
    per_class = [None if np.isnan(value) else float(value) for value in iou_per_class(confusion)]
    return {"miou": mean_iou(confusion), "iou_per_class": per_class}


def _region_examples(bench: Bench, splits: Sequence[str]) -> list[Example]:
    """Every region of the splits' images, numbered as their Joined source numbers them."""
    grids = [grid for split in splits for grid in region_grids(bench, split)]
    return [example_of(number, grid.box(cell)) for number, grid in enumerate(grids) for cell in grid.cells.tolist()]


def _labels(bench: Bench, split: str) -> Record | None:
    """What a split's labels cost: all its regions, their labelled pixels, and the clicks that draw them. None where an image has
    no label map.
    """
    try:
        pixels = int(_class_counts(bench.split(split), bench.classes).sum())
    except LookupError:
        return None
    regions = sum(grid.cells.size for grid in region_grids(bench, split))
    return {"regions": regions, "pixels": pixels, "clicks": clicks_of_split(bench, split).total}


def _class_counts(source: ImageSource, classes: int) -> NDArray[np.int64]:
    counts = [class_counts(source.label_map(number), classes) for number in range(len(source))]
    return np.sum(counts, axis=0, dtype=np.int64) if counts else np.zeros(classes, np.int64)


def _full_key(bench: Bench, seed: int) -> str:
    each = bench.experiment
    settings = (each.refit if each.learning == "refit" else each.converge).model_dump(mode="json")
    return settings_hash(["full", each.key("theta0", 0), settings, each.cell_height, each.cell_width, seed])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
