"""How fast the page paints and turns to the next region, and whether its memory stays, in Chromium before a real server.

Of images of 2048 x 1024 pixels and regions of half of one. All times are of the page's main thread, in milliseconds:

* stamp: from a pointer's event, by its own time stamp, until the frame with the stamp has been drawn and handed over;
* of it, work: from when the page is told of the event. The rest is waiting for the next frame, 60 of which there are a second;
* switch: from the key that submits until the frame with the next region, ready to be painted, has been drawn.

Memory is what is left after garbage was collected: the JavaScript heap, the buffers behind arrays, and the process.

Run: PYTHONPATH=. python benchmarks/pages.py [--regions 200] [--stamps 400] [--json FILE]
"""

import argparse
import io
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image as Picture
from playwright.sync_api import CDPSession, Page, sync_playwright

from service import migrate
from service.app import utc_now
from service.blobs import Blobs
from service.db import Database
from tests.maker import Maker
from tests.service.siege import Besieged

HEIGHT, WIDTH, CELL = 1024, 2048, 1024
SAMPLES = 10  # of memory, over all regions
LARGER = 15  # presses of the key that makes the brush larger
MIB = 1 << 20
GOALS = {"stamp": 16.0, "switch": 100.0}
# Our listeners are called after the page's own, and our frames after those in which it draws.
PROBE = """
window.asked = 0;
const fetched = window.fetch;
window.fetch = (...all) => {
    window.asked += 1;
    return fetched(...all).finally(() => (window.asked -= 1));
};
window.times = { stamp: [], work: [], switch: [] };
const drawn = (then) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => then(performance.now());
    port2.postMessage(null);
});
addEventListener("pointermove", (event) => { event.told = performance.now(); }, true);
addEventListener("pointermove", (event) => {
    if (event.buttons === 0) return;
    drawn((now) => {
        window.times.stamp.push(now - event.timeStamp);
        window.times.work.push(now - event.told);
    });
});
window.watchKeys = () => addEventListener("keydown", (event) => {
    if (event.key !== "n") return;
    const before = window.shown;
    const look = () => drawn((now) => {
        const about = document.querySelector(".about span")?.textContent;
        const name = document.querySelector(".about strong")?.textContent;
        if (about === undefined || name + about === before) return look();
        window.times.switch.push(now - event.timeStamp);
        window.shown = name + about;
    });
    look();
});
window.look = () => {
    const name = document.querySelector(".about strong").textContent;
    window.shown = name + document.querySelector(".about span").textContent;
};
"""


class Streets(Maker):
    """Makes images with edges and some grain, as cameras do, rather than noise."""

    @staticmethod
    def picture(height: int, width: int, **_: Any) -> bytes:
        """A JPEG's worth of content, as PNG."""
        chance = np.random.default_rng(0)
        coarse = chance.integers(0, 256, (height // 32, width // 32, 3), dtype=np.uint8)
        grain = chance.integers(0, 4, (height, width, 3), dtype=np.uint8)
        pixels = (np.kron(coarse, np.ones((32, 32, 1), np.uint8)) & 0xFC) | grain
        buffer = io.BytesIO()
        Picture.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=200, help="that are submitted")
    parser.add_argument("--stamps", type=int, default=400, help="that are painted")
    parser.add_argument("--json", type=Path, help="a file to write all that was measured into")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder), options.regions + 4) as link, _page() as page:
        found = _measured(page, link, options.regions, options.stamps)
    _print(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


@contextmanager
def _served(folder: Path, regions: int) -> Iterator[str]:
    """The link that lets an annotator in, before so many regions."""
    url = f"sqlite:///{folder}/bench.db"
    migrate.upgrade(url)
    database = Database(url)
    make = Streets(database, Blobs((folder / "blobs").as_uri()), utc_now)
    token = make.annotator()
    project = make.project("pages", cell_height=CELL, cell_width=CELL)
    images = make.images(project, -(-regions * CELL // WIDTH), height=HEIGHT, width=WIDTH)
    make.round_(project, images, regions=regions, prediction=True)
    server = Besieged(folder, url)
    try:
        yield f"http://127.0.0.1:{server.port}/app/#token={token}/projects/{project.id}/annotate"
    finally:
        server.close()
        database.engine.dispose()


@contextmanager
def _page() -> Iterator[Page]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1920, "height": 1080}, bypass_csp=True)
        context.add_init_script(PROBE)
        yield context.new_page()
        browser.close()


def _measured(page: Page, link: str, regions: int, stamps: int) -> dict[str, Any]:
    devtools = page.context.new_cdp_session(page)
    page.goto(link)
    page.locator(".about").wait_for(timeout=60_000)
    page.evaluate("watchKeys()")
    _rest(page)
    _paint(page, stamps)
    memory = [{"submitted": 0, **_memory(devtools)}]
    for number in range(1, regions + 1):
        _rest(page)
        page.evaluate("look()")
        page.keyboard.press("n")
        page.wait_for_function(f"times.switch.length === {number}", timeout=60_000)
        if number % max(1, regions // SAMPLES) == 0:
            _rest(page)
            memory.append({"submitted": number, **_memory(devtools)})
    return {**page.evaluate("times"), "memory": memory}


def _paint(page: Page, stamps: int) -> None:
    """One stroke over the region, to and fro, with a large brush."""
    for _ in range(LARGER):
        page.keyboard.press("]")
    box = page.locator("canvas").bounding_box()
    assert box
    side = 0.8 * min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    page.mouse.move(left, top)
    page.mouse.down()
    for number in range(stamps):
        along = number / stamps
        page.mouse.move(left + side * abs((8 * along) % 2 - 1), top + side * along)
    page.mouse.up()
    page.wait_for_timeout(500)


def _rest(page: Page) -> None:
    """Until nothing is on its way any more: whoever paints takes longer than that."""
    page.wait_for_function("asked === 0", timeout=60_000)
    page.wait_for_timeout(200)
    page.wait_for_function("asked === 0", timeout=60_000)


def _memory(devtools: CDPSession) -> dict[str, float]:
    """MiB."""
    devtools.send("HeapProfiler.collectGarbage")
    usage = devtools.send("Runtime.getHeapUsage")
    renderers = [each for each in psutil.Process().children(recursive=True) if "--type=renderer" in each.cmdline()]
    return {
        "heap": usage["usedSize"] / MIB,
        "buffers": usage.get("backingStorageSize", 0) / MIB,
        "process": max((each.memory_info().rss for each in renderers), default=0) / MIB,
    }


def _print(found: dict[str, Any]) -> None:
    print("| | p50 ms | p95 ms | goal at p95 |\n|---|---|---|---|")
    for name in ("stamp", "work", "switch"):
        cuts = statistics.quantiles(found[name], n=20)
        print(f"| {name} | {cuts[9]:.1f} | {cuts[18]:.1f} | {GOALS.get(name, '')} |")
    print(
        "\n| MiB | at first | in the middle | at the end | growth of a region, over the second half |\n|---|---|---|---|---|"
    )
    memory = found["memory"]
    half = memory[len(memory) // 2 :]
    for name in ("heap", "buffers", "process"):
        slope = np.polyfit([each["submitted"] for each in half], [each[name] for each in half], 1)[0]
        first, middle, last = (each[name] for each in (memory[0], half[0], memory[-1]))
        print(f"| {name} | {first:.1f} | {middle:.1f} | {last:.1f} | {slope:+.4f} |")


if __name__ == "__main__":
    main()
