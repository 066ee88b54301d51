"""Generated requests over the whole OpenAPI document: never a 5xx, always what the document promises."""

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from schemathesis import checks
from sqlalchemy import select

from service.app import create_app
from service.settings import Settings
from service.tables import Membership
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
# Without the boundary values that schemathesis enumerates, for callers of whom most requests end at the door.
drawn = schemathesis.openapi.from_asgi(
    "/openapi.json", SERVED, config=schemathesis.Config.from_dict({"phases": {"coverage": {"enabled": False}}})
)


@pytest.fixture
def served(app: FastAPI, make: Maker, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """`SERVED` over a project with a policy, an open round and predictions: small numbers lead somewhere."""
    project = make.project(batch_size=2)
    make.checkpoint(project)
    make.round_(project, make.images(project, 2), regions=3, prediction=True)
    monkeypatch.setattr(SERVED, "state", app.state)
    app.state.giving.close()  # for a minute nobody here waits
    app.state.live.close()  # nor listens for ten
    return make


def bounded(examples: int) -> settings:
    """Few examples, the same each time; of `schema` the boundary values that schemathesis enumerates come on top."""
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


@schema.include(method="GET").parametrize()
@bounded(3)
def test_nothing_that_an_annotator_asks_for_makes_the_service_fail_or_break_its_word(case: Any, served: Maker) -> None:
    case.call_and_validate(headers=as_role(served, "annotator"), checks=CHECKS)


@pytest.mark.parametrize("role", ["annotator", "reviewer", "admin of the project", "stranger", "nobody"])
@drawn.parametrize()
@bounded(6)
def test_no_request_of_anybody_else_makes_the_service_fail_or_break_its_word(
    case: Any, served: Maker, role: str
) -> None:
    case.call_and_validate(headers=as_role(served, role), checks=CHECKS)


def as_role(served: Maker, role: str) -> dict[str, str]:
    """The headers of somebody new of this role in the project; strangers are members of none."""
    if role == "nobody":
        return {}
    token = served.annotator("reviewer" if role == "reviewer" else "annotator")
    with served.database.write() as session:
        mine = session.scalars(select(Membership).order_by(Membership.annotator_id.desc()).limit(1)).one()
        if role == "admin of the project":
            mine.role = "admin"
        if role == "stranger":
            session.delete(mine)
    return {"Authorization": f"Bearer {token}"}
