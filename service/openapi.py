"""The API's own description: what the groups of routes are for, and the bodies that FastAPI cannot derive."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from service.schemas.labels import LabelForm, LabelsIn

TAGS = [
    {"name": "projects", "description": "Campaigns: their classes, settings and counts."},
    {"name": "images", "description": "Images and their splits."},
    {"name": "regions", "description": "Regions to label: taken on a lease, looked at, given back or skipped."},
    {"name": "labels", "description": "Label maps of regions."},
    {"name": "rounds", "description": "What was asked, when, and what it taught the network."},
    {"name": "jobs", "description": "Long work: training, scoring, learning."},
    {
        "name": "checkpoints",
        "description": "Network weights: those there are, their files, and policies from elsewhere.",
    },
    {"name": "export", "description": "Everything labelled, to take away."},
    {"name": "annotators", "description": "Who may call."},
    {"name": "health", "description": "For whoever watches the process."},
]


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
