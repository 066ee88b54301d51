"""Pictures of the pages for README: the demo is started in a folder of its own, labelled for some rounds, and looked at.

Run: PYTHONPATH=. python docs/screenshots.py [--rounds 6] [--dark]
"""

import argparse
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from playwright.sync_api import Page, ViewportSize, sync_playwright

from service.annotate import ScriptedAnnotator, TruthFolder
from service.client import ApiError, Client
from service.domain.masks import encode_label_png
from workers.client.demo import COUNTS, SETTINGS
from workers.datasets.streets import streets_dataset

INTO = Path(__file__).parent / "screenshots"
PEOPLE = ("ada", "ben", "eve")
PROJECT = 1
COLOURS = 256
# By the picture's name: the place behind the #, and what is there once the page stands.
PLACES = {
    "projects": ("", ".cards li"),
    "overview": (f"projects/{PROJECT}", ".learning circle"),
    "annotate": (f"projects/{PROJECT}/annotate", ".about"),
    "regions": (f"projects/{PROJECT}/regions", ".gallery .region"),
    "review": (f"projects/{PROJECT}/review", ".review .legend li"),
    "annotators": (f"projects/{PROJECT}/people", "tbody td"),
    "setup": (f"projects/{PROJECT}/setup", ".people li"),
}


def main() -> None:
    """Write a picture of each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="that are labelled beforehand")
    parser.add_argument(
        "--dark", action="store_true", help="1920 x 1080 in dark colours, rather than 1280 x 800 in light"
    )
    parser.add_argument("--out", type=Path, default=INTO)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _demo(Path(folder)) as (address, token):
        _label(Client(address, token, timeout=300), Path(folder) / "truth", options.rounds)
        for name, content in _pictures(f"{address}/app/", token, dark=options.dark):
            path = options.out / f"{name}{'-dark' if options.dark else ''}.png"
            path.write_bytes(content)
            print(f"{path.name} {len(content) // 1024} KiB", flush=True)


@contextmanager
def _demo(folder: Path) -> Iterator[tuple[str, str]]:
    """(address, admin token) of a demo of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGIONWISE_")}
    with (folder / "demo.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "demo", "--port", str(port)],
            env={**kept, "REGIONWISE_DATA_DIR": str(folder / "data")},
            stdout=log,
            stderr=log,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while not _healthy(address):
            if process.poll() is not None:
                raise SystemExit((folder / "demo.log").read_text())
            time.sleep(0.5)
        yield address, json.loads((folder / "data" / "demo-tokens.json").read_text())["admin"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _healthy(address: str) -> bool:
    try:
        Client(address, "", tries=1).call("GET", "/healthz")
    except ApiError:
        return False
    return True


def _label(admin: Client, truth: Path, rounds: int) -> None:
    """Some rounds are labelled by three people, and of one more round as much as there is to review."""
    _write_truth(truth)
    people = [_annotator(admin, name, truth) for name in PEOPLE]
    while any(each["kind"] == "pretrain" and each["state"] in ("queued", "running") for each in _jobs(admin)):
        time.sleep(1)
    while _told(admin) < rounds:
        for person in people:
            person.limit = SETTINGS.batch_size // len(people)
            person.run(wait=True)
    admin.call("PATCH", f"/projects/{PROJECT}", json={"settings": {"review": "all"}})
    for person in people:
        person.limit = 2
        person.run(wait=True)


def _write_truth(folder: Path) -> None:
    dataset = streets_dataset(seed=7, height=360, width=480, counts=COUNTS)
    pool = dataset.splits["pool"]
    folder.mkdir()
    for number in range(len(pool)):
        ids = dataset.classes.to_ids(pool.label_map(number))
        (folder / f"{pool.name(number)}.png").write_bytes(encode_label_png(ids))


def _annotator(admin: Client, name: str, truth: Path) -> ScriptedAnnotator:
    made = admin.call("POST", "/annotators", json={"name": name, "role": "annotator"})
    client = Client(admin.server, made["token"], timeout=300)
    return ScriptedAnnotator(client=client, truth=TruthFolder(truth), project=PROJECT, at_once=2)


def _jobs(client: Client) -> list[dict[str, Any]]:
    return list(client.pages(f"/projects/{PROJECT}/jobs"))


def _told(client: Client) -> int:
    return int(client.call("GET", f"/projects/{PROJECT}")["rounds"].get("told", 0))


def _pictures(app: str, token: str, *, dark: bool) -> Iterator[tuple[str, bytes]]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    size: ViewportSize = {"width": 1920, "height": 1080} if dark else {"width": 1280, "height": 800}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport=size, color_scheme="dark" if dark else "light").new_page()
        page.goto(f"{app}#token={token}/")
        for name, (place, shown) in PLACES.items():
            page.goto(f"{app}#/{place}")
            page.locator(shown).first.wait_for(timeout=60_000)
            if name == "annotate":
                _paint(page)
            page.wait_for_timeout(1500)  # until pictures in it are there
            yield name, _small(page.screenshot())
        browser.close()


def _paint(page: Page) -> None:
    """A stroke over what is predicted, and the brush at its end."""
    box = page.locator("canvas").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.keyboard.press("9")  # Car
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=8)
    page.mouse.up()


def _small(png: bytes) -> bytes:
    buffer = io.BytesIO()
    picture = Picture.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Picture.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
