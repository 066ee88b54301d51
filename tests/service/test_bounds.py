"""Bounds of what callers send: every text, list and number in a request has one, and none costs more than it is worth."""

import asyncio
import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from starlette.types import Message

from service.domain.masks import MaskError, rle_decode
from service.errors import ServiceError
from service.label_body import parse_labels
from service.label_imports import origins_of
from service.limits import BodyLimit, Pace, Sizes

BOUNDS = {
    "string": {"maxLength", "enum", "const", "contentMediaType", "pattern"},
    "integer": {"maximum", "exclusiveMaximum", "enum", "const"},
    "array": {"maxItems"},
    "object": {"properties", "maxProperties"},
}


def unbounded(schema: dict[str, Any], known: dict[str, Any], at: str, seen: set[str]) -> Iterator[str]:
    """The places in a schema that have no bound."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            seen.add(name)
            yield from unbounded(known[name], known, name, seen)
        return
    kind = schema.get("type")
    if kind in BOUNDS and not BOUNDS[kind] & set(schema):
        yield f"{at}: {kind}"
    inner = [each for name in ("anyOf", "oneOf", "allOf", "prefixItems") for each in schema.get(name, [])]
    inner += [each for name in ("items", "additionalProperties") if isinstance(each := schema.get(name), dict)]
    for each in inner:
        yield from unbounded(each, known, f"{at}[]", seen)
    for name, each in schema.get("properties", {}).items():
        yield from unbounded(each, known, f"{at}.{name}", seen)


def test_whatever_a_request_may_hold_has_a_bound(app: FastAPI) -> None:
    document = app.openapi()
    known, found, seen = document["components"]["schemas"], list[str](), set[str]()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            sent = [each["schema"] for each in operation.get("parameters", [])]
            sent += [each["schema"] for each in operation.get("requestBody", {}).get("content", {}).values()]
            for schema in sent:
                found += unbounded(schema, known, path, seen)
    assert found == []
    assert {"LabelsIn", "LabelForm", "ProjectIn", "ProjectPatch", "PolicyPayload", "SkipIn"} <= seen


def label(inner: str) -> bytes:
    return f'{{"labels": [{{"region_id": 1, "lease_token": "1-a", {inner}}}]}}'.encode()


MANY = 70_000
WRONG = {
    "counts below zero": label('"rle": {"3": {"size": [90, 80], "counts": [' + "-1, " * MANY + "-1]}}"),
    "more counts than pixels": label('"rle": {"3": {"size": [90, 80], "counts": [' + "0, " * MANY + "7200]}}"),
    "a string longer than all counts": label('"rle": {"3": {"size": [90, 80], "counts": "' + "0" * MANY + '"}}'),
    "a count of many digits": label('"rle": {"3": {"size": [90, 80], "counts": [' + "9" * MANY + "]}}"),
    "classes without number": label('"rle": {' + ", ".join(f'"k{each}": 0' for each in range(MANY)) + "}"),
    "names of a label": label(", ".join(f'"k{each}": 0' for each in range(MANY))),
    "names beside labels": ("{" + ", ".join(f'"k{each}": 0' for each in range(MANY)) + "}").encode(),
    "labels that are none": b'{"labels": [' + b"0, " * MANY + b"0]}",
    "empty labels": b'{"labels": [' + b"{}, " * MANY + b"{}]}",
    "nesting": b'{"labels": ' + b"[" * MANY,
    "a long name": label('"' + "k" * MANY + '": 0'),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_many_errors_are_told_as_few(body: bytes, client: TestClient) -> None:
    with pytest.raises(RequestValidationError) as refused:
        parse_labels(body)
    assert len(refused.value.errors()) < 20
    response = client.post("/labels", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert len(response.content) < 10_000


def test_unknown_names_in_other_bodies_are_told_as_few(admin: TestClient) -> None:
    response = admin.post("/projects", json={f"k{each}": 0 for each in range(5_000)})
    assert (response.status_code, len(response.content) < 1_000) == (422, True)
    inner = {"name": "x", "classes": "camvid", "settings": {f"k{each}": 0 for each in range(5_000)}}
    response = admin.post("/projects", json=inner)
    assert (response.status_code, len(response.content) < 4_000) == (422, True)
    response = admin.post("/projects/1/jobs", json={"kind": "k" * 100_000})
    assert (response.status_code, len(response.content) < 3_000) == (422, True)


def test_runs_of_no_pixel_do_not_repeat_and_runs_are_no_more_than_pixels() -> None:
    for counts in ([0, 0, 4], [1, 0, 0, 3], [0, 0, 0, 0, 4], [0, 4, 0, 0], "00004"):
        with pytest.raises(MaskError) as refused:
            rle_decode({"size": [2, 2], "counts": counts})
        assert refused.value.code == "bad_rle"
    tracemalloc.start()
    for counts in ([0] * 100_000, "0" * 1_000_000):
        with pytest.raises(MaskError, match="more counts"):
            rle_decode({"size": [2, 2], "counts": counts})
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


def test_a_body_of_too_many_values_is_refused_while_it_comes(admin: TestClient, client: TestClient) -> None:
    response = admin.post(
        "/projects", content=b"[" + b"1," * 21_000 + b"1]", headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert "20,000 values" in response.json()["error"]["message"]
    response = client.post("/labels", content=b"[" + b"1," * 499_000 + b"1]")
    assert "500,000 values" not in response.json()["error"]["message"]


def asked(limit: BodyLimit, parts: list[Message], path: str = "/labels") -> list[Message]:
    """What a request whose body comes so was answered."""
    sent: list[Message] = []

    async def receive() -> Message:
        if not parts:
            await asyncio.sleep(60)
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", b"application/json")]}
    asyncio.run(limit(scope, receive, send))
    return sent


async def swallow(scope: Any, receive: Any, send: Any) -> None:
    """Reads a body, as a route does, and holds it."""
    while (await receive()).get("more_body"):
        pass


def body(size: int, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": b" " * size, "more_body": more}


SIZES = Sizes(upload=1 << 30, other=1 << 30)


def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    limit = BodyLimit(swallow, sizes=SIZES, pace=Pace(seconds=0.05, bytes_per_second=1000))
    with pytest.raises(HTTPException) as refused:
        asked(limit, [body(10)])
    assert refused.value.status_code == 408
    assert asked(limit, [body(10), body(10, more=False)]) == []


def test_large_bodies_that_wait_in_memory_leave_room_for_small_ones() -> None:
    pace = Pace(seconds=60, bytes_per_second=1000)
    inner: list[int] = []

    async def hold(scope: Any, receive: Any, send: Any) -> None:
        await swallow(scope, receive, send)
        if not inner:  # while the first is held, others come
            inner.append(1)
            parts = [body(2 << 20), body(2 << 20, more=False)]

            async def next_part() -> Message:
                return parts.pop(0)

            with pytest.raises(HTTPException) as refused:
                await limit(scope, next_part, send)
            assert refused.value.status_code == 503
            parts[:] = [body(10_000, more=False)]
            await limit(scope, next_part, send)
            inner.append(2)

    limit = BodyLimit(hold, sizes=SIZES, pace=pace)
    asked(limit, [body(63 << 20, more=False)])
    assert inner == [1, 2]
    asked(limit, [body(63 << 20, more=False)])  # what was held is let go


def test_origins_of_labels_are_bounded_too() -> None:
    document = b'{"images": {' + b",".join(b'"%d": 0' % each for each in range(200_000)) + b"}}"
    with pytest.raises(ServiceError, match="100 is the limit"):
        origins_of(UploadFile(io.BytesIO(document), size=len(document)))
    document = b'{"images": {"a": [' + b"0," * 1_000_000 + b"0]}}"
    with pytest.raises(ServiceError, match="values"):
        origins_of(UploadFile(io.BytesIO(document), size=len(document)))
