"""Bodies with label maps: JSON or a form, read and checked by hand because a route may declare only one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from service.errors import ServiceError
from service.schemas.labels import LabelForm, LabelIn, LabelsIn
from service.schemas.reviews import ReviewForm, ReviewIn


def _described(json: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    kinds = {"application/json": json, "multipart/form-data": form}
    parts = {kind: {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}} for kind, body in kinds.items()}
    return {"required": True, "content": parts}


REQUEST_BODY = _described(LabelsIn, LabelForm)
REVIEW_BODY = _described(ReviewIn, ReviewForm)
"""For OpenAPI."""
BODIES: tuple[type[BaseModel], ...] = (LabelsIn, LabelForm, ReviewIn, ReviewForm)


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
    with _problems_told():
        if isinstance(body, bytes):
            return LabelsIn.model_validate_json(body).labels
        return [LabelForm.model_validate(_fields(body))]


def parse_review(body: bytes | FormData) -> ReviewIn | ReviewForm:
    """The review of a body. Raises RequestValidationError."""
    with _problems_told():
        if isinstance(body, bytes):
            return ReviewIn.model_validate_json(body)
        return ReviewForm.model_validate(_fields(body))


@contextmanager
def _problems_told() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in problems]) from error


def _fields(form: FormData) -> dict[str, Any]:
    return {name: value.file.read() if isinstance(value, UploadFile) else value for name, value in form.multi_items()}
