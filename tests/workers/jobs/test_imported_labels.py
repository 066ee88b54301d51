"""Labels that were imported are learned from, and what is asked for next is what they left."""

from collections.abc import Callable

import pytest

from models.segmenter import build
from service.domain.masks import encode_label_png
from tests.workers.conftest import CLASSES, FROZEN, Rectangles, World
from workers.jobs.project import load_project
from workers.training.checkpoints import save_segmenter


def imported(world: World, images: int) -> None:
    truth = world.splits["pool"]
    files = [
        ("label_map", (f"pool-{number:03}.png", encode_label_png(CLASSES.to_ids(truth.label_map(number)))))
        for number in range(images)
    ]
    world.call("POST", f"/projects/{world.project.id}/label-maps", files=files)


@pytest.mark.parametrize("frozen", [False, True])
def test_imported_labels_are_learned_from_and_the_next_round_asks_for_others(
    make_world: Callable[..., World], frozen: bool
) -> None:
    world = make_world(strategy="entropy", budget=4, **(FROZEN if frozen else {}))
    world.add("pool", Rectangles(3, 1), labelled=False).add("reward", Rectangles(3, 3))
    if not frozen:
        world.add("state", Rectangles(2, 2))
        world.add_checkpoint("segmenter", save_segmenter(build("fpn", classes=3, width=4), CLASSES))
    imported(world, 2)
    assert world.work()[:2] == ["tell", "ask"]
    told, asked = world.rounds()
    regions = told["size"]
    assert (told["strategy"], told["state"], regions) == ("import", "told", 2 * world_regions(world))
    assert sum(told["class_counts"].values()) > 0
    assert told["miou_after"] is not None
    assert told["result_checkpoint_id"] is not None
    # The budget of four is not spent on what was imported.
    assert (asked["state"], asked["size"]) == ("open", 4)
    given = world.call("GET", "/next-regions", params={"project": world.project.id, "count": 100})["items"]
    assert {each["image_name"] for each in given} == {"pool-002.png"}
    world.label_all()
    world.work()
    assert world.rounds()[-1]["state"] == "told"


def world_regions(world: World) -> int:
    project = load_project(world.worker, world.project.id)
    return int(project.grid(*world.splits["pool"].size(0)).cells.size)
