"""Whatever an import takes comes out of an export as it was: bytes, pixels, labels, and names by the manifest."""

import hashlib
import io
import json
import tempfile
import unicodedata
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service.domain.image_names import image_name
from service.domain.masks import decode_label_png, encode_label_png
from service.domain.usable import LABELLED_SPLITS
from service.store import images as store
from service.store.projects import get_project
from tests.corpus.cases import CLASSES, Case, Taken
from tests.corpus.doors import Doors, stem_of, write_folder
from tests.corpus.files import npy, png, saved
from tests.corpus.pictures import PICTURES
from workers.datasets.base import SPLITS

IDS = (0, 1, 255)
_WRITERS = (saved, npy, lambda ids: png(ids, 16), lambda ids: saved(ids, "TIFF"), lambda ids: saved(ids, "BMP"))


def _is_small(case: Case) -> bool:
    return isinstance(case.outcome, Taken) and not case.form and max(case.outcome.pixels["a.png"].shape) < 100


SMALL = [case for case in PICTURES if "a.png" in case.images and _is_small(case)]
_PART = st.text(st.sampled_from("aAbé\u0301ß \u5716.-_#%&1"), min_size=1, max_size=6)


def _is_a_name(name: str) -> bool:
    """Whether folders take it as an image's, and are no hidden ones."""
    parts = name.split("/")
    return all(part == part.strip() and part.strip(".") and not part.startswith(".") for part in parts) and not any(
        part.endswith(".") for part in parts
    )


NAMES = st.lists(_PART, min_size=1, max_size=2).map("/".join).filter(_is_a_name).map(lambda stem: f"{stem}.png")


@st.composite
def folders(draw: st.DrawFn) -> list[tuple[str, Case, str, NDArray[np.uint8] | None, int]]:
    """Of each image its name, what it is, its split, its label map as it is seen, and how that is written."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=stem_of))
    found = []
    for name in names:
        case = draw(st.sampled_from(SMALL))
        assert isinstance(case.outcome, Taken)
        size = case.outcome.pixels["a.png"].shape[:2]
        chance = np.random.default_rng(draw(st.integers(0, 9)))
        split = draw(st.sampled_from(SPLITS))
        labelled = split in LABELLED_SPLITS or draw(st.booleans())
        label = chance.choice(np.array(IDS, np.uint8), size) if labelled else None
        found.append((name, case, split, label, draw(st.integers(0, len(_WRITERS) - 1))))
    return found


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(folders(), st.integers(0, 3))
def test_what_an_import_takes_comes_out_of_the_export(
    doors: Doors, folder: list[tuple[str, Case, str, NDArray[np.uint8] | None, int]], left: int
) -> None:
    with tempfile.TemporaryDirectory(dir=doors.home) as place:
        root = Path(place) / f"run {Path(place).name}"
        suffixes = (".png", ".npy", ".png", ".tif", ".bmp")
        labels = {
            f"{stem_of(name)}{suffixes[how]}": _WRITERS[how](label)
            for name, _, _, label, how in folder
            if label is not None
        }
        files = {name: case.images["a.png"] for name, case, *_ in folder}
        write_folder(root, files, labels, {name: split for name, _, split, *_ in folder})
        project = doors.import_folder(root, settings={"cell_height": 8, "cell_width": 8, "max_held": 4096})
    _require_label_maps_of_splits(doors, project, folder)
    truth = _label(doors, project, left)
    _require_exported(doors, project, folder, truth)


def _require_label_maps_of_splits(doors: Doors, project: int, folder: list[Any]) -> None:
    """Of the pool none is kept: people give those."""
    with doors.database.read() as session:
        kept = {row.name: row for row in store.list_images(session, project, split=None, limit=99, after=0)}
    assert {name: row.split for name, row in kept.items()} == {image_name(name): split for name, _, split, *_ in folder}
    for name, _, split, label, _ in folder:
        row = kept[image_name(name)]
        assert (row.label_key is not None) == (label is not None and split != "pool")
        if row.label_key is not None:
            found = decode_label_png(doors.blobs.get(row.label_key), height=row.height, width=row.width)
            np.testing.assert_array_equal(found, label)


def _label(doors: Doors, project: int, left: int) -> dict[int, NDArray[np.int64]]:
    """Label all regions but the last `left` with noise: by image, the ids, or -1 where there is no label."""
    with doors.database.read() as session:
        row = get_project(session, project)
        pool = store.list_images(session, project, split="pool", limit=99, after=0)
    truth = {image.id: np.full((image.height, image.width), -1, np.int64) for image in pool}
    cells = sum(-(-image.height // 8) * -(-image.width // 8) for image in pool)
    if not pool:
        return truth
    doors.make.round_(row, pool, regions=cells)
    for region in doors.call("GET", "/next-regions", params={"project": project, "count": max(1, cells - left)})[
        "items"
    ]:
        box = np.s_[region["y"] : region["y"] + region["height"], region["x"] : region["x"] + region["width"]]
        mask = np.random.default_rng(region["id"]).choice(np.array(IDS, np.uint8), (region["height"], region["width"]))
        truth[region["image_id"]][box] = mask
        label = {"region_id": region["id"], "lease_token": region["lease_token"]}
        sent = {"labels": [{**label, "mask_png": b64encode(encode_label_png(mask)).decode()}]}
        doors.call("POST", "/labels", json=sent)
    return truth


def _require_exported(doors: Doors, project: int, folder: list[Any], truth: dict[int, NDArray[np.int64]]) -> None:
    sent = doors.http.get(f"/projects/{project}/export", params={"format": "png", "images": True})
    assert sent.status_code == 200, sent.text
    archive = zipfile.ZipFile(io.BytesIO(sent.content))
    entries = json.loads(archive.read("manifest.json"))["images"]
    whole = {image_name(name): case for name, case, *_ in folder}
    assert {each["image_id"] for each in entries} == {id for id, labels in truth.items() if (labels >= 0).any()}
    assert _distinct([each["name"] for each in entries])
    for entry in entries:
        case, labels = whole[entry["image"]], truth[entry["image_id"]]
        data, came = archive.read(entry["file"]), case.images["a.png"]
        assert entry["sha256"] == hashlib.sha256(came).hexdigest()
        assert doors.http.get(f"/images/{entry['image_id']}/file").content == came
        _require_picture(data, came, case, entry["reading"])
        np.testing.assert_array_equal(
            _values(archive, entry["label_map"]), np.where(labels < 0, CLASSES.ignore_id, labels)
        )
        np.testing.assert_array_equal(_values(archive, entry["labelled"]), np.where(labels < 0, 0, 255))


def _require_picture(data: bytes, came: bytes, case: Case, done: dict[str, Any]) -> None:
    """The bytes that came, or, where what is seen is not just these, its pixels."""
    assert isinstance(case.outcome, Taken)
    with Image.open(io.BytesIO(data)) as image:
        found, expected = np.asarray(image.convert("RGB")).astype(float), case.outcome.pixels["a.png"]
    assert np.abs(found - (expected if expected.ndim == 3 else expected[..., None])).max() <= case.outcome.within
    plain = not done and not any(word in case.title for word in ("TIFF", "BMP", "CMYK"))
    assert data == came or not plain


def _distinct(names: list[str]) -> bool:
    """On systems that know neither case nor composition."""
    return len({unicodedata.normalize("NFD", name).casefold() for name in names}) == len(names)


def _values(archive: zipfile.ZipFile, path: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(archive.read(path))) as image:
        return np.asarray(image)
