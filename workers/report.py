"""Tables and the figure of a simulation: mIoU by budget, mean and std over seeds."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from service.domain.metrics import area_under_curve
from workers.resume import write_atomically
from workers.runner import Plan

Records = Sequence[dict[str, Any]]


def write_report(records: Records, plan: Plan, out: Path) -> str:
    """results.csv (a row per strategy, seed and budget), results.md and results.png; returns the Markdown."""
    markdown = _markdown(records, plan)
    write_atomically(out / "results.csv", _csv(records).encode())
    write_atomically(out / "results.md", markdown.encode())
    _plot(records, plan, out / "results.png")
    return markdown


def curves(records: Records) -> dict[str, dict[int, list[float]]]:
    """strategy -> budget -> test mIoU of every seed, in [0, 1]."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for budget, measured in record["budgets"].items():
            found[record["strategy"]][int(budget)].append(measured["miou"])
    return {strategy: dict(sorted(by_budget.items())) for strategy, by_budget in found.items()}


def _csv(records: Records) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(
        [
            "dataset",
            "strategy",
            "seed",
            "budget",
            "regions",
            "pixels",
            "miou",
            "class_entropy",
            "epochs",
            "iou_per_class",
        ]
    )
    for record in records:
        for budget, each in sorted(record["budgets"].items(), key=lambda item: int(item[0])):
            ious = " ".join("" if iou is None else f"{iou:.6f}" for iou in each["iou_per_class"])
            writer.writerow(
                [
                    record["dataset"],
                    record["strategy"],
                    record["seed"],
                    budget,
                    each["regions"],
                    each["pixels"],
                    f"{each['miou']:.6f}",
                    f"{each['class_entropy']:.6f}",
                    each["epochs"],
                    ious,
                ]
            )
    return file.getvalue()


def _markdown(records: Records, plan: Plan) -> str:
    found = curves(records)
    lines = [
        f"# {plan.experiment.dataset}: test mIoU (%) by labelled regions",
        "",
        f"Mean and standard deviation over {len(plan.seeds)} seeds; entropy is that of the selected pixels' classes, in nats, "
        "at the last budget; the area under the curve is taken over the budgets.",
        "",
        "| strategy | " + " | ".join(f"{budget}" for budget in plan.budgets) + " | area | class entropy |",
        "|---" * (len(plan.budgets) + 3) + "|",
    ]
    for strategy in plan.strategies:
        by_budget = found[strategy]
        cells = [_mean_std(by_budget[budget]) if budget in by_budget else "-" for budget in plan.budgets]
        means = [float(np.mean(by_budget[budget])) for budget in plan.budgets if budget in by_budget]
        area = f"{100 * area_under_curve(plan.budgets, means):.2f}" if len(means) == len(plan.budgets) > 1 else "-"
        entropy = _entropies(records, strategy, plan.budgets[-1])
        lines.append(f"| {strategy} | {' | '.join(cells)} | {area} | {entropy} |")
    return "\n".join([*lines, ""])


def _mean_std(values: Sequence[float]) -> str:
    spread = f" ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{spread}"


def _entropies(records: Records, strategy: str, budget: int) -> str:
    chosen = [
        r["budgets"][str(budget)]["class_entropy"]
        for r in records
        if r["strategy"] == strategy and str(budget) in r["budgets"]
    ]
    return f"{np.mean(chosen):.3f}" if chosen else "-"


def _plot(records: Records, plan: Plan, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for strategy, by_budget in curves(records).items():
        budgets = list(by_budget)
        means = np.array([100 * np.mean(values) for values in by_budget.values()])
        spread = np.array([100 * np.std(values, ddof=1) if len(values) > 1 else 0.0 for values in by_budget.values()])
        (line,) = axes.plot(budgets, means, marker="o", label=strategy)
        axes.fill_between(budgets, means - spread, means + spread, alpha=0.15, color=line.get_color())
    axes.set_xlabel("labelled regions")
    axes.set_ylabel("test mIoU, %")
    axes.set_xticks(plan.budgets)
    axes.set_title(f"{plan.experiment.dataset}, {len(plan.seeds)} seeds: mean and standard deviation")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    image = io.BytesIO()
    figure.savefig(image, dpi=150, format="png")
    plt.close(figure)
    write_atomically(path, image.getvalue())
