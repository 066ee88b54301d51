"""A trained network leaves the server and predicts without it what the server predicts."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from models.segmenter import build
from service.domain.masks import decode_png
from service.settings import Settings
from tests.maker import Maker
from tests.service.commands.conftest import Run
from tests.workers.conftest import CLASSES, Rectangles, World
from workers.client.sending import encode_rgb
from workers.training.checkpoints import save_segmenter

POOL = Rectangles(2, 1, size=(45, 70))


@pytest.fixture
def world(make: Maker, app: FastAPI, settings: Settings) -> World:
    """A project whose segmenter has learned nothing, and predicts several classes even so."""
    world = World(make, app, settings, strategy="entropy").add("pool", POOL, labelled=False)
    segmenter = build("fpn", classes=3, width=4)
    segmenter.classifier.weight.data *= 20
    for _ in range(2):
        world.add_checkpoint("segmenter", save_segmenter(segmenter, CLASSES, miou=0.25))
    return world


def test_what_was_exported_predicts_what_annotators_are_shown(
    run: Run, asked: tuple[str, ...], world: World, tmp_path: Path
) -> None:
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    shown = world.call("GET", "/next-regions", params={"project": world.project.id, "count": 10})["items"]
    assert len(shown) == 4
    for number in range(2):
        (tmp_path / f"pool-{number:03}.png").write_bytes(encode_rgb(POOL.image(number)))

    ended = run("export-model", str(world.project.id), "--to", str(tmp_path / "model"), *asked)
    assert ended.out.startswith("Checkpoint 2, segmenter of rectangles: ")
    images = [str(tmp_path / f"pool-{number:03}.png") for number in range(2)]
    ended = run("predict", *images, "--model", str(tmp_path / "model"), "--to", str(tmp_path / "out"))
    assert ended.out == f"{tmp_path / 'out'}: 2 label maps\n"
    assert "Predicting: 2 of 2 images" in ended.err
    for region in shown:
        name = world.call("GET", f"/images/{region['image_id']}")["name"]
        whole = decode_png((tmp_path / "out" / name).read_bytes(), max_pixels=10**6)
        rows = slice(region["y"], region["y"] + region["height"])
        cols = slice(region["x"], region["x"] + region["width"])
        prediction = decode_png(world.client.get(f"/regions/{region['id']}/prediction").content, max_pixels=10**6)
        np.testing.assert_array_equal(whole[rows, cols], prediction)


def test_a_checkpoint_s_own_file_predicts_the_same(
    run: Run, asked: tuple[str, ...], world: World, tmp_path: Path
) -> None:
    (tmp_path / "7.safetensors").write_bytes(world.client.get("/checkpoints/2/file").content)
    (tmp_path / "a.png").write_bytes(encode_rgb(POOL.image(0)))
    run("export-model", "1", "--to", str(tmp_path / "model"), *asked)
    for model, out in (("model", "x"), ("7.safetensors", "y")):
        run("predict", str(tmp_path / "a.png"), "--model", str(tmp_path / model), "--to", str(tmp_path / out))
    assert (tmp_path / "x" / "a.png").read_bytes() == (tmp_path / "y" / "a.png").read_bytes()


def test_a_graph_is_made_for_the_size_of_the_project_s_images(
    run: Run, asked: tuple[str, ...], world: World, address: str, tmp_path: Path
) -> None:
    given = ("export-model", "1", "--to", str(tmp_path), "--checkpoint", "1", "--format", "torchscript")
    assert run(*given, *asked).code == 0
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["graph"]["input"]["shape"] == [1, 3, 45, 70]
    assert described["graph"]["checked"]["on"] == "an image of the project"
    assert described["source"]["server"] == address
    assert described["source"]["project"] == {"id": 1, "name": "rectangles"}
    assert described["source"]["checkpoint"]["id"] == 1
    assert run(*given, "--overwrite", "--size", "24x32", *asked).code == 0
    assert json.loads((tmp_path / "model.json").read_text())["graph"]["input"]["shape"] == [1, 3, 24, 32]


def test_what_cannot_be_exported_is_a_sentence(
    run: Run, asked: tuple[str, ...], world: World, make: Maker, tmp_path: Path
) -> None:
    def refused(*given: str) -> str:
        ended = run("export-model", *given, "--to", str(tmp_path / "model"), *asked)
        assert ended.code == 1
        assert not (tmp_path / "model").exists()
        return ended.err

    other = make.checkpoint(make.project("other"), "segmenter")
    assert "rectangles has no final yet; of its checkpoints there are: segmenter." in refused("1", "--kind", "final")
    assert f"rectangles has no checkpoint {other.id}." in refused("1", "--checkpoint", str(other.id))
    assert "This is not a checkpoint of regionwise" in refused("2")
    assert "There is no project 9" in refused("9")
    assert "A size reads HEIGHTxWIDTH, such as 360x480, not '12'." in refused("1", "--size", "12")
    assert "There is no format 'gguf'" in refused("1", "--format", "gguf")


def test_errors_of_predict_are_sentences(run: Run, tmp_path: Path) -> None:
    ended = run("predict", str(tmp_path / "none.png"), "--model", str(tmp_path))
    assert (ended.code, ended.err) == (1, f"Error: There is no image or folder {tmp_path / 'none.png'}.\n")


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="needs the extra onnx")
def test_an_onnx_file_comes_from_the_same_command(
    run: Run, asked: tuple[str, ...], world: World, tmp_path: Path
) -> None:
    ended = run("export-model", "1", "--to", str(tmp_path), "--format", "onnx", *asked)
    assert (ended.code, (tmp_path / "model.onnx").is_file()) == (0, True)
