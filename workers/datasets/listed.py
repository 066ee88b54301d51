"""Anybody's images by a list of files: a CSV with a line for each image, its label map, and its split."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workers.datasets.base import SOURCE, SPLITS, Dataset, DatasetError
from workers.datasets.files import SUFFIXES
from workers.datasets.folder import LABEL_SUFFIXES, FolderReading, read_classes, split_files
from workers.datasets.stacks import Pair

COLUMNS = ("image", "label", "split")
HOLDS = "a line for each image under the heading image,label,split; label and split may be empty, or left out"
_MOST_SAID = 20
_DELIMITERS = ",;\t"


@dataclass(slots=True, kw_only=True)
class _List:
    """What was read of a list so far, and what is wrong with it, by line."""

    folder: Path
    pairs: list[Pair] = field(default_factory=list)
    splits: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unsplit: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _lines: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, line: int, row: dict[str, str]) -> None:
        """Take a line of the list; what is wrong with it is added to `wrong`."""
        image = self._file(line, row, "image", tuple(sorted(SUFFIXES)))
        label = self._file(line, row, "label", LABEL_SUFFIXES) if row.get("label") else None
        split = row.get("split", "")
        if split and split not in (*SPLITS, SOURCE):
            self.wrong.append(f"line {line}: there is no split {split}, but {', '.join(SPLITS)} and {SOURCE}")
        if image is None:
            return
        name = PurePosixPath(image).with_suffix("").as_posix()
        if self._is_new(line, "image", image) and self._is_new(line, "image named", name):
            self.pairs.append((name, self.folder / image, None if label is None else self.folder / label))
            (self.splits[split] if split else self.unsplit).append(name)
        if label is not None:
            self._is_new(line, "label map", label)

    def _file(self, line: int, row: dict[str, str], column: str, suffixes: tuple[str, ...]) -> str | None:
        """The path in a column, below the list's folder; None, with what is wrong, where it is none."""
        path = PurePosixPath(row.get(column, "").replace("\\", "/"))
        if path == PurePosixPath():
            self.wrong.append(f"line {line} names no {column}")
        elif path.is_absolute() or ".." in path.parts:
            self.wrong.append(f"line {line}: {path} leads out of the list's folder; paths go from there")
        elif path.suffix.lower() not in suffixes:
            self.wrong.append(f"line {line}: {path} is no {column}; those end in {', '.join(suffixes)}")
        elif not (self.folder / path).is_file():
            self.wrong.append(f"line {line}: there is no file {path}")
        else:
            return path.as_posix()
        return None

    def _is_new(self, line: int, what: str, value: str) -> bool:
        first = self._lines.setdefault((what, value), line)
        if first != line:
            self.wrong.append(f"line {line}: the {what} {value} is in line {first} already")
        return first == line


def open_list(
    path: Path, *, seed: int = 0, reading: FolderReading | None = None, classes: Path | None = None
) -> Dataset:
    """The images that a CSV lists, called by their paths in it, which go from its folder; classes.json lies beside it.

    Images without a split are the pool where others have one; where none has, splits are drawn by `seed`. Raises DatasetError
    that says, with numbers of lines, all that is wrong with the list.
    """
    known = read_classes(classes or path.with_name("classes.json"))
    found = _List(folder=path.parent)
    for line, row in _rows(path, found.wrong):
        found.add(line, row)
    if found.wrong:
        more = f"; and {len(found.wrong) - _MOST_SAID} more" if len(found.wrong) > _MOST_SAID else ""
        raise DatasetError(f"The list {path} cannot be taken: {'; '.join(found.wrong[:_MOST_SAID])}{more}.")
    if not found.pairs:
        raise DatasetError(f"The list {path} names no image; it should hold {HOLDS}.")
    wanted = dict(found.splits) or None
    if wanted is not None and found.unsplit:
        wanted["pool"] = [*wanted.get("pool", []), *found.unsplit]
    how = reading or FolderReading()
    return split_files(path.stem, found.pairs, known, how=how, wanted=wanted, seed=seed, place=path)


def _rows(path: Path, wrong: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a list, numbered as they are in the file; what is wrong with its heading is added to `wrong`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}, which should hold {HOLDS}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list {path} cannot be read as text in UTF-8: {error}.") from error
    lines = text.splitlines(keepends=True)
    heading = lines[0] if lines else ""
    delimiter = next((each for each in _DELIMITERS if each in heading), ",")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        unknown = [column for column in columns if column not in COLUMNS]
        if unknown or len(set(columns)) < len(columns) or "image" not in columns:
            wrong.append(
                f"its heading is {', '.join(columns) or 'empty'}; columns are image, label and split, each once"
            )
            return
        for fields in reader:
            if len(fields) > len(columns):
                wrong.append(f"line {reader.line_num} has {len(fields)} fields, and there are {len(columns)} columns")
            elif any(each.strip() for each in fields):
                yield reader.line_num, dict(zip(columns, (each.strip() for each in fields), strict=False))
    except csv.Error as error:
        wrong.append(f"line {reader.line_num} is no line of a CSV ({error})")
