"""What a project that an import adds to has already: its images by name, and by the picture that each is."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from service.client import Client
from service.domain.image_names import image_name
from workers.client.entries import Entry
from workers.datasets.base import DatasetError


def picture_of(sha256: str, page: int | None) -> str:
    """What a picture is known by: the SHA-256 of its file, and its page there."""
    return f"{sha256} {page}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An image of the project. labelled: it came with a label map."""

    name: str
    split: str
    sha256: str
    picture: str
    labelled: bool

    @property
    def title(self) -> str:
        """Its split and name, as they are told beside those of a data set."""
        return f"{self.split}/{self.name} of the project"


class KnownImages:
    """The images of a project; none of one that is not made yet."""

    def __init__(self, images: Sequence[Known] = ()) -> None:
        self._named = {each.name: each for each in images}
        self._pictures: dict[str, list[Known]] = defaultdict(list)
        for each in images:
            self._pictures[each.picture].append(each)

    def named(self, name: str) -> Known | None:
        """That of a name, which may be any that a file has."""
        try:
            return self._named.get(image_name(name))
        except ValueError:
            return None

    def of_picture(self, picture: str | None) -> list[Known]:
        """Those that are this picture."""
        return [] if picture is None else self._pictures.get(picture, [])

    def placed(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries in the splits that images of their names have there already: splits may have been drawn anew.

        Raises DatasetError where the project has an image under the name that an earlier version gave to a file.
        """
        known = [self.named(each.name) for each in entries]
        self._require_own_names([each.name for each in entries])
        return [
            each if there is None else replace(each, split=there.split)
            for each, there in zip(entries, known, strict=True)
        ]

    def require_same(self, entry: Entry, picture: str | None, *, labelled: bool) -> None:
        """Raises DatasetError where the project has an image of the entry's name that is another picture, or has no label map and
        would get one: no service takes it.
        """
        there = self.named(entry.name)
        if there is None or picture is None:
            return
        instead = "delete that image first (`regionwise images delete`)"
        if there.picture != picture:
            raise DatasetError(f"The project has another picture of this name: rename the file, or {instead}.")
        if labelled and entry.labelled and entry.original is None and not there.labelled:
            raise DatasetError(f"The project has it without a label map, which cannot come later: {instead}.")

    def _require_own_names(self, names: Sequence[str]) -> None:
        """Earlier versions sent PNGs that they made of the files; those that are files here are what they are called."""
        here = {there.name for name in names if (there := self.named(name)) is not None}
        new = [(str(PurePosixPath(name).with_suffix(".png")), name) for name in names if self.named(name) is None]
        both = [(there.name, name) for made, name in new if (there := self.named(made)) and there.name not in here]
        if both:
            raise DatasetError(
                f"The project has {both[0][0]}, which an earlier version of regionwise may have made of {both[0][1]}, and "
                f"{len(both)} like it: make a new project of this folder, or add the files that are new alone."
            )


def known_images(client: Client, project: int) -> KnownImages:
    """The images of a project, by its number."""
    return KnownImages(
        [
            Known(
                name=each["name"],
                split=each["split"],
                sha256=each["sha256"],
                picture=picture_of(each["sha256"], each["reading"].get("page")),
                labelled=each["has_label_map"],
            )
            for each in client.pages(f"/projects/{project}/images")
        ]
    )
