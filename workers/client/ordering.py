"""What an import is told, and what of it the service is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.domain.pages import PagesTaken
from workers.client.entries import Entry
from workers.datasets.base import SPLITS


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """How an import goes. root: a folder, a list, an archive, or the URL of one. name: of a new project, the root's where
    there is none; into: of one that is there, to add to.

    labels, label_reading, pages, classes: how own images are read; split, rest: how other tools' formats are; scale,
    background: how both are. pool_labels, replace: labels of the pool are sent too, also over others. dry_run: nothing is
    sent. reference: images stay where they are. skip_bad, keep_twins, strays, anyway: go on where files are bad, pictures are
    there twice, label maps match no image, or label maps look wrong.
    """

    dataset: str
    root: Path | str | None = None
    name: str | None = None
    into: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    splits: Sequence[str] = SPLITS
    labels: str = "{stem}"
    label_reading: str = ""
    scale: str | None = None
    background: str = "255,255,255"
    pages: PagesTaken | None = None
    classes: Path | None = None
    split: str = ""
    rest: str = ""
    pool_labels: bool = False
    replace: bool = False
    reference: bool = False
    dry_run: bool = False
    skip_bad: bool = False
    keep_twins: bool = False
    strays: bool = False
    anyway: bool = False
    most_ignored: float = 0.5

    def sends_as_is(self, entry: Entry) -> bool:
        """Whether an entry's label map is sent as it is; those of other data sets, and of pages, come as class ids."""
        return self.dataset == "folder" and entry.reading.page is None

    def form(self, entry: Entry) -> dict[str, str]:
        """What the service is told of how an entry's files are read."""
        said = {"background": self.background}
        if self.scale:
            said["scale"] = self.scale
        if entry.reading.page is not None:
            said["page"] = str(entry.reading.page)
        if self.label_reading and self.sends_as_is(entry):
            said["label_reading"] = self.label_reading
        return said
