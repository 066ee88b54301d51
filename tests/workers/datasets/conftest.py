"""The files of CamVid, made up."""

import os
from pathlib import Path

import pytest

from tests.workers.datasets.pictures import ids, picture, write
from workers.datasets.files import published_splits


@pytest.fixture(scope="session")
def camvid_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 701 images of CamVid's splits as a few tiny pictures under many names."""
    root = tmp_path_factory.mktemp("camvid")
    splits = published_splits("camvid")
    names = {"train": [*splits["state"], *splits["train"], *splits["pool"]], "val": splits["reward"]}
    for folder, listed in (names | {"test": splits["test"]}).items():
        image = write(root / f"{folder}.webp", picture(len(listed)))
        labels = write(root / f"{folder}.png", ids(len(listed), list(range(12))))
        for place, below in ((image, root / folder), (labels, root / f"{folder}annot")):
            below.mkdir()
            for name in listed:
                os.link(place, below / f"{name}{place.suffix}")
    return root
