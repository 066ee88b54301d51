"""The body of POST /labels: JSON or a form, read and checked by hand because a route may declare only one."""

from collections.abc import AsyncIterator
from email.message import Message
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from service.errors import ServiceError
from service.schemas.labels import LabelForm, LabelIn, LabelsIn

REQUEST_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/LabelsIn"}},
        "multipart/form-data": {"schema": {"$ref": "#/components/schemas/LabelForm"}},
    },
}
"""For OpenAPI."""


class _UnknownKind(ServiceError):
    status = 415
    code = "unsupported_media_type"


async def label_body(request: Request) -> AsyncIterator[bytes | FormData]:
    """A dependency: the bytes of a JSON body, or the fields of a form. Parsing JSON is left to the route's thread."""
    kind = Message()
    kind["content-type"] = request.headers.get("content-type", "application/json")
    if kind.get_content_type() == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            yield form
    elif kind.get_content_subtype() == "json" or kind.get_content_subtype().endswith("+json"):
        yield await request.body()
    else:
        raise _UnknownKind("Labels are sent as application/json or multipart/form-data.")


def parse_labels(body: bytes | FormData) -> list[LabelIn] | list[LabelForm]:
    """The labels of a body. Raises RequestValidationError."""
    try:
        if isinstance(body, bytes):
            return LabelsIn.model_validate_json(body).labels
        return [LabelForm.model_validate(_fields(body))]
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in problems]) from error


def _fields(form: FormData) -> dict[str, Any]:
    return {name: value.file.read() if isinstance(value, UploadFile) else value for name, value in form.multi_items()}
