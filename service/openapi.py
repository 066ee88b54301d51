"""The API's own description: the bodies that FastAPI cannot derive, and which routes the door lets nobody in without a token."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic.json_schema import models_json_schema

from service.auth import SCHEMES
from service.door import rules_of
from service.label_body import BODIES


def describe(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Add the schemas of hand-read bodies, and who is let in, to the application's OpenAPI document."""
    derive = app.openapi

    def openapi() -> dict[str, Any]:
        document = derive()
        _, extra = models_json_schema(
            [(each, "validation") for each in BODIES], ref_template="#/components/schemas/{model}"
        )
        parts = document.setdefault("components", {})
        parts.setdefault("schemas", {}).update(extra["$defs"])
        parts["securitySchemes"] = SCHEMES
        for rule in rules_of(routers):
            for method in rule.route.methods or ():
                document["paths"][rule.route.path_format][method.lower()]["security"] = [{name: []} for name in SCHEMES]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
