"""A campaign in use whose classes change: a round of six regions in all states, and an image that is labelled as a whole."""

import base64
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from starlette.testclient import TestClient

from service.domain.classes import CAMVID, ClassSet
from service.domain.masks import decode_label_png, encode_label_png
from service.tables import Label, Project
from tests.maker import Maker

Login = Callable[..., TestClient]
IGNORED = CAMVID.ignore_id
BOX = (90, 80)
CAR, PEDESTRIAN, BICYCLIST, ROAD, SKY = 8, 9, 10, 3, 0


def noise(seed: int, *ids: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).choice(np.array(ids or range(12), np.uint8), BOX)


class Campaign:
    """A round of six regions, three of them labelled by ada, one that she holds, two that are open; one image of D_T."""

    def __init__(self, make: Maker, admin: TestClient, login: Login) -> None:
        self.make, self.admin, self.database = make, admin, make.database
        self.ada = login("annotator", "ada")
        self.project = make.project(budget=8)
        self.regions = make.round_(self.project, make.images(self.project, 2), regions=6, prediction=True)
        with self.database.write() as session:
            for place, region in enumerate(self.regions):
                session.merge(region).prediction = encode_label_png(noise(100 + place), CAMVID.palette())
        truth = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((60, 40), np.uint8))
        sent = admin.post(
            f"/projects/{self.project.id}/images",
            data={"split": "train"},
            files={"image": ("t.png", make.picture(180, 160, seed=9)), "label_map": ("t.png", encode_label_png(truth))},
        )
        assert sent.status_code == 201, sent.text
        given = self.ada.get("/next-regions", params={"count": 4}).json()["items"]
        self.held = given[3]
        self.masks = [noise(0), noise(1), noise(2, ROAD, SKY)]
        for region, mask in zip(given, self.masks, strict=False):
            assert self.label(self.ada, region, mask).status_code == 201
        self.given = given

    @staticmethod
    def label(client: TestClient, region: dict[str, Any], mask: NDArray[np.uint8]) -> Any:
        told = {
            "region_id": region["id"],
            "lease_token": region["lease_token"],
            "mask_png": base64.b64encode(encode_label_png(mask)).decode(),
        }
        return client.post("/labels", json={"labels": [told]})

    def change(self, *, dry_run: bool = False, status: int | None = None, **told: Any) -> Any:
        path = f"/projects/{self.project.id}/class-changes"
        answer = self.admin.post(path, params={"dry_run": dry_run}, json=told)
        assert answer.status_code == (status or (200 if dry_run else 201)), answer.text
        return answer.json()

    def revert(self, number: int, *, dry_run: bool = False, status: int | None = None) -> Any:
        path = f"/projects/{self.project.id}/class-changes/{number}/revert"
        answer = self.admin.post(path, params={"dry_run": dry_run})
        assert answer.status_code == (status or (200 if dry_run else 201)), answer.text
        return answer.json()

    def kept(self) -> list[tuple[int, str, bytes, list[int], str]]:
        """Of each region the label that counts: version, kind, PNG, counts, digest."""
        with self.database.read() as session:
            rows = session.scalars(select(Label).order_by(Label.region_id, Label.version)).all()
        newest = {each.region_id: each for each in rows}
        return [(e.version, e.kind, e.mask, e.class_counts, e.digest) for e in newest.values()]

    def classes(self) -> ClassSet:
        with self.database.read() as session:
            return ClassSet.from_json(session.get_one(Project, self.project.id).classes)

    def exported(self) -> dict[str, NDArray[np.uint8]]:
        archive = self.archive()
        return {
            name: decode_label_png(archive.read(name), height=180, width=160)
            for name in archive.namelist()
            if name.endswith(".png") and "label" in name
        }

    def archive(self) -> zipfile.ZipFile:
        answer = self.admin.get(f"/projects/{self.project.id}/export")
        return zipfile.ZipFile(io.BytesIO(answer.content))

    def regions_of(self, number: int, limit: int = 100) -> list[tuple[int, int]]:
        path, found, after = f"/projects/{self.project.id}/class-changes/{number}/regions", [], 0
        while True:
            page = self.admin.get(path, params={"limit": limit, "after": after}).json()
            found += [(each["region_id"], each["pixels"]) for each in page["items"]]
            if page["next"] is None:
                return found
            after = page["next"]


def became(mask: NDArray[np.uint8], gone: Sequence[int], into: int) -> NDArray[np.uint8]:
    return np.where(np.isin(mask, gone), np.uint8(into), mask)
