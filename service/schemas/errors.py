"""Error bodies over the wire: every response that is not a success looks like this."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs: a word that stays the same.", examples=["region_labelled"])
    message: str = Field(
        description="For people: one sentence.", examples=["Region 17 has been labelled by another annotator."]
    )
    detail: dict[str, Any] = Field(description="Values that belong to the error.", examples=[{"region_id": 17}])


class ErrorResponse(BaseModel):
    """An error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "region_labelled",
                        "message": "Region 17 has been labelled by another annotator.",
                        "detail": {"region_id": 17},
                    }
                }
            ]
        }
    )

    error: ErrorBody


_SENTENCES = {
    401: "The token is missing or nobody's.",
    403: "The caller's role does not reach this.",
    404: "There is nothing of that id.",
    405: "This path does not know the method.",
    408: "The body came too slowly.",
    409: "Somebody or something came first.",
    410: "It was there, and is not kept any more.",
    413: "More bytes or pixels than the settings allow.",
    415: "The body is of a kind that cannot be read.",
    422: "The request's content does not fit.",
    429: "Too many wrong tokens came from this address; Retry-After says how long to wait.",
    503: "Something that the service needs does not answer, or too much is asked at once: try again after Retry-After seconds.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may fail so; 401, 422 and 429 belong to nearly every route and are added.

    So are 408 and 503 where there is a body that may be too large.
    """
    of_bodies = {408, 503} if 413 in statuses else set[int]()
    return {
        status: {"model": ErrorResponse, "description": _SENTENCES[status]}
        for status in sorted({401, 422, 429, *of_bodies, *statuses})
    }
