"""A project with an open round and gold regions, whose truth is class 1 on the left and class 2 on the right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from service.domain.masks import encode_label_png
from service.lease_proofs import LeaseProofs
from service.schemas.project_settings import ProjectSettings
from service.store import gold_rows
from service.store.budget import grid_of
from service.store.round_values import NewGold
from service.tables import Checkpoint, Project, Region
from tests.maker import Maker


def truth(height: int = 90, width: int = 80, *, wrong: float = 0.0) -> NDArray[np.uint8]:
    """Halves of two classes; this share of the rows all class 1."""
    found = np.full((height, width), 1, np.uint8)
    found[round(wrong * height) :, width // 2 :] = 2
    return found


def make_gold(make: Maker, project: Project, count: int, checkpoint: Checkpoint | None = None) -> list[Region]:
    """Gold regions of images of D_T; predicted as class 5 where there is a checkpoint."""
    settings = ProjectSettings.model_validate(project.settings)
    new: list[NewGold] = []
    for image in make.images(project, -(-count // 4), split="train"):
        grid = grid_of(image.height, image.width, settings)
        for cell in grid.cells.tolist():
            box, predicted = grid.box(cell), None if checkpoint is None else make.mask_png(class_id=5)
            png = encode_label_png(truth(box.height, box.width))
            new.append(NewGold(image_id=image.id, cell=cell, box=box, truth=png, prediction=predicted))
    with make.database.write() as session:
        by = None if checkpoint is None else checkpoint.id
        made = gold_rows.gold_regions(session, project.id, new[:count], by, make.clock())
        rows = [region for region, _ in made]
        session.add_all(rows)
    return rows


def give_gold(monkeypatch: Any, *places: int) -> list[int]:
    """Have these of all new leases be of gold regions, counted from 0; without any place all are."""
    seen: list[int] = []

    def is_due(self: LeaseProofs, lease_id: int, share: float) -> bool:
        seen.append(lease_id)
        return share > 0 and (not places or len(seen) - 1 in places)

    monkeypatch.setattr(LeaseProofs, "is_due", is_due)
    return seen


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    """The items of GET /next-regions."""
    answer = client.get("/next-regions", params={"count": count})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def send(client: TestClient, region: dict[str, Any], label_map: NDArray[np.uint8], **fields: Any) -> Any:
    """The answer to a label."""
    return client.post(
        "/labels",
        data={"region_id": region["id"], "lease_token": region["lease_token"], **fields},
        files={"mask": ("m.png", encode_label_png(label_map))},
    )


PLAIN = 4
"""Of `plain_and_gold`, regions that are not gold have the numbers up to this one."""


def plain_and_gold(make: Maker, project: Project, checkpoint: Checkpoint) -> list[Region]:
    """A round of four regions, predicted, then two gold ones, which are returned."""
    rows = make.round_(project, make.images(project, 1), regions=PLAIN, prediction=True)
    with make.database.write() as session:
        for row in rows:
            session.merge(row).prediction_checkpoint_id = checkpoint.id
    return make_gold(make, project, 2, checkpoint)


def is_gold(item: dict[str, Any]) -> bool:
    """Whether a region of `plain_and_gold` is gold."""
    return bool(item["id"] > PLAIN)
