"""results.csv: a row for each data set, method, protocol, seed and budget."""

import csv
import io
from collections.abc import Sequence

from workers.report.data.records import Study

COLUMNS = (
    *("dataset", "preset", "group", "method", "protocol", "seed", "budget", "regions", "pixels", "clicks"),
    *("miou", "class_entropy", "epochs", "iou_per_class"),
)


def results_csv(studies: Sequence[Study]) -> str:
    """mIoU and IoU in [0, 1], IoU of the classes with blanks between them; empty where nothing was recorded."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for study in studies:
        for each in sorted(study.trajectories, key=lambda t: (t.group, t.method, t.protocol, t.seed)):
            for budget, measured in each.budgets.items():
                cost = measured.cost
                ious = " ".join("-" if iou is None else f"{iou:.6f}" for iou in measured.iou_C)
                entropy = "" if measured.class_entropy is None else f"{measured.class_entropy:.6f}"
                writer.writerow(
                    [
                        *(each.dataset, each.preset, each.group, each.method, each.protocol, each.seed, budget),
                        *(f"{cost.regions:.0f}" if cost.regions is not None else "", cost.pixels, cost.clicks),
                        *(f"{measured.miou:.6f}", entropy, measured.epochs, ious),
                    ]
                )
    return file.getvalue()
