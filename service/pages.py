"""The pages for people, built from web/ into service/static: files, to which anybody may come; what they ask needs a token."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PATH = "/app"
BUILT = Path(__file__).parent / "static"
# Pictures are drawn from what was fetched; nothing is run or styled but the files themselves.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NOT_BUILT = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>regionwise</title></head>
<body>
<h1>The pages are not built</h1>
<p>This copy of regionwise comes from its sources, and has no pages yet. With Node 20 or newer <code>make pages</code> builds
them; a wheel has them built. The API is described at <a href="../docs">/docs</a>.</p>
</body>
</html>
"""


class _Pages(StaticFiles):
    """Files whose names change with their content may be kept; the page itself is asked for anew."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = path.replace("\\", "/").startswith("assets/")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        response.headers["Content-Security-Policy"] = _POLICY
        return response


def add_pages(app: FastAPI, built: Path = BUILT) -> None:
    """Serve the pages below `PATH`, and lead there from the root; where they are not built, say how to."""

    async def to_pages() -> RedirectResponse:
        return RedirectResponse(f"{PATH}/")

    async def not_built() -> HTMLResponse:
        return HTMLResponse(_NOT_BUILT, headers={"Content-Security-Policy": _POLICY})

    hidden: dict[str, Any] = {"include_in_schema": False}
    app.add_api_route("/", to_pages, **hidden)
    if (built / "index.html").exists():
        app.mount(PATH, _Pages(directory=built, html=True), name="pages")
    else:
        app.add_api_route(f"{PATH}/", not_built, **hidden)
