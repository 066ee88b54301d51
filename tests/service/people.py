"""What tests of several people at a region share: label maps, and what one asks of the API."""

from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from service.domain.masks import encode_label_png
from tests.service.test_labels_api import label, post

Login = Callable[..., TestClient]
SKY, ROAD, VOID = 0, 3, 11


def split_at(row: int, above: int = SKY, below: int = ROAD) -> bytes:
    """A label map of 90 x 80: one class above a row, another from there on."""
    label_map_HW = np.full((90, 80), below, np.uint8)
    label_map_HW[:row] = above
    return encode_label_png(label_map_HW)


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/next-regions", params={"count": count}).json()["items"]
    return items


def ids(client: TestClient, count: int = 9) -> list[int]:
    return [each["id"] for each in take(client, count)]


def draw(client: TestClient, region: dict[str, Any], row: int = 45) -> Any:
    """Label a region that was taken; returns the response."""
    return post(client, label(region, split_at(row)))


def take_and_draw(client: TestClient, row: int = 45) -> dict[str, Any]:
    """Take a region and label it."""
    (region,) = take(client)
    assert draw(client, region, row).status_code == 201
    return region


def skip(client: TestClient, region: dict[str, Any]) -> Any:
    return client.post(f"/regions/{region['id']}/skip", json={"lease_token": region["lease_token"], "reason": "dark"})


def review(client: TestClient, region: int, decision: str, **more: Any) -> Any:
    return client.post(f"/regions/{region}/reviews", json={"decision": decision, **more})


def state(admin: TestClient, region: int) -> str:
    found: str = admin.get(f"/regions/{region}").json()["state"]
    return found


def code(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def kinds(admin: TestClient, region: int) -> list[str]:
    return [each["kind"] for each in admin.get(f"/regions/{region}/labels").json()["items"]]
