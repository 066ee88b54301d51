"""One's own exports go in again, in every format, label by label."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.masks import decode_label_png
from service.schemas.export import ExportFormat
from service.store.pool import latest_labels
from service.tables import Event, Image, Label, Region
from tests.maker import Maker
from tests.service.labelled import AWKWARD, NOTHING, Labelled, make_labelled, manifest, unpacked
from workers.datasets import open_dataset
from workers.datasets.base import DatasetError, behind
from workers.datasets.formats import Annotated

FORMATS = [None, *get_args(ExportFormat)]
Run = Callable[..., int | None]


@pytest.fixture
def world(make: Maker, admin: TestClient) -> Labelled:
    return make_labelled(make, admin, classes=AWKWARD)


def export(admin: TestClient, world: Labelled, to: Path, format: str | None, **params: Any) -> Path:
    return unpacked(admin, world.project, to, **({} if format is None else {"format": format}), **params)


def kept(database: Database, project: int) -> dict[tuple[str, int], np.ndarray]:
    """The newest label maps of a project's regions."""
    with database.read() as session:
        chosen = latest_labels(select(Image.name, Region.cell, Region.height, Region.width, Label.mask))
        rows = session.execute(chosen.join(Image, Region.image_id == Image.id).where(Region.project_id == project))
        return {(name, cell): decode_label_png(mask, height=h, width=w) for name, cell, h, w, mask in rows}


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_exported_is_read_to_the_pixel(
    world: Labelled, admin: TestClient, tmp_path: Path, format: str | None
) -> None:
    folder = export(admin, world, tmp_path, format, predictions=True)
    dataset = open_dataset("regionwise", folder)
    assert dataset.classes == world.classes
    names = {image.name: image.id for image in world.images}
    pool, found = dataset.splits["pool"], 0
    for number in range(len(pool)):
        source, own = behind(pool, number)
        assert isinstance(source, Annotated)
        labels = world.labels[names[source.file_name(own)]]
        if (labels == NOTHING).all():
            with pytest.raises(LookupError):
                source.drawn(own)
            continue
        drawn, found = source.drawn(own), found + 1
        np.testing.assert_array_equal(drawn.labelled_HW, labels != NOTHING)
        ids = world.classes.to_ids(drawn.indices_HW)
        np.testing.assert_array_equal(ids[drawn.labelled_HW], labels[labels != NOTHING])
    assert found == 3


@pytest.mark.parametrize("format", FORMATS)
def test_into_the_same_project_all_is_unchanged(
    run: Run, world: Labelled, admin: TestClient, tmp_path: Path, format: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(admin, world, tmp_path, format)  # without its images, which are there
    assert run(folder, dataset="regionwise", into="My streets") == 1
    assert "Regions of the pool: 7 unchanged." in capsys.readouterr().out.replace("\n", " ")


def test_an_export_goes_in_as_it_was_written(
    run: Run, world: Labelled, admin: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "mine.zip"
    archive.write_bytes(admin.get("/projects/1/export", params={"format": "cvat"}).content)
    assert run(archive, dataset="regionwise", into="My streets") == 1
    assert "Regions of the pool: 7 unchanged." in capsys.readouterr().out.replace("\n", " ")


def test_a_pixel_that_was_changed_is_a_new_version_of_its_region_alone(
    run: Run, world: Labelled, admin: TestClient, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = export(admin, world, tmp_path, "png")
    before = kept(database, 1)
    path = folder / manifest(folder)["images"][0]["label_map"]
    with Picture.open(path) as picture:
        picture.load()
    wanted = 7 if picture.getpixel((159, 179)) != 7 else 200
    picture.putpixel((159, 179), wanted)
    picture.save(path)
    run(folder, dataset="regionwise", into="My streets")
    assert "1 differs, 6 unchanged" in capsys.readouterr().out.replace("\n", " ")
    run(folder, dataset="regionwise", into="My streets", replace=True)
    after = kept(database, 1)
    changed = [key for key in before if not np.array_equal(before[key], after[key])]
    assert changed == [("a.png", 3)]
    assert after["a.png", 3][-1, -1] == wanted
    with database.read() as session:
        assert sorted(session.scalars(select(Label.version))) == [1] * 7 + [2] * 7 + [3]


@pytest.mark.parametrize("format", ["png", "coco", "cityscapes"])
def test_into_a_new_project_the_same_regions_are_labelled_and_it_is_known_by_whom(
    run: Run, world: Labelled, admin: TestClient, database: Database, tmp_path: Path, format: str
) -> None:
    folder = export(admin, world, tmp_path, format, images=True)
    assert run(folder, dataset="regionwise", name="again", anyway=True) == 2
    one, two = kept(database, 1), kept(database, 2)
    assert one.keys() == two.keys()
    for key, mask in one.items():
        np.testing.assert_array_equal(mask, two[key])
    with database.read() as session:
        events = session.scalars(select(Event).where(Event.project_id == 2, Event.kind == "region_labelled")).all()
    assert {each.detail["imported"]["annotator"] for each in events} == {"ada"}
    assert {each.detail["imported"]["version"] for each in events} == {2}
    assert len(events) == 7
    assert run(folder, dataset="regionwise", into="again", anyway=True) == 2
    assert kept(database, 2).keys() == two.keys()


def test_one_picture_under_two_names_comes_back_with_the_labels_of_both(
    run: Run, world: Labelled, admin: TestClient, database: Database, tmp_path: Path
) -> None:
    folder = export(admin, world, tmp_path, "png", images=True)
    file = {each["image"]: folder / each["file"] for each in manifest(folder)["images"]}
    file["a-2.png"].write_bytes(file["a.png"].read_bytes())
    run(folder, dataset="regionwise", name="again", anyway=True)
    assert kept(database, 2).keys() == kept(database, 1).keys()


def test_without_images_there_is_no_new_project(run: Run, world: Labelled, admin: TestClient, tmp_path: Path) -> None:
    folder = export(admin, world, tmp_path, "png")
    for dry_run in (True, False):
        with pytest.raises(DatasetError, match=r"lacks 3 images that did not come with the export, .* --images"):
            run(folder, dataset="regionwise", name="again", anyway=True, dry_run=dry_run)
    assert [each["name"] for each in admin.get("/projects").json()["items"]] == ["My streets"]
    with pytest.raises(DatasetError, match=r"There is no file .*manifest\.json"):
        run(tmp_path.parent, dataset="regionwise")


def test_a_manifest_that_leads_outside_is_refused(world: Labelled, admin: TestClient, tmp_path: Path) -> None:
    folder = export(admin, world, tmp_path / "export", "png")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("label_maps/a.png", "../../../etc/passwd"))
    dataset = open_dataset("regionwise", folder)
    with pytest.raises(DatasetError, match="which is outside of the folder"):
        dataset.splits["pool"].label_map(0)
    (folder / "manifest.json").write_text('{"classes": [], "images": [{}]}')
    with pytest.raises(DatasetError, match="is not what an export says of itself"):
        open_dataset("regionwise", folder)
