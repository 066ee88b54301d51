"""A whole campaign over HTTP: import, theta_0, policy, rounds labelled by the scripted annotator, and their table."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from service import migrate
from service.annotate import ScriptedAnnotator, TruthFolder
from service.auth import kept_of, new_token
from service.client import ApiError, Client
from service.db import Database
from service.domain.masks import encode_label_png
from service.progress import Progress
from service.settings import Settings
from service.store.annotators import add_annotator
from workers.client.importing import complete_project
from workers.client.rounds_table import print_rounds
from workers.datasets import open_dataset
from workers.datasets.base import SPLITS
from workers.files import write_atomically

CHOICES: dict[str, Callable[[str], Any]] = {"strategy": str, "episodes": int, "start": str, "seed": int}
# What is of this machine rather than of another server.
OF_MACHINE = ("REGIONWISE_ENCODER_WEIGHTS", "REGIONWISE_DEVICE", "REGIONWISE_THREADS")
STARTS = {"dt": SPLITS, "state": tuple(split for split in SPLITS if split != "train")}
PRESETS: dict[str, dict[str, Any]] = {
    "lite": {"project": {}, "pretrain": {}, "policy": {"budget": 240, "pool_size": 10}},
    "paper": {
        "project": {"segmenter": "fpn-resnet50"},
        "pretrain": {
            "source": "streets",
            "source_images": 4000,
            "source_epochs": 100,
            "max_epochs": 1000,
            "patience": 150,
        },
        "policy": {"budget": 480, "pool_size": 20},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What is played. start: "dt", or "state", for which D_T is not brought: f then knows D_S alone before the first region."""

    dataset: str
    root: Path
    rounds: int
    preset: str
    episodes: int = 3
    strategy: str = "learned"
    start: str = "dt"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"There is no preset {self.preset!r}; there are {', '.join(PRESETS)}.")
        if self.start not in STARTS:
            raise ValueError(f"There is no start {self.start!r}; there are {', '.join(STARTS)}.")
        if self.start == "state" and self.strategy == "learned":
            raise ValueError("A policy plays its games on D_T: name another strategy, or start from dt.")

    @property
    def name(self) -> str:
        """Of its project."""
        usual = (self.strategy, self.start, self.seed) == ("learned", "dt", 0)
        named = self.root.resolve().name if self.dataset == "folder" else self.dataset
        return f"{named} {self.preset}" + ("" if usual else f" {self.strategy} {self.start} {self.seed}")


def run_campaign(
    *,
    dataset: str,
    root: Path,
    out: Path,
    rounds: int,
    server: str | None,
    token: str,
    preset: str,
    chosen: Mapping[str, str],
) -> None:
    """Play a campaign, or what is left of it, and print its tables. Everything is asked of the service over HTTP.

    `chosen`: other fields of a Campaign, as they were typed. Raises ValueError for what is none, or does not go together.
    """
    unknown = [name for name in chosen if name not in CHOICES]
    if unknown:
        raise ValueError(f"A campaign has no {unknown[0]!r}; there are {', '.join(CHOICES)}.")
    typed: dict[str, Any] = {name: CHOICES[name](text) for name, text in chosen.items()}
    campaign = Campaign(dataset=dataset, root=root, rounds=rounds, preset=preset, **typed)
    own, budget = PRESETS[campaign.preset], 24 * campaign.rounds
    with _server(out, server, token) as (address, admin):
        client = Client(address, admin, timeout=300)
        settings = {"batch_size": 24, "strategy": campaign.strategy, "seed": campaign.seed, "budget": budget}
        splits = STARTS[campaign.start]
        named = (campaign.dataset, campaign.root, campaign.name)
        project = complete_project(client, *named, {**settings, **own["project"]}, splits=splits)
        client.call("PATCH", f"/projects/{project}", json={"settings": {"budget": budget}})
        run_job_once(client, project, "pretrain", own["pretrain"])
        if campaign.strategy == "learned":
            own_policy = {"policy": "paper", "episodes": campaign.episodes, "compare_games": 0, **own["policy"]}
            run_job_once(client, project, "train-policy", own_policy)
        annotate(client, project, _truth(campaign.dataset, campaign.root, out), budget)
        wait_until_told(client, project)
        print_rounds(client, project, Console(width=160))


@contextmanager
def _server(out: Path, server: str | None, token: str) -> Iterator[tuple[str, str]]:
    """(address, admin token) of the server that was named, else of one of our own in `out`, stopped at the end."""
    if server is not None:
        yield server, token
        return
    out.mkdir(parents=True, exist_ok=True)
    admin = _own_token(Settings(data_dir=out / "data", database_url="", blob_url="", broker_url="memory://"), out)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("REGIONWISE_") or key in OF_MACHINE}
    environment = {**kept, "REGIONWISE_DATA_DIR": str(out / "data")}
    with (out / "server.log").open("ab") as log:
        command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_ready(f"http://127.0.0.1:{port}", process, out / "server.log")
        yield f"http://127.0.0.1:{port}", admin
    finally:
        process.terminate()
        process.wait(timeout=120)


def _own_token(settings: Settings, out: Path) -> str:
    path = out / "admin-token"
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate.upgrade(settings.resolved_database_url)
    if not path.exists():
        token = new_token()
        database = Database(settings.resolved_database_url)
        with database.write() as session:
            now = datetime.now(UTC)
            add_annotator(session, name=f"campaign-{now:%Y%m%d%H%M%S}", role="admin", **kept_of(token), now=now)
        database.engine.dispose()
        write_atomically(path, token.encode())
        path.chmod(0o600)
    return path.read_text()


def _wait_ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    client = Client(address, "", tries=1)
    for _ in range(240):
        if process.poll() is not None:
            raise ValueError(f"The server stopped at once; {log} says why.")
        try:
            client.call("GET", "/healthz")
            return
        except ApiError:
            time.sleep(0.25)
    raise ValueError(f"The server did not come up within a minute; {log} may say why.")


def run_job_once(client: Client, project: int, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Run a job of this kind to its end, unless one has been done; a job under way is waited for."""
    jobs = [job for job in client.pages(f"/projects/{project}/jobs") if job["kind"] == kind]
    job = next((each for each in reversed(jobs) if each["state"] in ("queued", "running", "done")), None)
    if job is None:
        job = client.call("POST", f"/projects/{project}/jobs", json={"kind": kind, "settings": settings})
    with Progress(kind) as progress:
        while job["state"] in ("queued", "running"):
            progress.update(job["progress"], job["message"])
            time.sleep(0.5)
            job = client.call("GET", f"/jobs/{job['id']}")
        progress.update(job["progress"], job["message"])
    if job["state"] != "done":
        raise ValueError(f"The job {kind} is {job['state']}: {job['error']}")
    return dict(job)


def _truth(dataset: str, root: Path, out: Path) -> Path:
    """The pool's label maps as PNGs of class ids: what the scripted annotator knows and the service does not."""
    opened = open_dataset(dataset, root)
    pool, folder = opened.splits["pool"], out / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(pool)):
        path = folder / f"{pool.name(number)}.png"
        if not path.exists():
            write_atomically(path, encode_label_png(opened.classes.to_ids(pool.label_map(number))))
    return folder


def annotate(client: Client, project: int, truth: Path, budget: int) -> None:
    """Label until the budget is reached."""
    with Progress("annotate", total=budget, unit="regions") as progress:
        done = client.call("GET", f"/projects/{project}")["regions"].get("labelled", 0)
        progress.update(done)
        ScriptedAnnotator(
            client=client,
            truth=TruthFolder(truth),
            project=project,
            progress=lambda labelled: progress.update(done + labelled),
        ).run()


def wait_until_told(client: Client, project: int) -> None:
    """Until every round is learned from. Raises ValueError where a job of a round has failed."""
    with Progress("learn", total=None, unit="rounds learned from") as progress:
        while True:
            rounds = client.call("GET", f"/projects/{project}")["rounds"]
            progress.update(rounds.get("told", 0))
            if not any(rounds.get(state) for state in ("scoring", "open", "labelled")):
                return
            failed = [job for job in client.pages(f"/projects/{project}/jobs") if job["state"] == "failed"]
            if failed:
                raise ValueError(f"The job {failed[0]['kind']} ({failed[0]['id']}) failed: {failed[0]['error']}")
            time.sleep(0.5)
