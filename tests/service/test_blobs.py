"""Blobs: whole or not at all, never changed, never outside their folder."""

from pathlib import Path

import pytest

from service.blobs import Blobs


@pytest.fixture(params=["file", "memory", "s3"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Blobs on a disk, on another file system of fsspec's, and in S3."""
    if request.param == "s3":
        return Blobs(request.getfixturevalue("s3_url"))
    return Blobs(tmp_path.as_uri() if request.param == "file" else f"memory://{tmp_path.name}")


def test_what_is_put_is_got(anywhere: Blobs) -> None:
    assert not anywhere.exists("a/b.bin")
    anywhere.put("a/b.bin", b"one")
    assert (anywhere.get("a/b.bin"), anywhere.exists("a/b.bin")) == (b"one", True)
    anywhere.delete("a/b.bin")
    anywhere.delete("a/b.bin")
    with pytest.raises(FileNotFoundError):
        anywhere.get("a/b.bin")


def test_a_blob_is_never_changed(anywhere: Blobs) -> None:
    anywhere.put("a", b"one")
    anywhere.put("a", b"two")
    assert anywhere.get("a") == b"one"


def test_the_same_content_has_the_same_key(anywhere: Blobs) -> None:
    key = anywhere.put_content("images", b"x", ".png")
    assert key == "images/2d/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.png"
    assert anywhere.put_content("images", b"x", ".png") == key
    assert anywhere.put_content("images", b"y", ".png") != key


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a b", "a\x00", "a\n"])
def test_no_key_leads_outside(anywhere: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="blob key"):
        anywhere.put(key, b"")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(tmp_path.as_uri())

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        blobs.put("a/b", b"one")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
