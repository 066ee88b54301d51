"""Pairs a second beside Label Studio's: the same clients, masks and machine, one after the other in one run.

A pair asks for the next thing to label and posts a label map of it: here a region's as PNG, there a task's as brush RLE.
Label Studio is installed apart, with `pip install label-studio psycopg2-binary` in an environment of its own.

    PYTHONPATH=. python benchmarks/label_studio.py --label-studio ls/bin/label-studio [--clients 8] [--seconds 20]
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import make_url

from benchmarks.pairs import Outcome, Server, database_url, made_masks, measured, outcome

TOKEN = "0123456789abcdef0123456789abcdef01234567"
TASKS = 2000
CONFIG = '<View><Image name="image" value="$image"/><BrushLabels name="classes" toName="image">{}</BrushLabels></View>'


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-studio", type=Path, required=True, help="its executable")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument(
        "--postgres", default=os.environ.get("REGIONWISE_TEST_POSTGRES"), help="a server to use as well"
    )
    options = parser.parse_args()
    print("| database | server | pairs/s | CPU ms | p50 ms | p99 ms |\n|---|---|---|---|---|---|")
    for kind in ("SQLite", "PostgreSQL") if options.postgres else ("SQLite",):
        with (
            tempfile.TemporaryDirectory() as folder,
            database_url(kind, options.postgres, Path(folder), empty=True) as url,
        ):
            theirs = _label_studio(options, url, Path(folder))
            _print(kind, "Label Studio", theirs)
        with tempfile.TemporaryDirectory() as folder, database_url(kind, options.postgres, Path(folder)) as url:
            _, ours = next(measured(url, Path(folder), TASKS, options.seconds, (options.clients,)))
            _print(kind, "regionwise", ours)
        print(
            f"| {kind} | times as many | {ours.pairs / theirs.pairs:.1f} | {theirs.cpu / ours.cpu:.1f} | | |",
            flush=True,
        )


def _print(kind: str, server: str, got: Outcome) -> None:
    print(f"| {kind} | {server} | {got.pairs:.1f} | {got.cpu:.1f} | {got.p50:.1f} | {got.p99:.1f} |", flush=True)


def _label_studio(options: argparse.Namespace, url: str, folder: Path) -> Outcome:
    with _running(options.label_studio, url, folder) as server:
        labels = "".join(f'<Label value="class {number}"/>' for number in range(11))
        project = _asked(
            server.port, TOKEN, "POST", "/api/projects", {"title": "pairs", "label_config": CONFIG.format(labels)}
        )
        tasks = [{"image": f"http://127.0.0.1/{number}.png"} for number in range(TASKS)]
        _asked(server.port, TOKEN, "POST", f"/api/projects/{project['id']}/import", tasks)
        for number in range(options.clients):
            person = {"email": f"client{number}@example.org", "username": f"client{number}", "password": "a long one 1"}
            _asked(server.port, TOKEN, "POST", "/api/users", person)
        tokens = [token for token in _tokens(url) if token != TOKEN]
        before = server.cpu_seconds()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            pairs = apart.submit(_annotate_together, server.port, project["id"], tokens, options.seconds).result()
        return outcome(pairs, options.seconds, server.cpu_seconds() - before)


@contextlib.contextmanager
def _running(executable: Path, url: str, folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        **_database(url, folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    login = ["--username", "admin@example.org", "--password", "a long one 1", "--user-token", TOKEN]
    with (folder / "log").open("w") as log:
        command = [str(executable), "start", "--no-browser", "--port", str(port), *login]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _until(lambda: _asked(port, TOKEN, "GET", "/api/projects"), seconds=300)
        yield Server(psutil.Process(process.pid), port)
    finally:
        process.terminate()
        process.wait()


def _database(url: str, folder: Path) -> dict[str, str]:
    parts = make_url(url)
    if parts.drivername.startswith("sqlite"):
        return {"DJANGO_DB": "sqlite", "DATABASE_NAME": parts.database or ""}
    return {
        "DJANGO_DB": "default",
        "POSTGRE_NAME": parts.database or "",
        "POSTGRE_USER": parts.username or "",
        "POSTGRE_PASSWORD": parts.password or "",
        "POSTGRE_HOST": parts.host or "",
        "POSTGRE_PORT": str(parts.port or 5432),
    }


def _tokens(url: str) -> list[str]:
    statement = "SELECT key FROM authtoken_token"
    if url.startswith("sqlite"):
        with sqlite3.connect(make_url(url).database or "") as connection:
            return [key for (key,) in connection.execute(statement)]
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return [key for (key,) in connection.execute(statement)]


def _until(tried: Callable[[], Any], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            tried()
            return
        except (OSError, http.client.HTTPException, RuntimeError):
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _annotate_together(port: int, project: int, tokens: list[str], seconds: float) -> list[float]:
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(len(tokens)) as threads:
        waiting = [threads.submit(_annotate, port, project, token, until) for token in tokens]
        return [seconds for each in waiting for seconds in each.result()]


def _annotate(port: int, project: int, token: str, until: float) -> list[float]:
    times: list[float] = []
    # About as many bytes as its run-length coding of such a mask has.
    brush = {"format": "rle", "rle": made_masks(1)[0].ravel()[:1500].tolist(), "brushlabels": ["class 1"]}
    drawn = {"from_name": "classes", "to_name": "image", "type": "brushlabels", "value": brush}
    result = {"result": [{**drawn, "original_width": 80, "original_height": 90}], "lead_time": 1.0}
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while time.perf_counter() < until:
        start = time.perf_counter()
        # On SQLite some of its answers are 500, for the database is locked: the pair is begun anew, and counts once it is whole.
        with contextlib.suppress(RuntimeError):
            task = _asked(client, token, "GET", f"/api/projects/{project}/next")
            _asked(client, token, "POST", f"/api/tasks/{task['id']}/annotations/", result)
            times.append(time.perf_counter() - start)
    client.close()
    return times


def _asked(server: int | http.client.HTTPConnection, token: str, method: str, path: str, body: object = None) -> Any:
    client = http.client.HTTPConnection("127.0.0.1", server, timeout=120) if isinstance(server, int) else server
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    client.request(method, path, None if body is None else json.dumps(body), headers)
    response = client.getresponse()
    content = response.read()
    if response.status >= 300:
        raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
    return json.loads(content)


if __name__ == "__main__":
    main()
