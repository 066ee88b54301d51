"""Images that are read in windows: divided at the door, the same pixels as the whole, and never silently others."""

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image as Picture
from starlette.testclient import TestClient

from service.db import Database
from service.domain.regions import Box
from service.pictures import PictureError
from service.settings import Settings
from service.store import images as store
from service.tables import Project
from service.windows import keyed
from service.windows.opening import opened
from tests.maker import Maker

HEIGHT, WIDTH = 2150, 700
Write = Callable[[Path, NDArray[Any]], str]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """An image of more than a million pixels is a large one."""
    return settings.model_copy(
        update={"reference_prefixes": (f"file://{tmp_path}/lab",), "max_image_pixels": 1_000_000}
    )


@pytest.fixture(autouse=True)
def own_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has opened the next does not find."""
    monkeypatch.setattr(keyed, "READERS", keyed.OpenReaders())
    monkeypatch.setattr("service.large_images.READERS", keyed.READERS)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def tiff(folder: Path, values: NDArray[Any], **how: Any) -> str:
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / "a.tif", values, **{"bigtiff": True, "tile": (128, 256), **how})
    return f"file://{folder}/a.tif"


def ome_zarr(folder: Path, values: NDArray[Any], *, new: bool = False, axes: str = "cyx") -> str:
    group = zarr.open_group(folder / "a.ome.zarr", mode="w", zarr_format=3 if new else 2)
    group.create_array("0", shape=values.shape, chunks=(1,) * (values.ndim - 2) + (128, 256), dtype=values.dtype)[
        ...
    ] = values
    scales = [{"axes": [{"name": each} for each in axes], "datasets": [{"path": "0"}]}]
    group.attrs.update({"ome": {"version": "0.5", "multiscales": scales}} if new else {"multiscales": scales})
    return f"file://{folder}/a.ome.zarr"


WRITERS: dict[str, Write] = {
    "deflate": lambda folder, rgb: tiff(folder, rgb, photometric="rgb", compression="deflate", predictor=True),
    "strips": lambda folder, rgb: tiff(folder, rgb, photometric="rgb", tile=None, rowsperstrip=16),
    "zarr 0.4": lambda folder, rgb: ome_zarr(folder, rgb.transpose(2, 0, 1)),
    "zarr 0.5": lambda folder, rgb: ome_zarr(folder, rgb.transpose(2, 0, 1), new=True),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_box_is_what_it_is_of_the_whole(kind: str, tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    reader = opened(WRITERS[kind](tmp_path / "lab", pixels), None)
    assert reader.size == (HEIGHT, WIDTH)
    for box in (Box(row=0, col=0, height=1, width=1), Box(row=100, col=200, height=700, width=500)):
        np.testing.assert_array_equal(reader.read(box), pixels[box.slices])


def test_jpeg_tiles_are_decoded_as_the_librarys_own_reader_does(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    url = tiff(tmp_path / "lab", pixels, photometric="ycbcr", compression="jpeg")
    box = Box(row=100, col=200, height=700, width=500)
    np.testing.assert_array_equal(opened(url, None).read(box), tifffile.imread(tmp_path / "lab/a.tif")[box.slices])


def refer(client: TestClient, url: str, **form: Any) -> Any:
    return client.post(
        "/projects/1/images/references", data={"split": "pool", "name": ["slide.tif"], "url": [url], **form}
    )


@pytest.mark.parametrize("kind", ["deflate", "zarr 0.4"])
def test_an_image_comes_as_windows_and_people_see_parts_of_it(
    kind: str, admin: TestClient, make: Maker, database: Database, tmp_path: Path, pixels: NDArray[np.uint8]
) -> None:
    make.project(cell_height=200, cell_width=300)
    url = WRITERS[kind](tmp_path / "lab", pixels)
    response = refer(admin, url)
    assert response.status_code == 201, response.text
    images = [each["image"] for each in response.json()["items"]]
    # 2,150 rows are ten regions of 200 and less than an eighth of that more.
    assert [(each["name"], each["height"], each["width"]) for each in images] == [
        ("slide/000000-000000.png", HEIGHT, WIDTH)
    ]
    assert images[0]["reading"] == {"window": [0, 0, HEIGHT, WIDTH]}
    assert not (tmp_path / "blobs").exists()
    with Picture.open(io.BytesIO(admin.get(images[0]["url"]).content)) as seen:
        np.testing.assert_array_equal(np.asarray(seen), pixels)
    with database.read() as session:
        image, project = store.get_image(session, 1), session.get_one(Project, 1)
    region = make.round_(project, [image], regions=8)[-1]
    with Picture.open(io.BytesIO(admin.get(f"/regions/{region.id}/context?margin=50").content)) as seen:
        rows, cols = (
            slice(max(0, at - 50), at + side + 50)
            for at, side in ((region.row, region.height), (region.col, region.width))
        )
        np.testing.assert_array_equal(np.asarray(seen), pixels[rows, cols])
    assert refer(admin, url).status_code == 200


def test_windows_are_told_apart_and_named_by_where_they_are(
    admin: TestClient, make: Maker, tmp_path: Path, pixels: NDArray[np.uint8]
) -> None:
    make.project(cell_height=1000, cell_width=300)
    tall = np.concatenate([pixels, pixels])
    items = refer(admin, WRITERS["deflate"](tmp_path / "lab", tall)).json()["items"]
    images = [each["image"] for each in items]
    assert [each["name"] for each in images] == [f"slide/{row:06}-000000.png" for row in (0, 2000, 4000)]
    assert len({each["sha256"] for each in images}) == 3
    with Picture.open(io.BytesIO(admin.get(images[1]["url"]).content)) as seen:
        np.testing.assert_array_equal(np.asarray(seen), tall[2000:4000])


def test_deep_pixels_are_scaled_alike_in_all_windows(admin: TestClient, make: Maker, tmp_path: Path) -> None:
    make.project()
    deep = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) % 4096
    url = tiff(tmp_path / "lab", deep)
    for scale in ("", "minmax"):
        assert refer(admin, url, scale=scale).json()["error"]["code"] == "needs_scale"
    image = refer(admin, url, scale="bits:12").json()["items"][0]["image"]
    assert image["reading"]["scale"] == "bits:12"
    with Picture.open(io.BytesIO(admin.get(image["url"]).content)) as seen:
        np.testing.assert_array_equal(np.asarray(seen)[..., 1], np.rint(deep / 4095 * 255).astype(np.uint8))


def test_another_image_in_its_place_and_a_lost_one_are_errors(
    admin: TestClient, make: Maker, tmp_path: Path, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    make.project()
    refer(admin, WRITERS["deflate"](tmp_path / "lab", pixels))
    WRITERS["deflate"](tmp_path / "lab", 255 - pixels)
    monkeypatch.setattr(keyed, "READERS", keyed.OpenReaders())
    assert admin.get("/images/1/file").json()["error"]["code"] == "reference_changed"
    (tmp_path / "lab/a.tif").unlink()
    monkeypatch.setattr(keyed, "READERS", keyed.OpenReaders())
    answer = admin.get("/images/1/file")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "reference_lost")
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    ("values", "how", "code"),
    [
        (np.zeros((1200, 1200, 4), np.uint8), {"photometric": "rgb"}, "wrong_mode"),
        (np.zeros((2, 1200, 1200), np.uint8), {"photometric": "minisblack"}, "several_pages"),
        (np.zeros((9000, 9000), np.uint8), {"tile": None, "rowsperstrip": 9000}, "too_large"),
    ],
)
def test_what_cannot_be_read_in_windows_is_refused_and_nothing_is_added(
    values: NDArray[Any], how: dict[str, Any], code: str, admin: TestClient, make: Maker, tmp_path: Path
) -> None:
    make.project()
    response = refer(admin, tiff(tmp_path / "lab", values, **how))
    assert (response.status_code // 100, response.json()["error"]["code"]) == (4, code)
    assert "slide.tif" in response.json()["error"]["message"]
    assert admin.get("/projects/1/images").json()["items"] == []


def test_a_folder_that_is_no_zarr_is_refused(admin: TestClient, make: Maker, tmp_path: Path) -> None:
    make.project()
    (tmp_path / "lab/b.zarr").mkdir(parents=True)
    response = refer(admin, f"file://{tmp_path}/lab/b.zarr")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "not_an_image")


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(PictureError, match=r"regionwise\[large\]"):
        opened("file:///lab/a.tif", None)
