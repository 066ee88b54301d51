"""Whether a folder holds what was played on the data at hand, seen by a digest of all their files."""

import hashlib
import json
from pathlib import Path

from workers.datasets.files import files_below
from workers.files import write_atomically
from workers.report.data.reading import played_on
from workers.runs.works import Run

_OF_A_FOLDER = ("images", "labels", "classes.json", "splits.json")
# What runs and reports write into `out`.
_OF_A_RUN = frozenset(
    {"cache", "figures", "policies", "scalars", "tensorboard", "trajectories"}
    | {"data.json", "headroom.json", "report.html", "report.md", "results.csv"}
)


def digest_of(run: Run) -> str:
    """A digest of what is played on, wherever it lies: names of files, and what they hold, but for what the run writes there."""
    root, out, whole = run.root or Path(), run.out.resolve(), hashlib.sha256()
    same, within = root.resolve() == out, root.resolve().is_relative_to(out)
    for path in sorted(files_below(root)):
        inner = path.relative_to(root)
        if (same and inner.parts[0] in _OF_A_RUN) or (not within and path.resolve().is_relative_to(out)):
            continue
        if run.experiment.dataset == "folder" and inner.parts[0] not in _OF_A_FOLDER:
            continue
        with path.open("rb") as file:
            whole.update(json.dumps([inner.as_posix(), hashlib.file_digest(file, "sha256").hexdigest()]).encode())
    return whole.hexdigest()


def require_the_same(out: Path, data: str) -> None:
    """Raises ValueError where works in this folder were done on other data: settings alone do not tell folders apart."""
    if played_on(out) not in (data, None):
        raise ValueError(
            f"{out} holds what was played on other images, label maps, splits or classes: give this run another --out."
        )


def keep(out: Path, data: str) -> None:
    """Put away which data the works in this folder are done on."""
    write_atomically(out / "data.json", json.dumps({"data": data}).encode())
