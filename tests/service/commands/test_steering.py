"""The commands by which reviewers and admins free, open again and finish."""

from collections.abc import Callable

from starlette.testclient import TestClient

from tests.maker import Maker
from tests.service.commands.conftest import Run

Login = Callable[..., TestClient]


def test_a_region_is_freed_and_opened_again_and_a_round_finished_by_its_number(
    run: Run, asked: tuple[str, ...], make: Maker, client: TestClient, login: Login
) -> None:
    make.project("other")
    project = make.project()
    make.round_(project, make.images(project, 1), regions=3, number=7)
    first, second = client.get("/next-regions", params={"project": 2, "count": 2}).json()["items"]
    assert run("release", str(first["id"]), *asked).out == "Region 1 is free.\n"
    assert login("reviewer").get("/regions/1").json()["leased_until"] is None
    client.post("/regions/2/skip", json={"lease_token": second["lease_token"], "reason": "dark"})
    assert run("unskip", "2", *asked).out == "Region 2 waits for its label again.\n"
    client.post("/regions/2/skip", json={"lease_token": first["lease_token"], "reason": "dark"})
    ended = run("finish-round", "streets", "7", *asked)
    assert ended.out == "Round 7 is labelled. Finished early: 3 of 3 regions went back to the pool without a label.\n"
    ended = run("finish-round", "streets", "8", *asked)
    assert ended.code == 1
    assert ended.err.endswith("Error: The project streets has no round 8.\n")


def test_what_is_refused_is_said(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    ended = run("unskip", "5", *asked)
    assert ended.code == 1
    assert "There is no region 5" in ended.err
