"""Where a data set to import lies: a folder, a list, an archive, or a URL of one of these; brought to where it can be read."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.callbacks import Callback
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from service.progress import Progress
from workers.client.archives import RESERVE, stem_of, unpack
from workers.datasets.base import DatasetError
from workers.datasets.files import SUFFIXES, UNREAD, is_left_out
from workers.datasets.folder import ARRAYS, IMAGES, LABEL_SUFFIXES, LABELS

LIST = ".csv"
MOST_FILES = 1_000_000
# Pictures and label maps that are not read come too: they are named, and not passed over.
_COPIED = {*SUFFIXES, *UNREAD, *LABEL_SUFFIXES, *ARRAYS, ".json", ".txt", ".xml", LIST}
_AT_ONCE = 8
_MEGABYTE = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder, or a list of files, that can be opened. name: of the project; base, url: a folder, and the URL that it is at;
    left_out: files among the images and label maps there that were not copied, as by their names they are neither.
    """

    path: Path
    name: str
    base: Path | None = None
    url: str | None = None
    left_out: Sequence[Path] = ()

    def url_of(self, file: Path) -> str:
        """The URL of a file of the data set. Raises DatasetError where it lies at none."""
        if self.url is None or self.base is None:
            raise DatasetError(
                "Only what lies at a URL can be referenced, and not copied: --root s3://bucket/prefix, or file:///folder where "
                "the service sees the same folder."
            )
        return f"{self.url}/{file.relative_to(self.base).as_posix()}"


@contextmanager
def placed(root: Path | str) -> Iterator[Place]:
    """What lies at `root`, unpacked or copied to a folder that is removed afterwards where that is needed.

    Raises DatasetError for what is not there, cannot be unpacked, or cannot be copied.
    """
    with tempfile.TemporaryDirectory(prefix="regionwise-", ignore_cleanup_errors=True) as folder:
        if "://" in str(root):
            yield _at_url(str(root).rstrip("/"), Path(folder))
        else:
            yield _on_disk(Path(root), Path(folder))


def _on_disk(root: Path, folder: Path, url: str | None = None) -> Place:
    stem = stem_of(root.name)
    if stem is not None and not root.is_dir():
        if not root.is_file():
            raise DatasetError(f"There is no file {root}.")
        into = folder / "unpacked"
        into.mkdir()
        with Progress(f"Unpacking {root.name}", total=None, unit="MB") as progress:
            path = unpack(root, into, advance=_in_megabytes(progress))
        return Place(path=path, name=stem)
    if root.suffix.lower() == LIST and not root.is_dir():
        return Place(path=root, name=root.stem, base=root.parent, url=None if url is None else url.rpartition("/")[0])
    return Place(path=root, name=root.resolve().name, base=root, url=url)


def _at_url(url: str, folder: Path) -> Place:
    try:
        files, path = url_to_fs(url)
        if isinstance(files, LocalFileSystem):
            return _on_disk(Path(path), folder, url)
        if stem_of(path) is not None:
            archive = folder / PurePosixPath(path).name
            _copy(files, {path: archive}, {path: files.info(path).get("size")}, url)
            return _on_disk(archive, folder)
        listed = path.lower().endswith(LIST)
        above, above_url = (each.rpartition("/")[0] if listed else each for each in (path, url))
        copied = folder / "copied"
        copied.mkdir()
        left_out = _copy_tree(files, above, copied, above_url)
    except DatasetError:
        raise
    except ImportError as error:
        raise DatasetError(f"{url} cannot be read: {error}. For S3: pip install 'regionwise[s3]'.") from error
    except Exception as error:  # file systems of all kinds fail in their own ways
        raise DatasetError(f"{url} cannot be read: {error or type(error).__name__}.") from error
    name = PurePosixPath(path)
    return Place(
        path=copied / name.name if listed else copied,
        name=name.stem if listed else name.name or "data",
        base=copied,
        url=above_url,
        left_out=left_out,
    )


def _copy_tree(files: Any, path: str, into: Path, url: str) -> list[Path]:
    """Copy what may belong to a data set: images, label maps, JSON, text and lists; nothing hidden. Returns, by their places
    below the URL, what else lies among the images and label maps.
    """
    found = files.find(path, detail=True)
    targets, left_out = dict[str, Path](), list[Path]()
    for key in found:
        inside = PurePosixPath(key).relative_to(path)
        if ".." in inside.parts or "\\" in str(inside):
            raise DatasetError(f"{url} holds {key!a}, which leads outside.")
        if any(is_left_out(part) for part in inside.parts):
            continue
        if inside.suffix.lower() in _COPIED:
            targets[key] = into / inside
        elif inside.parts[0] in (IMAGES, LABELS):
            left_out.append(Path(inside))
    if not targets:
        raise DatasetError(f"There are no files of a data set under {url}.")
    if len(targets) > MOST_FILES:
        raise DatasetError(f"There are more than {MOST_FILES:,} files under {url}.")
    _copy(files, targets, {key: found[key].get("size") for key in targets}, url)
    return left_out


def _copy(files: Any, targets: dict[str, Path], sizes: dict[str, int | None], url: str) -> None:
    """Copy files, several at once; stops with the first that cannot be copied."""
    whole, room = sum(size or 0 for size in sizes.values()), shutil.disk_usage(tempfile.gettempdir()).free - RESERVE
    if whole > room:
        raise DatasetError(
            f"{url} holds {whole:,} bytes, and there is room for {max(0, room):,} in {tempfile.gettempdir()}: set TMPDIR to a "
            "larger disk."
        )
    for target in targets.values():
        target.parent.mkdir(parents=True, exist_ok=True)
    with (
        Progress(f"Copying {url}", total=max(whole / _MEGABYTE, 0.1), unit="MB") as progress,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        advance = _in_megabytes(progress)
        heard = {key: _Heard(advance) for key in targets}
        coming = {
            pool.submit(files.get_file, key, str(target), callback=heard[key]): key for key, target in targets.items()
        }
        try:
            for done in as_completed(coming):
                done.result()
                key = coming[done]
                advance(targets[key].stat().st_size - heard[key].bytes)  # not every file system tells of pieces
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Heard(Callback):  # type: ignore[misc]
    """Hears of a file's bytes as they come."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        super().__init__()
        self._advance, self.bytes = advance, 0

    def relative_update(self, inc: int = 1) -> None:
        self.bytes += inc
        self._advance(inc)


def _in_megabytes(progress: Progress) -> Callable[[int], None]:
    """Tells a progress of bytes in whole tenths of megabytes, so that it can be read."""
    held, lock = 0, threading.Lock()

    def advance(size: int) -> None:
        nonlocal held
        with lock:
            held += size
            progress.update(round(held / _MEGABYTE, 1))

    return advance
