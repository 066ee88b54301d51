"""The page that shows the API, to read and to try: Swagger UI, from files of this machine and with no script in the page."""

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

_FILES = Path(fastapi_offline.__file__).parent / "static"
_KINDS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon.png": "image/png"}
# Swagger UI sets styles of its elements, and has small pictures in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>regionwise</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="docs/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
# With the cookie of a session, requests of this page say that they are meant.
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor: (request) => {
    request.headers["X-Requested-With"] = "regionwise";
    return request;
  },
});
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """What shows the API on the page."""
    return Response(_START, media_type="text/javascript")


def _add_file(name: str, kind: str) -> None:
    async def file() -> FileResponse:
        return FileResponse(_FILES / name, media_type=kind, headers={"Cache-Control": "public, max-age=86400"})

    router.add_api_route(f"/docs/{name}", file)


for _name, _kind in _KINDS.items():
    _add_file(_name, _kind)
