"""What a campaign's budget allows, and how a campaign ends that brought no label."""

from collections.abc import Callable

from tests.workers.conftest import Rectangles, World


def given(world: World) -> list[dict[str, object]]:
    """All regions of the round that is open."""
    world.call("GET", "/next-regions", params={"project": world.project.id})
    world.work()
    items: list[dict[str, object]] = world.call(
        "GET", "/next-regions", params={"project": world.project.id, "count": 100}
    )["items"]
    return items


def test_a_quarter_takes_a_quarter_of_the_budget(make_world: Callable[..., World]) -> None:
    world = make_world(strategy="random", budget=10, levels=2, cell_height=16, cell_width=16, batch_size=4)
    world.add("pool", Rectangles(6, 1), labelled=False)
    regions = given(world)
    assert len(regions) > 4  # some are quarters
    project = f"/projects/{world.project.id}"
    used = world.call("GET", f"{project}/progress")["budget"]["used"]
    assert used == 4
    assert world.call("GET", project)["budget_left"] == 10 - used


def test_a_campaign_of_which_nothing_was_labelled_ends_without_a_job_that_fails(
    make_world: Callable[..., World],
) -> None:
    world = make_world(strategy="random", budget=4, max_skip_share=1.0)
    world.add("pool", Rectangles(6, 1), labelled=False)
    for _ in range(20):
        regions = given(world)
        if not regions:
            break
        for region in regions:
            world.call(
                "POST",
                f"/regions/{region['id']}/skip",
                json={"reason": "blurred", "lease_token": region["lease_token"]},
            )
    assert not regions
    jobs = world.call("GET", f"/projects/{world.project.id}/jobs", params={"limit": 100})["items"]
    assert [job["state"] for job in jobs if job["state"] != "done"] == []
    assert "finish" not in {job["kind"] for job in jobs}
