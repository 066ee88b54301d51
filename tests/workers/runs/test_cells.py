"""Regions of somebody's own images are of a size that suits them, unless one is given."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.workers.datasets.pictures import picture, write
from workers.experiments.presets import read_preset
from workers.runs.cells import with_cells
from workers.simulate import app


def test_the_images_choose_the_size_of_regions(folder: Path) -> None:
    for number in range(4):
        write(folder / "images" / f"large-{number}.png", picture(number, 400, 800))
    chosen = with_cells(read_preset("folder", "folder"), folder)
    assert (chosen.cell_height, chosen.cell_width) == (8, 8)  # of the images of 24 x 32, which are more


@pytest.mark.parametrize("said", ["cell_height=16", "cell_width=12"])
def test_what_is_given_stays(folder: Path, said: str) -> None:
    given = read_preset("folder", "folder", [said])
    assert with_cells(given, folder) == given


def test_presets_of_known_data_have_sizes_of_their_own() -> None:
    streets = read_preset("streets", "streets")
    assert with_cells(streets, None) == streets


def test_an_image_that_cannot_be_read_chooses_nothing(folder: Path) -> None:
    (folder / "images/00.png").write_bytes(b"no picture")
    assert with_cells(read_preset("folder", "folder"), folder).cell_height == 8


def test_the_command_says_what_was_chosen(folder: Path) -> None:
    told = CliRunner().invoke(app, ["--preset", "folder", "--root", str(folder), "settings"])
    assert "Regions of 8 x 8 pixels, as suits the images: --set cell_height and --set cell_width" in told.stderr
    settings = json.loads(told.stdout)
    assert (settings["cell_height"], settings["cell_width"]) == (8, 8)
