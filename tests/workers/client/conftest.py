"""Imports over the application instead of a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.maker import Maker
from tests.service.test_cli import AppClient
from workers.client.importing import import_dataset


@pytest.fixture
def run(app: FastAPI, make: Maker) -> Callable[..., int | None]:
    client = AppClient(TestClient(app, headers={"Authorization": f"Bearer {make.annotator('admin')}"}))

    def importing(root: Path | None, **given: Any) -> int | None:
        return import_dataset(client, **{"dataset": "folder", "root": root, **given})

    return importing
