"""Whether works can be done with the images and label maps at hand, seen before any of them begins."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from models.strategies import build_strategy
from service.domain.classes import IGNORE
from service.domain.label_doubts import SAY_HOW, Census
from service.domain.methods import Method
from service.domain.metrics import class_counts
from service.domain.usable import LONGEST_RATIO, UselessImage, require_usable
from workers.datasets.base import SPLITS, Dataset, DatasetError, FileWrong, ImageSource
from workers.datasets.formats import FORMATS
from workers.experiments.settings import Experiment
from workers.experiments.stages import no_split
from workers.files import settings_hash, write_atomically
from workers.runs import same_data
from workers.runs.works import Run, Work

# Whose label maps nobody has looked at yet.
OWN = ("folder", *FORMATS)
_NAMED = 5  # of several images or files in a sentence


def require_sound(
    run: Run, dataset: Dataset, works: Sequence[Work], *, most_ignored: float, anyway: bool, console: Console
) -> None:
    """Raises ValueError where a split is missing or empty, an image that is played on has no label map, an image or a label
    map cannot be read, an image is too small, label maps look wrong, which `anyway` lets pass, or `out` holds what was played on
    other data. Images and label maps are decoded once for each `out`.
    """
    filled, there = splits_of(run.experiment, works)
    for split in SPLITS:
        if split in filled | there:
            require_split(dataset, split, filled=split in filled)
    if run.experiment.dataset not in OWN or not filled:
        return
    data = same_data.digest_of(run)
    same_data.require_the_same(run.out, data)
    seen = run.out / "cache" / f"labels-{_key(run, data, filled | there)}.json"
    if not seen.exists():
        _look_through(dataset, filled | there, most_ignored=most_ignored, anyway=anyway, console=console)
        write_atomically(seen, b"{}")
    same_data.keep(run.out, data)


def _look_through(dataset: Dataset, splits: set[str], *, most_ignored: float, anyway: bool, console: Console) -> None:
    found = _Files(dataset, console)
    found.require_readable(splits)
    doubts = [*found.census.missing_classes(), *found.census.too_much_ignored(most_ignored)]
    if doubts and not anyway:
        raise ValueError(f"{' '.join(doubts)} {SAY_HOW}")
    notes = [found.elongated(), found.untested() if {"pool", "test"} <= splits else ""]
    for note in filter(None, notes):
        console.print(f"[yellow]Note:[/] {escape(note)}", highlight=False)


def require_split(dataset: Dataset, split: str, *, filled: bool) -> None:
    """Raises ValueError where there is no such split, or, if it should be `filled`, no image in it."""
    if split not in dataset.splits:
        raise ValueError(no_split(dataset, split))
    if filled and not len(dataset.splits[split]):
        raise ValueError(
            f"The split `{split}` of {dataset.name} has no image, and this run needs some: list them in splits.json, or take "
            "that file away to have splits drawn."
        )


def splits_of(experiment: Experiment, works: Sequence[Work]) -> tuple[set[str], set[str]]:
    """The splits in which works need images, and those that only have to be there."""
    stages = {work.stage for work in works}
    filled, there = set[str](), set[str]()
    if stages & {"theta0", "full", "headroom", "trajectory"}:
        filled |= {*experiment.known_splits}
        if experiment.learning == "pass" and experiment.theta0 == "dt":
            filled |= {"train"}
    if stages & {"full", "headroom", "trajectory"}:
        filled |= {"pool", "test"}
    if "clicks" in stages:
        filled |= {"pool"}
    if "trajectory" in stages:
        there |= {"state", "reward"}
    for work in works:
        if work.stage == "trajectory":
            filled |= _looked_at(experiment, work.method)
        if work.stage == "policy" and not (policy := experiment.policy(work.name)).ready:
            filled |= {"train", "reward"}
            (there if policy.in_turn else filled).add("state")
    return filled, there - filled


def _looked_at(experiment: Experiment, method: Method) -> set[str]:
    """The splits that a method chooses by, beside the pool: with no image in them it would choose at random."""
    if not method.is_plain:
        return set() if experiment.policy(method.policy).in_turn else {"state"}
    strategy = build_strategy(method.name)
    return {"reward"} if strategy.needs_gains or "influence" in strategy.vectors else set()


class _Files:
    """Which images of a data set no network could look at, and what all label maps hold."""

    def __init__(self, dataset: Dataset, console: Console) -> None:
        self.census = Census(dataset.classes)
        self._bare = defaultdict[str, list[str]](list)
        self._pixels_C = {split: np.zeros(len(dataset.classes), np.int64) for split in SPLITS}
        self._wrong = defaultdict[str, list[Path]](list)
        self._elongated = list[str]()
        self._images = {split: len(source) for split, source in dataset.splits.items()}
        places = [(split, number) for split in SPLITS for number in range(len(dataset.splits.get(split, ())))]
        for split, number in track(places, "Reading images and label maps", console=console, transient=True):
            source = dataset.splits[split]
            try:
                if _is_elongated(source, number):
                    self._elongated.append(source.name(number))
                label_map_HW = source.label_map(number)
            except LookupError:
                self._bare[split].append(source.name(number))
                continue
            except FileWrong as error:
                path, why = error.args
                self._wrong[why].append(path)
                continue
            except DatasetError as error:
                self._wrong[str(error)] = []
                continue
            counts_C = class_counts(label_map_HW, len(dataset.classes))
            self.census.add(counts_C, int((label_map_HW == IGNORE).sum()))
            self._pixels_C[split] += counts_C

    def require_readable(self, splits: set[str]) -> None:
        """Raises ValueError for files that cannot be read, and for label maps that are missing or void in these splits."""
        if self._wrong:
            said = [_of_files(sorted(paths), why) for why, paths in self._wrong.items()]
            raise ValueError(f"{' '.join(said[:_NAMED])}{_and_more(said)}")
        for split, names in self._bare.items():
            if split in splits:
                raise ValueError(
                    f"{len(names)} of the {self._images[split]} images of the split `{split}` have no label map: "
                    f"{', '.join(names[:_NAMED])}"
                    f"{_and_more(names)}. A simulation asks label maps in place of people: put them beside the others, or take "
                    "these images out. Where splits are drawn, images without one are the pool."
                )
        for split in ("test", "pool"):
            if split in splits and not self._pixels_C[split].any():
                raise ValueError(f"No label map of the split `{split}` has a labelled pixel. {SAY_HOW}")

    def elongated(self) -> str:
        """A sentence where images are played on here that no service takes, else nothing."""
        if not self._elongated:
            return ""
        named = f"{', '.join(self._elongated[:_NAMED])}{_and_more(self._elongated)}"
        return (
            f"The longer side is more than {LONGEST_RATIO} times the shorter one of {named}: a simulation plays on such images, "
            "and the service refuses them. Cut them into parts where they are to be labelled."
        )

    def untested(self) -> str:
        """A sentence where the pool has classes that `test` has not, else nothing."""
        only = (self._pixels_C["pool"] > 0) & (self._pixels_C["test"] == 0)
        names = [each.name for each, missing in zip(self.census.classes.classes, only, strict=True) if missing]
        if not names:
            return ""
        return (
            f"The pool holds {', '.join(names)}, and no label map of the split `test` does: mIoU says nothing of what is learned "
            "of that, and counts it as 0 where a pixel is taken for it. Splits that share classes out compare methods better."
        )


def _is_elongated(source: ImageSource, number: int) -> bool:
    """Whether no service takes an image for its ratio. Raises DatasetError for one that cannot be read, or is too small for every
    encoder.
    """
    height, width = source.image(number).shape[:2]
    try:
        require_usable(height, width, "", labelled=True)
    except UselessImage as error:
        if error.code == "too_small":
            raise DatasetError(f"Of the image {source.name(number)}: {error.message}") from error
        return True
    return False


def _of_files(paths: Sequence[Path], why: str) -> str:
    """What is wrong with files: the first with its folder, others by their names."""
    named = [str(path if n == 0 else path.name) for n, path in enumerate(paths[:_NAMED])]
    return f"{', '.join(named)}{_and_more(paths)}: {why}" if paths else why


def _and_more(things: Sequence[object]) -> str:
    return f", and {len(things) - _NAMED} more" if len(things) > _NAMED else ""


def _key(run: Run, data: str, splits: set[str]) -> str:
    settings = run.experiment.model_dump(mode="json", include={"dataset", "reading"})
    return settings_hash([settings, data, sorted(splits)])
