"""The route that monitoring scrapes."""

from typing import cast

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from service import auth
from service.metrics import Metrics
from service.schemas.errors import errors

GROUP = {"name": "metrics", "description": "For monitoring."}
router = APIRouter(tags=[GROUP["name"]], responses=errors(403))

# The numbers are wanted most while the database is away.
_SCRAPER = auth.Allowed("reviewer", setting="metrics_token")


@router.get(
    "/metrics",
    response_class=Response,
    dependencies=[Depends(_SCRAPER)],
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus's text format."}
    },
)
def get_metrics(request: Request) -> Response:
    """Numbers of this process, of the database and of the jobs. Needs REGIONWISE_METRICS_TOKEN, or a reviewer's token."""
    metrics = cast(Metrics, request.app.state.metrics)
    return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})
