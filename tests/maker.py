"""Makes rows directly: annotators, projects, images, rounds, so that a test can begin where it wants to."""

import io
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import numpy as np
from PIL import Image as Picture

from service.auth import hash_token
from service.blobs import Blobs
from service.db import Database
from service.domain.classes import CAMVID, ClassSet
from service.domain.masks import encode_label_png
from service.schemas.project_settings import ProjectSettings
from service.store import images as image_store
from service.store import memberships
from service.store.budget import grid_of
from service.tables import Annotator, Base, Checkpoint, Image, Project, Region, Round, Token


class Maker:
    """Makes annotators, projects, images and rounds as rows, without the API."""

    def __init__(self, database: Database, blobs: Blobs, clock: Callable[[], datetime]) -> None:
        self.database, self.blobs, self.clock = database, blobs, clock

    def annotator(self, role: str = "annotator", name: str | None = None) -> str:
        """A new annotator's token."""
        token = f"rw_test_{uuid.uuid4().hex}"
        row = Annotator(
            name=name or token, role=role, token_hash=hash_token(token), active=True, created_at=self.clock()
        )
        with self.database.write() as session:
            session.add(row)
            session.flush()
            made = Token(
                annotator_id=row.id, name="first", token_hash=row.token_hash, prefix="", created_at=self.clock()
            )
            made.last_used_on = self.clock().date()
            session.add(made)
            memberships.enroll_in_open_projects(session, row, self.clock())
        return token

    def project(
        self, name: str = "streets", classes: ClassSet = CAMVID, *, open_to_all: bool = True, **settings: Any
    ) -> Project:
        """A project whose regions are 90 x 80, unless told otherwise, and in which everybody takes part."""
        chosen = ProjectSettings(**settings).model_dump(mode="json")
        row = Project(name=name, classes=classes.to_json(), settings=chosen, active=True, created_at=self.clock())
        row.open_to_all = open_to_all
        with self.database.write() as session:
            session.add(row)
            session.flush()
            if open_to_all:
                memberships.enroll_everybody(session, row, self.clock())
        return row

    def images(
        self, project: Project, count: int, *, split: str = "pool", height: int = 180, width: int = 160
    ) -> list[Image]:
        """Images with stored bytes: one random picture under many names."""
        data = self.picture(height, width)
        key = self.blobs.put_content("images", data, ".png")
        with self.database.write() as session:
            known = len(image_store.list_images(session, project.id, split=None, limit=10**6, after=0))
            arrivals = [
                image_store.NewImage(
                    name=f"{known + place:05}.png",
                    split=split,
                    height=height,
                    width=width,
                    media_type="image/png",
                    digest=key.rpartition("/")[2].removesuffix(".png"),
                    blob_key=key,
                )
                for place in range(count)
            ]
            return [each.image for each in image_store.add_images(session, project.id, arrivals, self.clock())]

    def round_(
        self, project: Project, images: Iterable[Image], *, regions: int, number: int = 1, prediction: bool = False
    ) -> list[Region]:
        """An open round of regions: the cells of the images in order, scores falling from 1."""
        now = self.clock()
        row = Round(
            project_id=project.id,
            number=number,
            state="open",
            size=regions,
            seconds={},
            note="",
            created_at=now,
            opened_at=now,
        )
        self._add(row)
        settings = ProjectSettings.model_validate(project.settings)
        made: list[Region] = []
        for image in images:
            grid = grid_of(image.height, image.width, settings)
            for cell in grid.cells[: regions - len(made)].tolist():
                box = grid.box(cell)
                made.append(
                    Region(
                        project_id=project.id,
                        round_id=row.id,
                        image_id=image.id,
                        cell=cell,
                        number=len(made),
                        row=box.row,
                        col=box.col,
                        height=box.height,
                        width=box.width,
                        score=1.0 - len(made) / 1000,
                        state="open",
                        prediction=self.mask_png(box.height, box.width, 1) if prediction else None,
                    )
                )
        assert len(made) == regions, "too few images for so many regions"
        self._add(*made)
        return made

    def checkpoint(self, project: Project, kind: str = "policy", data: bytes = b"weights") -> Checkpoint:
        """A checkpoint of these bytes, which need not be weights."""
        key = self.blobs.put_content("checkpoints", data, ".safetensors")
        row = Checkpoint(
            project_id=project.id, kind=kind, blob_key=key, description={"miou": 0.5}, created_at=self.clock()
        )
        self._add(row)
        return row

    def _add(self, *rows: Base) -> None:
        with self.database.write() as session:
            session.add_all(rows)

    @staticmethod
    def picture(height: int, width: int, *, format: str = "PNG", mode: str = "RGB", seed: int = 0) -> bytes:
        """An image file of noise."""
        channels = len(Picture.new(mode, (1, 1)).getbands())
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
        buffer = io.BytesIO()
        Picture.fromarray(pixels.squeeze(axis=2) if channels == 1 else pixels, mode=None).convert(mode).save(
            buffer, format=format
        )
        return buffer.getvalue()

    @staticmethod
    def mask_png(height: int = 90, width: int = 80, class_id: int = 3) -> bytes:
        """A label map of one class, as PNG."""
        return encode_label_png(np.full((height, width), class_id, dtype=np.uint8))
