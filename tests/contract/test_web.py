"""The pages' client is generated from the API's description: the copy that it is generated from is the API's own."""

import json
from pathlib import Path

from service.app import create_app
from service.settings import Settings

COPY = Path(__file__).parents[2] / "web" / "openapi.json"


def test_the_pages_know_the_api_as_it_is(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/none.db"))
    assert json.loads(COPY.read_text()) == json.loads(json.dumps(app.openapi())), "make openapi"
