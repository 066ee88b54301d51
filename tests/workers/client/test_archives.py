"""Archives: unpacked as a folder is, and refused where they would do harm, with nothing outside and nothing left."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.client import archives
from workers.client.archives import stem_of, unpack
from workers.datasets.base import DatasetError

FILES = {
    "cells/images/a.png": b"a",
    "cells/images/deep/b.png": b"bb",
    "cells/classes.json": b"{}",
    "__MACOSX/._a": b"x",
}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    kind = {".gz": "gz", ".tgz": "gz", ".xz": "xz"}.get(path.suffix, "")
    with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return path


def made(path: Path, files: dict[str, bytes]) -> Path:
    return zipped(path, files) if path.suffix == ".zip" else tarred(path, files)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary" / "unpacked"
    folder.mkdir(parents=True)
    return folder


def inside(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", archives.SUFFIXES)
def test_every_kind_is_unpacked_and_its_only_folder_entered(tmp_path: Path, into: Path, suffix: str) -> None:
    heard: list[int] = []
    found = unpack(made(tmp_path / f"cells{suffix}", FILES), into, advance=heard.append)
    assert found == into / "cells"
    assert inside(found) == {"images/a.png": b"a", "images/deep/b.png": b"bb", "classes.json": b"{}"}
    assert sum(heard) == 5


def test_a_folder_beside_others_and_one_of_images_are_not_entered(tmp_path: Path, into: Path) -> None:
    files = {"images/a.png": b"a"}
    assert unpack(zipped(tmp_path / "a.zip", files), into) == into
    other = into.with_name("other")
    other.mkdir()
    assert unpack(zipped(tmp_path / "b.zip", {**files, "classes.json": b""}), other) == other


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/out.png", "..\\out.png", "C:/out.png"])
def test_nothing_leads_outside(tmp_path: Path, into: Path, suffix: str, name: str) -> None:
    with pytest.raises(DatasetError, match=r"cannot be unpacked"):
        unpack(made(tmp_path / f"bad{suffix}", {"ok.png": b"", name: b"harm"}), into)
    assert [path for path in tmp_path.rglob("*") if path.name == "out.png"] == []
    assert not Path("/out.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
@pytest.mark.parametrize("target", ["ok.png", "/etc/passwd"])
def test_links_and_devices_of_a_tar_are_refused(tmp_path: Path, into: Path, kind: bytes, target: str) -> None:
    info = tarfile.TarInfo("link.png")
    info.type, info.linkname = kind, target
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        unpack(tarred(tmp_path / "bad.tar", {"ok.png": b""}, info), into)
    assert not (into / "link.png").exists()


def test_links_of_a_zip_are_refused(tmp_path: Path, into: Path) -> None:
    info = zipfile.ZipInfo("link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DatasetError, match=r"holds 'link\.png', which is a link"):
        unpack(tmp_path / "bad.zip", into)


@pytest.mark.parametrize("suffix", archives.SUFFIXES)
def test_what_is_damaged_or_cut_short_is_a_sentence(tmp_path: Path, into: Path, suffix: str) -> None:
    path = made(tmp_path / f"a{suffix}", {f"{n}.png": bytes(range(256)) * 40 for n in range(20)})
    path.write_bytes(path.read_bytes()[:-700] if suffix == ".zip" else path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DatasetError, match="cannot be unpacked, and may be damaged"):
        unpack(path, into)
    (tmp_path / f"b{suffix}").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="cannot be unpacked, and may be damaged"):
        unpack(tmp_path / f"b{suffix}", into)


@pytest.mark.parametrize("suffix", [".zip", ".tar.xz"])
def test_what_grows_beyond_measure_is_stopped(
    tmp_path: Path, into: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = made(tmp_path / f"bomb{suffix}", {"a.npy": bytes(30 << 20)})
    monkeypatch.setattr(archives, "LEAST_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MOST_RATIO", 20)
    with pytest.raises(DatasetError, match="grows to more than 20 times its size: unpack it yourself"):
        unpack(bomb, into)
    assert sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) <= 2 << 20


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda patch: patch.setattr(archives, "MOST_BYTES", 3), "more than the 3 bytes that there is room for"),
        (lambda patch: patch.setattr(archives, "MOST_FILES", 1), "more than 1 files"),
        (lambda patch: patch.setattr(archives, "RESERVE", 1 << 60), "more than the 0 bytes that there is room for"),
    ],
)
def test_more_than_there_is_room_for_is_refused(
    tmp_path: Path, into: Path, suffix: str, spoil: Callable[[pytest.MonkeyPatch], None], message: str
) -> None:
    archive = made(tmp_path / f"a{suffix}", {"a.png": b"aa", "b.png": b"bb"})
    with pytest.MonkeyPatch.context() as patch:
        spoil(patch)
        with pytest.raises(DatasetError, match=message):
            unpack(archive, into)


def test_one_name_twice_is_refused(tmp_path: Path, into: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("a.png"))
    with pytest.raises(DatasetError, match=r"holds 'a\.png' twice"):
        unpack(tmp_path / "a.tar", into)


def test_stems() -> None:
    assert [stem_of(path) for path in ("a/b.c.tar.gz", "B.TGZ", "x.zip", "x.tar.bz2", "x")] == [
        "b.c",
        "B",
        "x",
        None,
        None,
    ]
