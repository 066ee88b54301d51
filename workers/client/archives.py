"""Archives of data sets, unpacked without trust: nothing outside the folder, no links, no more than there is room for."""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from workers.datasets.base import DatasetError

SUFFIXES = (".tar.gz", ".tar.xz", ".tgz", ".tar", ".zip")
MOST_FILES = 1_000_000
MOST_BYTES = 1 << 40
# What is unpacked may be so many times as large as the archive, once it is larger than the second: images hardly shrink.
MOST_RATIO, LEAST_BYTES = 200, 1 << 30
RESERVE = 1 << 30  # bytes of the disk that stay free
_PIECE = 1 << 20
_MADE_BY_SYSTEMS = "__MACOSX"


def stem_of(path: str) -> str | None:
    """An archive's name without what says its kind; None for what is no archive by its name."""
    name = PurePosixPath(path).name
    suffix = next((each for each in SUFFIXES if name.lower().endswith(each)), None)
    return None if suffix is None else name[: -len(suffix)]


@dataclass(slots=True, kw_only=True)
class _Room:
    """What may be unpacked still."""

    bytes_left: int
    too_much: str  # what is said where that is not enough
    files_left: int
    advance: Callable[[int], None]
    taken: set[str] = field(default_factory=set)

    def place(self, name: str, into: Path) -> Path | None:
        """Where a file goes; None for what is left out. Raises DatasetError for one that leads outside, or is there already."""
        path = _inside(name)
        if _MADE_BY_SYSTEMS in path.parts or path == PurePosixPath():
            return None
        self.files_left -= 1
        if self.files_left < 0:
            raise DatasetError(f"It holds more than {MOST_FILES:,} files.")
        if path.as_posix() in self.taken:
            raise DatasetError(f"It holds {name!a} twice.")
        self.taken.add(path.as_posix())
        return into / path

    def copy(self, source: IO[bytes], target: Path) -> None:
        """Write a file, counting what comes and not what was announced."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while piece := source.read(_PIECE):
                self.bytes_left -= len(piece)
                if self.bytes_left < 0:
                    raise DatasetError(self.too_much)
                file.write(piece)
                self.advance(len(piece))


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0] or "\x00" in name:
        raise DatasetError(f"It holds {name!a}, which leads outside.")
    return path


def unpack(archive: Path, into: Path, *, advance: Callable[[int], None] = lambda size: None) -> Path:
    """Unpack an archive into an empty folder; returns the folder that holds the data set: `into`, or the only one in it.

    `advance` hears of bytes as they are written. Raises DatasetError for an archive that is damaged, encrypted or too large, or
    holds links, devices, or names that lead outside.
    """
    try:
        room = _room(archive, into, advance)
        if archive.name.lower().endswith(".zip"):
            _unzip(archive, into, room)
        else:
            _untar(archive, into, room)
    except DatasetError as error:
        raise DatasetError(f"{archive} cannot be unpacked: {error}") from error
    except Exception as error:  # decoders of untrusted bytes fail in more ways than they document
        said = str(error).rstrip(".") or "it breaks off"
        raise DatasetError(f"{archive} cannot be unpacked, and may be damaged: {said}.") from error
    return entered(into)


def entered(folder: Path) -> Path:
    """The only folder in a folder, where there is nothing else and it is no images/; else the folder itself."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and inside[0].name != "images" else folder


def _room(archive: Path, into: Path, advance: Callable[[int], None]) -> _Room:
    packed, free = archive.stat().st_size, shutil.disk_usage(into).free - RESERVE
    by_ratio = max(LEAST_BYTES, MOST_RATIO * packed)
    most = min(MOST_BYTES, by_ratio, max(0, free))
    if most == by_ratio:
        said = f"It grows to more than {MOST_RATIO} times its size: unpack it yourself if that is right, and give the folder."
    else:
        said = f"It holds more than the {most:,} bytes that there is room for in {into.parent}: set TMPDIR to a larger disk."
    return _Room(bytes_left=most, too_much=said, files_left=MOST_FILES, advance=advance)


def _unzip(archive: Path, into: Path, room: _Room) -> None:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DatasetError(f"It holds {info.filename!a}, which is a link or no file.")
            target = None if info.is_dir() else room.place(info.filename, into)
            if target is not None:
                with opened.open(info) as source:
                    room.copy(source, target)


def _untar(archive: Path, into: Path, room: _Room) -> None:
    with tarfile.open(archive, "r:*") as opened:
        for member in opened:
            _inside(member.name)  # of folders too; not by tarfile's own filter, which the first releases of 3.11 lack
            if not (member.isdir() or member.isreg()):
                raise DatasetError(f"It holds {member.name!a}, which is a link or no file.")
            target = None if member.isdir() else room.place(member.name, into)
            source = None if target is None else opened.extractfile(member)
            if target is not None and source is not None:
                room.copy(source, target)
