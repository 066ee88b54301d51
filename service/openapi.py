"""The API's own description: the bodies that FastAPI cannot derive."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.schemas.labels import LabelForm, LabelsIn


def describe(app: FastAPI) -> None:
    """Add the schemas of hand-read bodies to the application's OpenAPI document."""
    derive = app.openapi

    def openapi() -> dict[str, Any]:
        document = derive()
        _, extra = models_json_schema(
            [(LabelsIn, "validation"), (LabelForm, "validation")], ref_template="#/components/schemas/{model}"
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(extra["$defs"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]
