"""Names of files in an archive: unlike each other on every file system, and close to the names that images came with."""

import re
import unicodedata
from pathlib import PurePosixPath

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file; the raised digits count as digits there.
_NUMBERED = {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | _NUMBERED
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_LONGEST = 150  # bytes in UTF-8, which leaves room for what formats append; file systems end at 255


class ArchiveNames:
    """Gives each image a name without suffix that no other has, also where case and Unicode's composition are ignored.

    The name that an image gets follows from the images before it alone.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str, number: int) -> str:
        """The name for an image called `name`: safe, and with `number` after it where another has taken it already."""
        stem = safe_stem(name)
        chosen, turn = stem, 1
        while _key(chosen) in self._taken:
            chosen = f"{stem}-{number}" if turn == 1 else f"{stem}-{number}-{turn}"
            turn += 1
        self._taken.add(_key(chosen))
        return chosen


def safe_stem(name: str) -> str:
    """A file's name without its suffix, as Windows, macOS and Linux take it: no reserved name or character, no dot at an end.

    Folders in it are part of the name.
    """
    path = PurePosixPath(name)
    stem = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", "/".join((*path.parent.parts, path.stem))))
    stem = stem.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore").strip(" ").rstrip(". ")
    if not stem:
        return "image"
    # A leading dot hides a file, and lists of names take a leading # for a comment.
    if stem[0] in ".#":
        stem = f"_{stem[1:]}"
    return f"_{stem}" if stem.partition(".")[0].rstrip().casefold() in _RESERVED else stem


def _key(stem: str) -> str:
    """The same for names that some file system takes for one: caseless matching, Unicode 3.13, D145."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", stem).casefold())
