"""Generated requests over the whole OpenAPI document: never a 5xx, always what the document promises."""

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis import checks

from service.app import create_app
from service.settings import Settings
from tests.maker import Maker

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

# Tests are made of the document before any fixture is; each gets its own database by way of `served`.
SERVED = create_app(Settings(blob_url="memory://fuzz", sweep_seconds=86_400))
schema = schemathesis.openapi.from_asgi("/openapi.json", SERVED)


@pytest.fixture
def served(app: FastAPI, make: Maker, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """`SERVED` over a project with a policy, an open round and predictions: small numbers lead somewhere."""
    project = make.project(batch_size=2)
    make.checkpoint(project)
    make.round_(project, make.images(project, 2), regions=3, prediction=True)
    monkeypatch.setattr(SERVED, "state", app.state)
    return make


def bounded(examples: int) -> settings:
    """Few examples, the same each time; the boundary values that schemathesis enumerates come on top."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@bounded(5)
def test_no_request_of_an_admin_makes_the_service_fail_or_break_its_word(case: Any, served: Maker) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {served.annotator('admin')}"}, checks=CHECKS)


@schema.include(path_regex="^/(next-regions|labels|leases|regions|images|healthz)").parametrize()
@bounded(5)
def test_no_request_of_an_annotator_makes_the_service_fail_or_break_its_word(case: Any, served: Maker) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {served.annotator()}"}, checks=CHECKS)
