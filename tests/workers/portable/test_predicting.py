"""Label maps of files: what the service predicts, under safe names, and nothing overwritten unasked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from models.frozen import FrozenSegmenter
from models.segmenter import Segmenter
from service.domain.classes import ClassSet, LabelClass
from service.domain.masks import decode_png
from service.domain.readings import Reading
from service.settings import get_settings
from tests.maker import Maker
from tests.workers.conftest import Rectangles
from tests.workers.portable.segmenters import KINDS, segmenter_of
from workers.client.sending import encode_rgb
from workers.portable import predicting
from workers.portable.opening import open_model
from workers.portable.predicting import planned, predict
from workers.training.checkpoints import CheckpointError, from_bytes, save_segmenter, to_bytes
from workers.training.convergence import predicted_label_map

# Ids that are no indices.
CLASSES = ClassSet(
    classes=(
        LabelClass(id=7, name="ground", color=(90, 90, 90)),
        LabelClass(id=1, name="box", color=(220, 40, 40)),
        LabelClass(id=40, name="pole", color=(40, 40, 220)),
    ),
    ignore_id=0,
)


def model_file(folder: Path, segmenter: Segmenter) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "7.safetensors"
    path.write_bytes(save_segmenter(segmenter, CLASSES))
    return path


def run(images: list[Path], tmp_path: Path, **settings: Any) -> int:
    model = model_file(tmp_path / "checkpoints", segmenter_of("fpn"))
    return predict(
        images,
        **{
            "model": model,
            "to": tmp_path / "out",
            "classes": None,
            "reading": Reading(),
            "overwrite": False,
            **settings,
        },
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images, one in a folder within."""
    folder = tmp_path / "images"
    (folder / "night").mkdir(parents=True)
    (folder / "a.png").write_bytes(Maker.picture(24, 40))
    (folder / "night" / "b.jpg").write_bytes(Maker.picture(24, 40, format="JPEG"))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_the_service_s_to_the_pixel(kind: str, tmp_path: Path) -> None:
    segmenter, source = segmenter_of(kind), Rectangles(2, size=(61, 90))
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(encode_rgb(source.image(number)))
    run([tmp_path / "0.png", tmp_path / "1.png"], tmp_path, model=model_file(tmp_path / kind, segmenter))
    for number in range(2):
        found = decode_png((tmp_path / "out" / f"{number}.png").read_bytes(), max_pixels=10**6)
        np.testing.assert_array_equal(found, CLASSES.to_ids(predicted_label_map(segmenter, source, number)))
        assert len(np.unique(found)) > 1


def test_a_label_map_is_an_8_bit_png_in_the_classes_colours(folder: Path, tmp_path: Path) -> None:
    assert run([folder / "a.png"], tmp_path) == 1
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert (picture.mode, picture.size) == ("P", (40, 24))
        palette = picture.getpalette() or []
    assert palette[3 * 40 : 3 * 41] == [40, 40, 220]


def test_images_of_a_folder_keep_their_paths_there_and_earlier_predictions_are_no_images(folder: Path) -> None:
    works = planned([folder], folder / "out", overwrite=False)
    assert [work.label_map.relative_to(folder / "out").as_posix() for work in works] == ["a.png", "night/b.png"]
    (folder / "out").mkdir()
    (folder / "out" / "c.png").write_bytes(Maker.picture(24, 40))
    assert planned([folder], folder / "out", overwrite=True) == works


def test_nothing_is_overwritten_unasked(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    kept = tmp_path / "out" / "a.png"
    kept.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"a\.png is there already.*--overwrite"):
        run([folder], tmp_path)
    assert (kept.read_bytes(), list(kept.parent.iterdir())) == (b"mine", [kept])
    monkeypatch.setattr(predicting, "planned", lambda images, to, overwrite: planned(images, to, overwrite=True))
    with pytest.raises(ValueError, match="1 of 2 images"):  # it came after they were looked through
        run([folder], tmp_path)
    assert kept.read_bytes() == b"mine"
    assert run([folder], tmp_path, overwrite=True) == 2
    assert kept.read_bytes() != b"mine"


def test_an_image_is_never_overwritten(folder: Path) -> None:
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"a\.png is one of the images: name another folder"):
            planned([folder / "a.png"], folder, overwrite=overwrite)


def test_two_images_do_not_become_one_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "A.jpg").write_bytes(Maker.picture(24, 40, format="JPEG"))
    with pytest.raises(ValueError, match=r"Both .*a\.png and .*A\.jpg would become"):
        planned([folder / "a.png", tmp_path / "A.jpg"], tmp_path / "out", overwrite=True)


def test_a_folder_that_leads_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "night").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="is a link that leaves"):
        planned([folder], tmp_path / "out", overwrite=True)


def test_images_that_cannot_be_predicted_are_named_and_the_others_are_predicted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "large.png").write_bytes(Maker.picture(50, 50))
    (folder / "small.png").write_bytes(Maker.picture(4, 40))
    monkeypatch.setenv("REGIONWISE_MAX_IMAGE_PIXELS", "2000")
    get_settings.cache_clear()
    try:
        with pytest.raises(ValueError, match="3 of 5 images could not be predicted"):
            run([folder], tmp_path)
    finally:
        get_settings.cache_clear()
    said = capsys.readouterr().err
    assert "broken.png: It is not a PNG, JPEG, WebP, TIFF or BMP image" in said
    assert "large.png: It is 50 high and 50 wide; 2,000 pixels is the limit." in said
    assert "small.png: Images of at least 8 x 8 pixels are needed" in said
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")}
    assert written == {"a.png", "night/b.png"}


def test_images_are_read_as_the_service_reads_them(tmp_path: Path) -> None:
    source, deep = Rectangles(1, size=(40, 64)), tmp_path / "deep.png"
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned clockwise
    stored = Image.fromarray(np.rot90(source.image(0)).copy())
    stored.save(tmp_path / "turned.png", exif=turned)
    Image.fromarray(source.image(0)[..., 0].astype(np.uint16) * 257).save(deep)
    segmenter = segmenter_of("fpn")
    run([tmp_path / "turned.png"], tmp_path)
    found = decode_png((tmp_path / "out" / "turned.png").read_bytes(), max_pixels=10**6)
    np.testing.assert_array_equal(found, CLASSES.to_ids(predicted_label_map(segmenter, source, 0)))
    with pytest.raises(ValueError, match="1 of 1 images could not be predicted"):
        run([deep], tmp_path)
    assert run([deep], tmp_path, reading=Reading(scale="bits:16")) == 1


def test_what_an_image_looked_like_is_forgotten(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter, looks = segmenter_of("frozen"), []
    look = FrozenSegmenter.look

    def counted(self: FrozenSegmenter, images: Tensor) -> Tensor:
        looks.append(images.shape)
        return look(self, images)

    monkeypatch.setattr(FrozenSegmenter, "look", counted)
    (tmp_path / "copy.png").write_bytes((folder / "a.png").read_bytes())
    run([folder / "a.png", tmp_path / "copy.png"], tmp_path, model=model_file(tmp_path / "frozen", segmenter))
    assert len(looks) == 2  # one that was kept would not be looked at again


def test_images_that_are_not_there_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no image or folder"):
        planned([tmp_path / "none.png"], tmp_path / "out", overwrite=False)
    with pytest.raises(ValueError, match="There are no images in"):
        planned([tmp_path], tmp_path / "out", overwrite=False)


def test_what_is_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no model .*none: `regionwise export-model` writes one"):
        open_model(tmp_path / "none")
    with pytest.raises(ValueError, match=r"holds no model\.safetensors"):
        open_model(tmp_path)
    with pytest.raises(ValueError, match=r"model\.onnx is for other programs; give its folder"):
        open_model(tmp_path / "model.onnx")
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="is not a checkpoint of regionwise"):
        open_model(tmp_path)


def test_a_checkpoint_that_does_not_say_its_classes_ids_needs_them(tmp_path: Path) -> None:
    path = model_file(tmp_path, segmenter_of("fpn"))
    loaded = from_bytes(path.read_bytes())
    del loaded.description["class_set"]
    path.write_bytes(to_bytes(loaded.description, loaded.weights))
    with pytest.raises(CheckpointError, match="names its classes and not their ids: give --classes FILE"):
        open_model(path)
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES.to_json()))
    assert open_model(path, classes=tmp_path / "classes.json").classes == CLASSES
    (tmp_path / "classes.json").write_text("[]")
    with pytest.raises(ValueError, match=r"classes\.json: Classes are an object"):
        open_model(path, classes=tmp_path / "classes.json")
