"""HEAD by a server that listens: nothing but headers goes over the wire, and the connection stays good."""

from collections.abc import Callable

import httpx
from starlette.testclient import TestClient

from tests.maker import Maker


def test_a_connection_is_as_good_after_head_as_after_get(
    address: str, login: Callable[..., TestClient], make: Maker
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=2)
    token = login("admin", "root").headers["Authorization"]
    with httpx.Client(base_url=address, headers={"Authorization": token}) as client:
        for _ in range(3):
            head, get = client.head("/projects/1"), client.get("/projects/1")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["Content-Length"] == str(len(get.content))
            assert client.head("/projects/1/export").status_code == 200
